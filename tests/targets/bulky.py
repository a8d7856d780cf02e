"""A process most of whose memory is large blocks that malloc mapped: bytes, and a list that alone leads to some objects.

usage: bulky.py TRUTH    (see oracle.park)
"""
import sys

import oracle

MIB = 1 << 20


class Holder(object):
    def __init__(self):
        self.data = bytearray(b"x") * (200 * MIB)
        self.items = [None] * (6 * MIB)


if __name__ == "__main__":
    holder = Holder()
    number = len(sys.argv) + 10 ** 15
    far = (number * 3, "far away %d" % number)
    holder.items[5 * MIB] = far
    oracle.park(sys.argv[1], 20, 5, always=[holder, far], marks={"far": id(far), "text": id(far[1]), "list": id(holder.items)})
