"""Evaluates expressions in a process that was forked to do so, and whose heap is that of the process that is looked at.

PATH.ask is a fifo for lines "FUNCTION<tab>EXPRESSION", or just an expression; PATH.answers has for each line the
address of the object that it gives, or what went wrong. FUNCTION is one that a thread is in; its locals are names.
"""
import os
import signal
import sys
import traceback

SECONDS = 600


def prepare(path):
    """Before the fork."""
    os.mkfifo(path + ".ask")


def frames():
    for frame in sys._current_frames().values():
        while frame is not None:
            yield frame
            frame = frame.f_back


def evaluate(line):
    function, tab, expression = line.rpartition("\t")
    names = {"sys": sys}
    if function:
        names.update(next(f for f in frames() if function in (f.f_code.co_name, getattr(f.f_code, "co_qualname", ""))).f_locals)
    return eval(expression, names)


def serve(path):
    """Once; waits for the questions, but not forever."""
    signal.alarm(SECONDS)
    with open(path + ".ask") as questions:
        lines = questions.read().splitlines()
    with open(path + ".answers.part", "w") as out:
        for line in lines:
            try:
                out.write("%d\n" % id(evaluate(line)))
            except Exception:
                out.write(traceback.format_exc().splitlines()[-1] + "\n")
    os.rename(path + ".answers.part", path + ".answers")
