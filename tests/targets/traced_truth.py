"""What tracemalloc itself says of a process, told by a forked child as in oracle.py.

Nothing is allocated in the parent after the fork, and what the child allocates before its tables are copied is
traced to lines of this file where the parent never comes; these traces are left out. Lists and ints that are kept
for reuse are used up before, for tracemalloc takes reuse for an allocation.
"""
import _tracemalloc
import ctypes
import gc
import json
import os
import sys
import traceback
import tracemalloc

FORK = ctypes.PyDLL(None).fork
FORK.restype = None
READ = ctypes.PyDLL(None).read
STDIN_NOWHERE_ONE = (0, 0, 1)
MANAGED_DICT = 1 << 4
if sys.version_info[:2] == (3, 11):
    BLOCK = ctypes.pythonapi._PyTraceMalloc_GetTraceback
    BLOCK.argtypes, BLOCK.restype = [ctypes.c_uint, ctypes.c_size_t], ctypes.py_object
MEMORY, TRACES, PID = tracemalloc.get_tracemalloc_memory, _tracemalloc._get_traces, os.getpid
THIS = sys._getframe().f_code.co_filename


def park(path, samples):
    """Write the truth to `path`, print "ready" and block until killed; never returns."""
    gc.collect()
    gc.disable()
    used_up = [[number + 10 ** 6] for number in range(1000)]
    parent = PID()
    FORK()
    pid = PID()
    if pid != parent:
        memory = MEMORY()
        traces = TRACES()
        objects = gc.get_objects()
        lines = range(memory_line(), memory_line() + 2)
        os.write(1, write_truth(path, memory, [t for t in traces if not is_of(t, lines)], objects, samples))
        os._exit(0)
    READ(*STDIN_NOWHERE_ONE)
    return used_up


def memory_line():
    code = park.__code__
    with open(code.co_filename) as source:
        return next(n for n, line in enumerate(source, 1) if line.strip() == "memory = MEMORY()")


def is_of(trace, lines):
    filename, line = trace[2][0]
    return filename == THIS and line in lines


def write_truth(path, *measured):
    try:
        with open(path, "w") as out:
            json.dump(measure(*measured), out, separators=(",", ":"))
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        return b"failed\n"
    return b"ready\n"


def measure(memory, traces, objects, samples):
    found = places(objects)
    snapshot = tracemalloc.Snapshot(traces, tracemalloc.get_traceback_limit())
    domains = {}
    for trace in traces:
        domain = domains.setdefault(trace[0], [0, 0])
        domain[0] += 1
        domain[1] += trace[1]
    return {
        "version": sys.version.split()[0], "tracked_count": 0, "address": [], "type": [], "size": [], "types": [],
        "marks": {},
        "memory": memory,
        "peak": tracemalloc.get_traced_memory()[1],
        "limit": tracemalloc.get_traceback_limit(),
        "lineno": statistics(snapshot, "lineno"),
        "filename": statistics(snapshot, "filename"),
        "traceback": statistics(snapshot, "traceback"),
        "domains": sorted([domain, count, size] for domain, (count, size) in domains.items()),
        "objects": [[hex(id(o)), type_name(type(o)), frames(traceback_of(o))] for o in samples],
        "places": found,
    }


def statistics(snapshot, key):
    return [[frames(s.traceback), s.size, s.count] for s in snapshot.statistics(key)]


def traceback_of(o):
    """3.11 forgets the words before an object that are for its __dict__; there its block is asked for by address."""
    if sys.version_info[:2] == (3, 11) and type(o).__flags__ & MANAGED_DICT:
        found = BLOCK(0, id(o) - 4 * ctypes.sizeof(ctypes.c_void_p))
        return tracemalloc.Traceback(found) if found else None
    return tracemalloc.get_object_traceback(o)


def frames(traceback):
    """The innermost last, as 3.7 and later have it; file names made visible."""
    if traceback is None:
        return None
    found = [[visible(frame.filename), frame.lineno] for frame in traceback]
    return found if sys.version_info >= (3, 7) else found[::-1]


def visible(text):
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def places(objects):
    """[file, line, type, how many] of all objects that the collector shows and that are traced."""
    seen = {id(o) for o in objects}
    seen.update((id(seen), id(objects)))
    for o in objects:  # grows while it is walked
        for referent in gc.get_referents(o):
            if id(referent) not in seen:
                seen.add(id(referent))
                objects.append(referent)
    counts = {}
    for o in objects:
        found = frames(traceback_of(o))
        if found and found[-1][0] != THIS:
            key = (found[-1][0], found[-1][1], type_name(type(o)))
            counts[key] = counts.get(key, 0) + 1
    return [list(key) + [count] for key, count in counts.items()]


def type_name(t):
    return t.__qualname__ if t.__module__ == "builtins" else "%s.%s" % (t.__module__, t.__qualname__)
