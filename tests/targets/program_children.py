"""A parent that waits for its child, which collects what it should pass on.

usage: see programs.py; the child's truth is TRUTH.child
"""
import os
import subprocess
import sys

import programs

RECORDS = 10000


class Record(object):
    def __init__(self, number):
        self.number, self.text = number, "record %d " % number * 8


def collect():
    backlog = [Record(number) for number in range(RECORDS)]
    programs.stay("backlog")


def main():
    arguments = [argument + ".child" for argument in sys.argv[1:2]]
    child = subprocess.Popen([sys.executable, "-W", "ignore", __file__] + arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             env=dict(os.environ, PROGRAM_CHILD="1"))
    assert child.stdout.readline() == b"ready\n"
    programs.stay(child=child.pid)


if "PROGRAM_CHILD" in os.environ:
    collect()
else:
    main()
