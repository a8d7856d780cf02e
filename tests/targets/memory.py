"""A heap of all kinds of memory, and what the allocators themselves say of it.

usage: memory.py TRUTH          the truth's marks: {"mallinfo": {...} or null, "native_bytes", "kept", "read_buffer_bytes"};
                                and in TRUTH.stats what sys._debugmallocstats() writes
       memory.py TRUTH arena    nothing but small objects, the last in a new arena: {"arena_page"}, its last page

The child of a fork measures before it does anything else, for each object that it makes changes what it measures.
"""
import array
import ctypes
import gc
import json
import os
import sys
import threading
import time

LIBC = ctypes.PyDLL(None)
STDIN_AND_LENGTH = (0, 1)
NATIVE_BLOCKS, NATIVE_BYTES = 300, 10000
KEPT = 400


class Mallinfo(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    _fields_ = [(name, ctypes.c_size_t) for name in names]


class Node(object):
    __slots__ = ["a%d" % number for number in range(30)]


def sparse():
    """Arenas that were full once, in which a few objects of one type are left."""
    nodes = [Node() for _ in range(KEPT * 200)]
    return nodes[::200]


def native():
    """Memory that no object has: blocks of an own allocator's, freed ones between them."""
    LIBC.malloc.restype, LIBC.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    LIBC.free.restype, LIBC.free.argtypes = None, [ctypes.c_void_p]
    blocks = [LIBC.malloc(NATIVE_BYTES) for _ in range(2 * NATIVE_BLOCKS)]
    for block in blocks[::2]:
        LIBC.free(block)
    LIBC.malloc(3 << 20)  # with a mapping of its own


WAITING = []


def wait():
    end = os.pipe()[0]
    WAITING.append(True)
    os.read(end, 1)


def recurse(depth, then):
    return recurse(depth - 1, then) if depth else then()


def nameless():
    """(start, end) of all memory that belongs to no file, heap or stack, by address."""
    with open("/proc/self/maps") as f:
        lines = [line.split() for line in f]
    return [tuple(int(number, 16) for number in line[0].split("-")) for line in lines if line[1:2] == ["rw-p"] and len(line) == 5]


def added(before, after):
    """The pieces that were not there before."""
    pieces = []
    for start, end in after:
        for old_start, old_end in before:
            if start <= old_start < end:
                pieces.append((start, old_start))
                start = old_end
        pieces.append((start, end))
    return pieces


def fill_arenas(kept):
    """Allocate small objects until that brings a new arena, of which then nearly all is free: its last page."""
    before = nameless()
    for _ in range(400):
        kept.append([b"%0400d" % number for number in range(20)])
        for start, end in added(before, nameless()):
            if end - start in (1 << 18, 1 << 20):
                return end - 4096
    return 0


def stay_with_a_new_arena(path):
    kept = []
    tell(path, {"arena_page": hex(fill_arenas(kept))})
    os.write(1, b"ready\n")
    os.read(*STDIN_AND_LENGTH)
    os._exit(0)


def tell(path, truth):
    with open(path, "w") as out:
        json.dump({"types": [], "tracked_count": 0, "address": [], "type": [], "size": [], "marks": truth}, out)


def main():
    path = sys.argv[1]
    if sys.argv[2:] == ["arena"]:
        stay_with_a_new_arena(path)
    kept = sparse()
    held = [list(range(50000)), {number: str(number) for number in range(20500)}, bytearray(5 << 20), b"x" * (1 << 20),
            array.array("d", range(30000)), set(range(3000)), "y" * 100000]
    native()
    threading.Thread(target=recurse, args=(300, wait), daemon=True).start()
    filler = threading.Thread(target=held.append, args=([bytearray(2000) for _ in range(1000)],))
    filler.start()
    filler.join()
    while len(os.listdir("/proc/self/task")) > 2:  # until it has given back what it had
        time.sleep(0.01)
    while not WAITING:
        time.sleep(0.01)
    time.sleep(0.1)  # until it has allocated what it reads into
    mallinfo = getattr(LIBC, "mallinfo2", None)
    if mallinfo:
        mallinfo.restype = Mallinfo
        mallinfo()
    gc.collect()
    gc.disable()
    os.dup2(os.open(path + ".stats", os.O_WRONLY | os.O_CREAT), 2)
    truth = {"native_bytes": NATIVE_BLOCKS * NATIVE_BYTES + (3 << 20), "kept": len(kept),
             "read_buffer_bytes": sys.getsizeof(b"x")}
    # leaves ints to be taken for the process id that fork gives the parent (3.14 on keep freed ones)
    _ = [int(text) for text in ("70000", "70001", "70002", "70003")]
    del _
    park(path, mallinfo, truth, LIBC.fork, sys._debugmallocstats, os.read)


def park(path, mallinfo, truth, fork, print_stats, read):
    if fork() == 0:
        print_stats()
        info = mallinfo and mallinfo()
        truth["mallinfo"] = info and {name: getattr(info, name) for name in Mallinfo.names}
        tell(path, truth)
        os.write(1, b"ready\n")
        os._exit(0)
    read(*STDIN_AND_LENGTH)
    os._exit(0)


main()
