"""Several interpreters in one process: the main one, and others that share its lock and allocator or have their own.

usage: interpreters.py TRUTH

Each has objects of its own, a module that nobody else has, and a thread that waits. It writes the truth about itself:
the address of sys.modules, then a line an object in its oldest generation with address, type, size; into TRUTH.0 for
the main one, TRUTH.1 and so on for the others. Up to 3.8 all share one collector, and the main one, which comes last,
tells the truth of all.
"""
import os
import sys

try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters as _interpreters

# Runs in each interpreter first.
PROGRAM = """
import collections, gc, os, sys, threading, time, types
NAME = {name!r}

class Node:
    def __init__(self, number):
        self.number, self.text = number, "%s %d" % (NAME, number)
        self.ring = [self]

class Entry(collections.namedtuple("Entry", "key value")):
    pass

sys.modules["only in " + NAME] = types.ModuleType("only")
nodes = {{number: Node(number) for number in range({nodes})}}
entries = collections.deque(Entry(number, {{number}}) for number in range(100))

def values():
    for node in nodes:
        yield [node]
running = values()
next(running)

def write_truth(descriptor):
    os.write(descriptor, b"%d sys.modules\\n" % id(sys.modules))
    for o in gc.get_objects(2):
        t = type(o)
        name = t.__qualname__ if t.__module__ == "builtins" else t.__module__ + "." + t.__qualname__
        os.write(descriptor, ("%d %s %d\\n" % (id(o), name, sys.getsizeof(o))).encode())

for o in gc.get_objects():
    sys.getsizeof(o)
del o
for _ in range(5):
    gc.collect()
gc.disable()
"""

# Runs in each afterwards. What it makes is young.
END = """
threading.Thread(target=os.read, args=({pipe}, 1)).start()
time.sleep(0.1)  # until the thread is in its read
write_truth({descriptor})
"""


def create(isolated):
    if sys.version_info >= (3, 13):
        return _interpreters.create("isolated" if isolated else "legacy")
    if sys.version_info >= (3, 12):
        return _interpreters.create(isolated=isolated)
    return _interpreters.create(isolated=False) if sys.version_info >= (3, 9) else _interpreters.create()


def run(interpreter, text):
    failure = _interpreters.run_string(interpreter, text)
    assert failure is None, failure


def main():
    pipe = os.pipe()[0]
    descriptors = [os.open("%s.%d" % (sys.argv[1], number), os.O_WRONLY | os.O_CREAT) for number in range(4)]
    interpreters = [create(False), create(True), create(True)]
    for number, interpreter in enumerate(interpreters, 1):
        run(interpreter, PROGRAM.format(name="interpreter %d" % number, nodes=number * 500))
        run(interpreter, END.format(pipe=pipe, descriptor=descriptors[number]))
    scope = {}
    exec(PROGRAM.format(name="the main one", nodes=100), scope)
    exec(END.format(pipe=pipe, descriptor=descriptors[0]), scope)
    os.write(1, b"ready\n")
    os.read(0, 1)
    os._exit(0)


main()
