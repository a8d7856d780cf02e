"""What tracemalloc itself says of a process, told by a forked child as in oracle.py.

Nothing is allocated in the parent after the fork, and what the child allocates before its tables are copied is
traced to lines of this file where the parent never comes; these traces are left out. Lists and ints that are kept
for reuse are used up before, for tracemalloc takes reuse for an allocation.
"""
import _tracemalloc
import gc
import json
import os
import sys
import traceback
import tracemalloc

try:
    from host import fork as FORK  # lent by the program around the interpreter (embed.c)
    ctypes = None
except ImportError:
    import ctypes
    FORK = ctypes.PyDLL(None).fork
READ, ROOM = sys.stdin.buffer.raw.readinto, bytearray(1)
MANAGED_DICT = 1 << 4
MEMORY, TRACES, PID = tracemalloc.get_tracemalloc_memory, _tracemalloc._get_traces, os.getpid
THIS = sys._getframe().f_code.co_filename


def park(path, samples, earlier=None, more=None, stops=False):
    """Write the truth to `path`, print "ready" and block until killed, or come back once a byte was read.

    samples: objects whose tracebacks to tell. stops: there are several, each compared with `earlier`, the path of the one before.
    more(): in the child, for the truth's marks, instead of where all objects are from, which takes long.
    """
    gc.collect()
    gc.disable()
    used_up = [[number + 10 ** 6] for number in range(1000)]
    parent = PID()
    for call in (PID, FORK):  # a number is allocated at that line before the fork, as fork's result is in the parent alone
        call()
    pid = PID()
    if pid != parent:
        memory = MEMORY()
        traces = TRACES()
        objects = gc.get_objects()
        os.write(1, write_truth(path, stops, earlier, memory, [t for t in traces if not is_own(t)], objects, samples, more))
        os._exit(0)
    READ(ROOM)
    return used_up


def memory_line():
    with open(THIS) as source:
        return next(n for n, line in enumerate(source, 1) if line.strip() == "memory = MEMORY()")


LINE = memory_line()


def is_own(trace):
    """Whether the block is of the child's first two calls."""
    filename, line = trace[2][0]
    return filename == THIS and line in (LINE, LINE + 1)


def write_truth(path, stops, earlier, *measured):
    try:
        truth = measure(*measured)
        truth["since"] = compare(path, earlier, measured[1]) if stops else None
        with open(path, "w") as out:
            json.dump(truth, out, separators=(",", ":"))
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        return b"failed\n"
    return b"ready\n"


def measure(memory, traces, objects, samples, more):
    found = [] if more else places(objects)
    of_samples = [[hex(id(o)), type_name(type(o)), outermost_first(traced_frames(o))] for o in samples]
    peak, limit = tracemalloc.get_traced_memory()[1], tracemalloc.get_traceback_limit()
    tracemalloc.stop()  # what follows allocates much
    snapshot = tracemalloc.Snapshot(traces, limit)
    domains = {}
    for trace in traces:
        domain = domains.setdefault(trace[0], [0, 0])
        domain[0] += 1
        domain[1] += trace[1]
    told = {
        "version": sys.version.split()[0], "tracked_count": 0, "address": [], "type": [], "size": [], "types": [],
        "marks": {},
        "memory": memory,
        "peak": peak,
        "limit": limit,
        "lineno": statistics(snapshot, "lineno"),
        "filename": statistics(snapshot, "filename"),
        "traceback": statistics(snapshot, "traceback"),
        "domains": sorted([domain, count, size] for domain, (count, size) in domains.items()),
        "objects": of_samples,
        "places": found,
        "untraced": hex(id(tracemalloc.__dict__)),
    }
    if more:
        told["marks"] = more()
    return told


def compare(path, earlier, traces):
    """{key: [[file, line, size, change, count, change]]} since an earlier stop; None where there is none."""
    snapshot = tracemalloc.Snapshot(traces, tracemalloc.get_traceback_limit())
    snapshot.dump(path + ".snapshot")
    if earlier is None:
        return None
    before = tracemalloc.Snapshot.load(earlier + ".snapshot")
    return {key: [frames(row.traceback)[-1] + [row.size, row.size_diff, row.count, row.count_diff]
                  for row in snapshot.compare_to(before, key)] for key in ("lineno", "filename")}


def statistics(snapshot, key):
    return [[frames(s.traceback), s.size, s.count] for s in snapshot.statistics(key)]


def traced_frames(o):
    """(file, line) of each frame in which it was allocated, the innermost first; None if nobody knows.

    3.11 forgets the words before an object that are for its __dict__; there its block is asked for by address.
    """
    if ctypes and sys.version_info[:2] == (3, 11) and type(o).__flags__ & MANAGED_DICT:
        block = ctypes.pythonapi._PyTraceMalloc_GetTraceback
        block.argtypes, block.restype = [ctypes.c_uint, ctypes.c_size_t], ctypes.py_object
        return block(0, id(o) - 4 * ctypes.sizeof(ctypes.c_void_p))
    return _tracemalloc._get_object_traceback(o)


def outermost_first(traced):
    return traced and [[visible(filename), line] for filename, line in reversed(traced)]


def frames(traceback):
    """The innermost last, as 3.7 and later have it; file names made visible."""
    found = [[visible(frame.filename), frame.lineno] for frame in traceback]
    return found if sys.version_info >= (3, 7) else found[::-1]


VISIBLE = {}


def visible(text):
    if text not in VISIBLE:
        VISIBLE[text] = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return VISIBLE[text]


def places(objects):
    """[file, line, type, how many] of all objects that the collector shows and that are traced."""
    seen = {id(o) for o in objects}
    seen.update((id(seen), id(objects)))
    wave = objects
    while wave:  # many at a time, for each call's list is traced
        referents = {id(referent): referent for referent in gc.get_referents(*wave)}
        wave = [referent for address, referent in referents.items() if address not in seen]
        seen.update(referents)
        objects = objects + wave
    counts = {}
    for o in objects:
        found = traced_frames(o)
        if found and found[0][0] != THIS:
            key = found[0] + (type_name(type(o)),)
            counts[key] = counts.get(key, 0) + 1
    return [[visible(filename), line, name, count] for (filename, line, name), count in counts.items()]


def type_name(t):
    return t.__qualname__ if t.__module__ == "builtins" else "%s.%s" % (t.__module__, t.__qualname__)
