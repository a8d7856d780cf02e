"""A program whose allocations tracemalloc traces.

usage: traced.py TRUTH HOW    HOW is the number of frames to start with, "environment" where tracemalloc runs already,
                              "off", "stopped", or "busy": then it never comes to rest
"""
import os
import sys

try:
    import tracemalloc
except ImportError:  # in a program that hides its symbols it finds no pickle, which it does not need here
    sys.modules["pickle"] = sys
    import tracemalloc

HOW = sys.argv[2]
if HOW in ("stopped", "busy"):
    tracemalloc.start(3)
elif HOW.isdigit():
    tracemalloc.start(int(HOW))

try:
    import ctypes
except ImportError:  # in a program that hides its symbols
    ctypes = None
import traced_truth


class Node(object):
    def __init__(self, number):
        self.number, self.children, self.text = number, [number], "node %d" % number


class Slotted(object):
    __slots__ = ("left", "right", "__weakref__")

    def __init__(self, left):
        self.left, self.right = left, (left,)


def leaf(number):
    return Node(number)


def inner(number):
    return leaf(number)


def deep(number, depth):
    return deep(number, depth - 1) if depth else bytearray(1000 + number)


def build():
    kept = {
        "nodes": [leaf(number) for number in range(300)],
        "inner": [inner(number) for number in range(200)],
        "slotted": [Slotted(number * 1000) for number in range(100)],
        "deep": [deep(number, number % 20) for number in range(100)],
        "dict": {"key %d" % number: float(number) for number in range(500)},
        "set": set(str(number) for number in range(400)),
        "large": b"x" * 5000000,
        "text": u"\u20ac" * 100000,
        "function": lambda: kept,
        "class": type("Made", (Node,), {"made": 1}),
    }
    peak = bytearray(30000000)
    del peak
    return kept


def track(domain, count):
    """Blocks of a domain of its own, as an extension module has them."""
    trace = getattr(ctypes.pythonapi, "PyTraceMalloc_Track", None) or ctypes.pythonapi._PyTraceMalloc_Track
    trace.argtypes = [ctypes.c_uint, ctypes.c_size_t, ctypes.c_size_t]
    blocks = [ctypes.create_string_buffer(100 + number) for number in range(count)]
    for number, block in enumerate(blocks):
        trace(domain, ctypes.addressof(block), 100 + number)
    return blocks


KEPT = build()
NAMESPACE = {}
eval(compile("exec('ODD = [object() for _ in range(50)]', NAMESPACE)", "odd\nname \u20ac \udc80.py", "eval"))
if ctypes and tracemalloc.is_tracing():
    TRACKED = [track(389047, 20), track(7, 1)]
if HOW == "stopped":
    tracemalloc.stop()
if HOW == "busy":
    os.write(1, b"ready\n")
while HOW == "busy":
    KEPT["busy"] = [Node(number) for number in range(1000)]

traced_truth.park(sys.argv[1], KEPT["nodes"] + KEPT["slotted"] + KEPT["deep"] + [KEPT["class"], KEPT["function"], KEPT["dict"]])
