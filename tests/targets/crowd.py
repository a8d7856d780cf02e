"""Threads of all kinds, and objects set aside.

usage: crowd.py TRUTH THREADS

Parks with so many Python threads, with threads that Python knows nothing of, and with a frozen part of the heap.
"""
import ctypes
import gc
import os
import sys
import threading

import oracle

FOREIGN_THREADS = 3


def start_foreign_thread(libc):
    """A thread that runs C code alone."""
    thread = ctypes.c_ulong()
    entry = ctypes.cast(libc.pause, ctypes.c_void_p)
    assert libc.pthread_create(ctypes.byref(thread), None, entry, None) == 0


def main():
    frozen = [{number: [number]} for number in range(400)]
    gc.collect()
    gc.freeze()
    pipe = os.pipe()[0]
    libc = ctypes.CDLL(None)
    for _ in range(FOREIGN_THREADS):
        start_foreign_thread(libc)
    for number in range(int(sys.argv[2])):
        threading.Thread(target=os.read, args=(pipe, 1), name="worker %d" % number, daemon=True).start()
    oracle.park(sys.argv[1], samples=0, deep_samples=0, always=frozen[:1],
                marks={"frozen": id(frozen[0]), "freeze_count": gc.get_freeze_count()})


main()
