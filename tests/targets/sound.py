"""Objects to damage in a core: of each kind that `verify` looks at, one that nothing else depends on.

usage: sound.py TRUTH    (see oracle.park)
"""
import sys

import oracle


class Node(object):
    """Something on the collector's lists."""

    def __init__(self, value):
        self.value = value


class Wide(object):
    __slots__ = ("first", "second")


class Sized(Wide):
    """It has few instances, which nothing depends on."""

    __slots__ = ()


class Hole(object):
    """Its block is pymalloc's again as soon as nobody refers to it."""

    __slots__ = ("next",)


class Kept(object):
    """What must not be freed."""

    def __init__(self):
        self.node, self.clobbered, self.sized = Node("linked"), Node("clobbered"), [Sized(), Sized()]
        self.victim = Node("victim")
        self.holders = [[self.victim, number] for number in range(3)]
        self.list = ["item %d" % number for number in range(20)]
        self.tuple = tuple("member %d" % number for number in range(4))
        self.dict = {7 * number: "value %d" % number for number in range(5)}
        self.dict["a str as key"] = 5
        self.set = {"element %d" % number for number in range(40)}
        self.holes = [Hole() for _ in range(3000)]
        del self.holes[1::2]

    def marks(self):
        kept = {name: id(value) for name, value in vars(self).items()}
        kept["sized type"] = id(Sized)
        kept["holder"] = id(self.holders[1])
        for number, hole in enumerate(self.holes[500:1500:100]):
            kept["hole %d" % number] = id(hole)
        return kept


def main():
    kept = Kept()
    oracle.park(sys.argv[1], samples=0, deep_samples=0, marks=kept.marks())


if __name__ == "__main__":
    main()
