"""Objects that retain more than 4 GiB: bytes(N) comes zeroed from the kernel and is not touched, so that there is no such memory.

usage: vast.py TRUTH    (see oracle.park)
"""
import sys

import oracle

GIB = 1 << 30


class Holder(object):
    __slots__ = ("data", "next")

    def __init__(self, data, behind):
        self.data = data
        self.next = behind


if __name__ == "__main__":
    just_below = Holder(bytes(4 * GIB - 1000), None)
    first = Holder(bytes(5 * GIB), Holder(bytes(1 * GIB), Holder(bytes(3 * GIB), None)))
    marks, at, number = {}, first, 0
    while at:
        marks["holder %d" % number], marks["data %d" % number] = id(at), id(at.data)
        at, number = at.next, number + 1
    marks["below"], marks["below data"] = id(just_below), id(just_below.data)
    at = None
    oracle.park(sys.argv[1], 5, 5, always=[first, just_below], marks=marks)
