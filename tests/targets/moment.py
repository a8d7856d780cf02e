"""A process that stops in the middle of something.

usage: moment.py ADDRESSES KIND

Writes the addresses of what the collector tracks, 8 bytes each. Kinds of DEBUGGED then raise SIGTRAP, for a debugger
that waits for it, and go on to do what they are called after. The others write "ready" and block in a read of their
standard input at the moment that they are called after: in a finalizer or a callback of a collection, in a function
that runs at exit, or in a finalizer when the modules are being torn down.
"""
import array
import atexit
import gc
import os
import signal
import sys
import weakref

NODES = 1000


class Node:
    """A part of a cycle, with a list, a dict and a tuple too large for the small-object allocator."""

    def __init__(self, number):
        self.number = number
        self.others = [self] * 3
        self.table = {number: self}
        self.large = (self,) * 100


class Finalized(Node):
    def __del__(self):
        self.block()


class Last:
    def __init__(self, block):
        self.block = block

    def __del__(self):
        self.block()


def make_cycle(first):
    nodes = [Node(number) for number in range(NODES)] + [first]
    for node, following in zip(nodes, nodes[1:] + nodes[:1]):
        node.following = following


def make_writer(path):
    """A function that writes what is tracked, and needs no module to do so."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    write, numbers, get_objects = os.write, array.array, gc.get_objects

    def write_tracked():
        write(descriptor, numbers("Q", map(id, get_objects())).tobytes())
    return write_tracked


def make_blocker(first=None):
    write, read = os.write, os.read

    def block(unused=None):
        if first:
            first()
        write(1, b"ready\n")
        read(0, 1)
    return block


def trap():
    os.kill(os.getpid(), signal.SIGTRAP)


def collection():
    trap()
    gc.collect()


def grow_dict():
    table = dict.fromkeys(range(10))
    trap()
    for number in range(10, 100000):
        table[number] = number


def grow_list():
    items = [None] * 10
    trap()
    for number in range(100000):
        items.append(number)


def make_objects():
    kept = []
    trap()
    for number in range(100000):
        kept.append(Node(number))


DEBUGGED = {"collection": collection, "dict": grow_dict, "list": grow_list, "objects": make_objects}


def main():
    path, kind = sys.argv[1:]
    write_tracked = make_writer(path)
    for _ in range(5):
        gc.collect()  # each untracks tuples that hold nothing but what the one before untracked
    gc.disable()
    first = Node(-1)
    if kind == "finalizer":
        first = Finalized(-1)
        first.block = make_blocker()
    if kind in ("collection", "finalizer", "callback"):
        make_cycle(first)
    if kind == "callback":
        block = make_blocker()
        reference = weakref.ref(first, block)
    del first
    if kind == "atexit":
        atexit.register(make_blocker(write_tracked))
    elif kind == "teardown":
        sys.last = Last(make_blocker(write_tracked))
    else:
        write_tracked()
        DEBUGGED.get(kind, gc.collect)()


main()
