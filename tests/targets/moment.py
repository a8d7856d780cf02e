"""A process that stops in the middle of something.

usage: moment.py ADDRESSES KIND

Writes the addresses of what the collector tracks, 8 bytes each, then raises SIGTRAP where the kind is for a debugger
that waits for it (TRAPS), and goes on to the moment that the kind names. In the others it blocks there, in a read of
its standard input, having written "ready".
"""
import array
import atexit
import gc
import os
import signal
import sys
import weakref

TRAPS = {"collection", "dict", "list", "objects"}
NODES = 1000


class Node:
    """A part of a cycle, with an instance dict, a list, a large tuple, and what they hold."""

    def __init__(self, number):
        self.number = number
        self.others = [self] * 3
        self.table = {number: self, "self": self}
        self.large = (self,) * 100


class Finalized(Node):
    def __del__(self):
        block()


def block():
    os.write(1, b"ready\n")
    os.read(0, 1)


def make_cycle(first):
    nodes = [Node(number) for number in range(NODES)] + [first]
    for node, following in zip(nodes, nodes[1:] + nodes[:1]):
        node.following = following


def write_tracked(path):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    addresses = array.array("Q", map(id, gc.get_objects()))
    os.write(descriptor, addresses.tobytes())
    os.close(descriptor)


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


def main():
    path, kind = sys.argv[1:]
    gc.collect()
    gc.disable()
    if kind == "collection":
        make_cycle(Node(-1))
    elif kind == "finalizer":
        make_cycle(Finalized(-1))
    elif kind == "callback":
        first = Node(-1)
        make_cycle(first)
        keep = weakref.ref(first, lambda reference: block())
        del first
    elif kind == "atexit":
        atexit.register(block)
    elif kind == "shutdown":
        sys.kept = Finalized(-1)
    write_tracked(path)
    {"collection": collection, "finalizer": gc.collect, "callback": gc.collect, "dict": grow_dict, "list": grow_list,
     "objects": make_objects, "atexit": int, "shutdown": int}[kind]()


main()
