"""A program that leaks a little with each request, and asks for its parent's id after each: there a breakpoint stops it.

usage: requests.py ROUNDS
"""
import os
import sys

LOG = [None] * 10000
CACHE = {}


def handle(request):
    for number in range(100):
        LOG[request * 100 + number] = b"x" * (1000 + number)  # 100 blocks
    CACHE[request] = bytearray(50000)  # one for the object, one for its buffer


def main():
    for request in range(int(sys.argv[1])):
        handle(request)
        os.getppid()


main()
