"""A few objects of the commonest kinds, with modules that every interpreter has built in.

usage: small.py TRUTH    (see oracle.park)
"""
import sys

import oracle


class Node:
    def __init__(self, value, next_node):
        self.value, self.next = value, next_node


class Slotted:
    __slots__ = ("left", "right")


def counting(start):
    while True:
        yield start
        start += 1


def main():
    chain = None
    for value in range(500):
        chain = Node("node %d" % value, chain)
    slotted = Slotted()
    slotted.left, slotted.right = [chain] * 100, {value: str(value) for value in range(1000)}
    running = counting(7)
    next(running)
    cycle = [slotted, running]
    cycle.append(cycle)
    sets = {frozenset((value, value + 1)) for value in range(200)}
    if len(sys.argv) > 2:
        sys.stdout.write(" ".join(sys.argv[2:]) + "\n")
    oracle.park(sys.argv[1], samples=50, deep_samples=0, always=[chain, cycle, sets])


main()
