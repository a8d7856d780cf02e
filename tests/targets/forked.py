"""A process and its child by os.fork, each parked with the truth about itself.

usage: forked.py TRUTH main|thread    the child's is TRUTH.child; forked by the main thread, or by another
"""
import os
import sys
import threading

import oracle


class Node:
    def __init__(self, number):
        self.number, self.ring = number, [self]


def fork_and_stay(path, forked):
    """In the child, park; in the parent, wait."""
    if os.fork() == 0:
        children = [Node(number) for number in range(700)]
        oracle.park(path, samples=0, deep_samples=0, always=children[:1])
    forked.set()
    os.read(os.pipe()[0], 1)


def main():
    path, where = sys.argv[1:]
    parents = [Node(number) for number in range(300)]
    child_path = path + ".child"
    threading.Thread(target=os.read, args=(os.pipe()[0], 1), daemon=True).start()
    if where == "thread":
        forked = threading.Event()
        threading.Thread(target=fork_and_stay, args=(child_path, forked), daemon=True).start()
        forked.wait()
    elif os.fork() == 0:
        parents += [Node(number) for number in range(700)]
        oracle.park(child_path, samples=0, deep_samples=0)
    oracle.park(path, samples=0, deep_samples=0)


main()
