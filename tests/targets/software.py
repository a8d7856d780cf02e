"""What the programs with real software in them (real_*.py) share: how they come to rest.

usage: real_NAME.py [TRUTH]    with TRUTH as oracle.park, and then answers.serve; without, print "ready" and wait
"""
import os
import sys

import answers
import oracle


def stay(**marks):
    """Objects by names, which are for the tests to ask about; given by id(), so that nothing here holds them. Never returns."""
    if len(sys.argv) > 1:
        answers.prepare(sys.argv[1])
        oracle.park(sys.argv[1], samples=150, deep_samples=60, marks=marks, among=set(marks.values()), then=answers.serve)
    os.write(1, b"ready\n")
    os.read(0, 1)
    os._exit(0)
