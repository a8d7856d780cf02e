"""A leak of one shape, for `suspects` to name.

usage: leaks.py TRUTH SHAPE    the truth's marks tell the address of what holds the most
"""
import ctypes
import logging
import logging.handlers
import os
import sys
import threading
import time

import oracle

COUNT = 20000


class Record(object):
    def __init__(self, number):
        self.number, self.text = number, "text of record %d" % number


class Cache(object):
    store = {}


def class_level():
    for number in range(COUNT):
        Cache.store[number] = (number, Record(number))
    return Cache.store, []


def make_handler():
    seen = []

    def handler(request):
        seen.append(request)
    for number in range(COUNT):
        handler(Record(number))
    return handler, seen


def closure():
    handler, seen = make_handler()
    Cache.handler = handler
    return seen, []


def logging_handler():
    handler = logging.handlers.MemoryHandler(10 ** 9, flushLevel=10 ** 9)
    logger = logging.getLogger("leaking.logger")
    logger.propagate = False
    logger.addHandler(handler)
    for number in range(COUNT // 4):
        logger.error("message %d", number)
    return handler.buffer, []


def failing():
    rows = [Record(number) for number in range(COUNT)]
    raise ValueError(id(rows))


def traceback():
    try:
        failing()
    except ValueError as error:
        Cache.last_error = error
        return error.__traceback__.tb_next.tb_frame.f_locals["rows"], []


def keep(local, filled):
    local.rows = [Record(number) for number in range(COUNT)]
    filled.append(local.rows)
    local.filled.set()
    os.read(os.pipe()[0], 1)


class Local(threading.local):
    filled = threading.Event()


def thread_local():
    Cache.local, filled = Local(), []
    threading.Thread(target=keep, args=(Cache.local, filled), daemon=True).start()
    Local.filled.wait()
    time.sleep(0.1)  # until it is in its read: a fork must not meet it with a lock
    return filled.pop(), []


def native():
    """References that nobody has: 5,000 to one dict, and one to each of 3,000 lists, of which 1,000 are held besides."""
    take = ctypes.pythonapi.Py_IncRef
    take.argtypes, take.restype = [ctypes.py_object], None
    shared = {"shared": "dict", "padding": [str(number) for number in range(30)]}
    for _ in range(5000):
        take(shared)
    lists = [[number, [number]] for number in range(3000)]
    for one in lists:
        take(one)
    del lists[1000:], one
    return shared, [shared, lists]


def sound():
    return [Record(number) for number in range(10)], []


def roomy():
    """A function with many locals, whose frame leaves nothing of earlier ones on the stack: that may look like a reference."""
    names = {}
    exec("def many():\n    %s = None" % " = ".join("v%d" % n for n in range(60)), names)
    return names["many"]


def main():
    holder, kept = {shape.__name__: shape for shape in (
        class_level, closure, logging_handler, traceback, thread_local, native, sound)}[sys.argv[2]]()
    marks = {"holder": id(holder)}
    if sys.argv[2] != "native":
        del holder
    roomy()()
    oracle.park(sys.argv[1], samples=0, deep_samples=0, marks=marks)
    return kept


main()
