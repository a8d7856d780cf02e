"""A program that stops twice, and grows by known amounts in between.

usage: growing.py TRUTH types|traced    the truth of the first stop is in TRUTH.before; a byte on stdin ends it
"""
import collections
import os
import sys

HOW = sys.argv[2]
if HOW == "traced":
    import tracemalloc
    tracemalloc.start(3)
    import traced_truth
else:
    import oracle


class Node(object):
    def __init__(self, number):
        self.number, self.children = number, [number]


class Slotted(object):
    __slots__ = ("left",)

    def __init__(self, left):
        self.left = left


class Text(str):
    pass


class Dropped(object):
    """Of these some go, and no more are made."""


class Server(object):
    def __init__(self):
        self.sessions, self.log = {}, collections.deque()


def counting(start):
    while True:
        yield start
        start += 1


SERVER = Server()
CACHE = {}
KEPT = []
DROPPED = [Dropped() for _ in range(60)]
ADDRESSES = {}
FLOATS = [number + 0.5 for number in range(200)]


def handle(first, count):
    """What a request leaves behind."""
    for number in range(first, first + count):
        CACHE[number] = Node(number)
        SERVER.sessions["session %d" % number] = {number: Slotted(number)}
        SERVER.log.append(Text("line %d" % number))


def grow():
    handle(1000, 700)
    KEPT.append([set([number]) for number in range(300)])
    generators = [counting(number) for number in range(50)]
    for generator in generators:
        next(generator)
    KEPT.append(generators)
    del DROPPED[20:]
    for number in range(100):  # where the old ones were
        FLOATS[number] = None
        FLOATS[number] = number + 1000.25


def stop(path, earlier=None):
    for number in range(200):
        ADDRESSES["float %d" % number] = id(FLOATS[number])
    ADDRESSES["log"] = id(SERVER.log)
    if HOW == "traced":
        traced_truth.park(path, [], earlier, stops=True)
    else:
        oracle.park(path, samples=0, deep_samples=0, marks=ADDRESSES, last=False)


def main():
    path = sys.argv[1]
    local = [Node(number) for number in range(30)]
    handle(0, 100)
    stop(path + ".before")
    grow()
    local += [Node(number) for number in range(40)]
    stop(path, path + ".before")
    os._exit(len(local) and 0)


main()
