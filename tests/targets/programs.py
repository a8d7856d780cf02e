"""What the everyday programs (program_*.py) share: how they come to rest.

usage: program_NAME.py [TRUTH]    with TRUTH, under tracemalloc from here on, as traced_truth.park;
                                  without, print "ready" and wait
"""
import gc
import os
import sys
import tracemalloc

import oracle
import traced_truth

FRAMES = 5

if len(sys.argv) > 1:
    tracemalloc.start(FRAMES)


def resident():
    """Bytes."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def stay(*names, **numbers):
    """Never returns. The truth's marks: the numbers, and of the caller's variables of these names [address, sys.getsizeof,
    deep size, number of objects in it]; looked up in the child, so that nothing more holds them here."""
    if len(sys.argv) > 1:
        traced_truth.park(sys.argv[1], [], more=lambda: measure(names, numbers))
    os.write(1, b"ready\n")
    os.read(0, 1)
    os._exit(0)


def measure(names, numbers):
    frame = sys._getframe()
    while not os.path.basename(frame.f_code.co_filename).startswith("program_"):
        frame = frame.f_back
    found = {name: frame.f_locals[name] for name in names}
    marks = {name: [hex(id(o)), sys.getsizeof(o)] + deep(o) for name, o in found.items()}
    marks.update(numbers)
    marks["program"] = frame.f_code.co_filename
    marks["counts"] = count(gc.get_objects())
    return marks


def deep(o):
    """[bytes, objects] of what it reaches, each once."""
    closure = oracle.deep_closure(o, 10 ** 7, 0, {}, {})
    return [sum(sys.getsizeof(part) for part in closure), len(closure)]


def count(objects):
    """{type: how many} of the program's own."""
    counts = {}
    for o in objects:
        if type(o).__module__ == "__main__":
            name = oracle.type_name(type(o))
            counts[name] = counts.get(name, 0) + 1
    return counts
