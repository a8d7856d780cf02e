"""The truth about a heap, told by the interpreter itself.

A target program builds its objects and calls park(). The process forks: the child has the same objects at
the same addresses, measures itself with gc and sys, and writes what it found to a file; the parent blocks
in read(0) and waits to be looked at from outside, or to be killed for a core file.

What makes the two equal, to the object:
- The fork is libc's own, called through ctypes.PyDLL with the GIL held. os.fork() would run Python's
  at-fork hooks, which make new locks, reseed random and delete the other threads' states in the child.
- Between the fork and the read the parent creates nothing that the collector tracks, not even a tuple of
  arguments (up to 3.6 each call with more than one argument makes one). The child's first act, in the same frame, is gc.get_objects(); all that it creates later is left out by identity.
- Sizes are taken before anything else holds further references (BytesIO counts its buffer only while
  nobody shares it) and before any function of this file has run often (3.8 to 3.10 give code that was
  called 1024 times a cache that sys.getsizeof counts).
- Frames are looked at last, for sys._current_frames() and gi_frame create frame objects (3.11+) and
  f_locals creates dicts (up to 3.12).

Runs on CPython 2.7 and 3.6 to 3.15, standard library only.
"""
import gc
import json
import os
import sys
import traceback
import types

try:
    from host import fork as FORK  # lent by the program around the interpreter (embed.c)
except ImportError:
    import ctypes
    FORK = ctypes.PyDLL(None).fork
STDIN_AND_LENGTH = (0, 1)
LINES_OF_STDIN = sys.stdin if sys.version_info[0] == 2 else ()  # 2.7 makes a tuple for os.read all the same

# The objects that a deep size neither counts nor walks into, unless they were asked for.
BOUNDARY = (types.ModuleType, type, types.FunctionType, types.CodeType)
if sys.version_info[0] == 2:
    BOUNDARY += (types.ClassType,)

# Types that own a frame while they are suspended, and the prefix of their attributes about it.
SUSPENDABLE = ((types.GeneratorType, "gi_"),)
if sys.version_info[0] > 2:
    SUSPENDABLE += ((types.CoroutineType, "cr_"), (types.AsyncGeneratorType, "ag_"))

BUILTINS = int.__module__
TYPE_MODULE = type.__dict__["__module__"]
TYPE_QUALNAME = type.__dict__.get("__qualname__", type.__dict__["__name__"])

# The types whose traverse functions leave out str keys.
DICTS = (dict,) if sys.version_info < (3, 15) else (dict, frozendict)

HEAP_TYPE = 1 << 9
CO_OPTIMIZED = 1


def complete_types():
    """The static types that are not complete yet, which makes dicts and weak references.

    In a frame of its own: what lay last on the stack of one that runs may look like a reference.
    """
    for o in gc.get_objects():
        sys.getsizeof(o)


def park(path, samples=200, deep_samples=50, always=(), marks=None, more=None, last=True, then=None, among=()):
    """Write the truth to `path`, print "ready", and block until killed; never returns.

    samples: how many objects to ask for their referrers and referents; deep_samples: for deep sizes.
    always: objects that must be among the samples. marks: {name: address} to hand on to the tests.
    last: False to come back, with the collector off, once a byte was read (3.6 on).
    more(objects, tracked_count, sizes by id): what else to write, as a dict; the child calls it once it has all objects and sizes.
    among: addresses of more of them.
    then: what the child goes on to do with `path`, once it has said "ready" for both.
    """
    complete_types()
    gc.collect()
    gc.disable()
    if FORK() == 0:
        tracked = gc.get_objects()
        os.write(1, write_truth(path, tracked, samples, deep_samples, always, marks, more, among))
        if then:
            then(path)
        os._exit(0)
    else:
        for _ in LINES_OF_STDIN:
            pass
        os.read(*STDIN_AND_LENGTH)
        if last:
            os._exit(0)


def write_truth(path, tracked, samples, deep_samples, always, marks, more, among):
    """Child only: measure and write. The line that says how it went."""
    try:
        truth = measure(tracked, samples, deep_samples, always, more, among)
        truth["marks"] = {name: hex(address) for name, address in (marks or {}).items()}
        with open(path, "w") as out:
            json.dump(truth, out, separators=(",", ":"))
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        return b"failed\n"
    return b"ready\n"


def measure(tracked, samples, deep_samples, always, more, among):
    getsizeof, get_referents = sys.getsizeof, gc.get_referents
    asked = say_their_sizes(tracked)
    sizes = [by_layout(o) if type(o) in asked else getsizeof(o) for o in tracked]
    tracked_count = len(tracked)
    # get_objects() leaves out what gc.freeze() set aside; 3.12 does that by itself with immortal objects.
    may_be_set_aside = sys.version_info[:2] == (3, 12) or (sys.version_info >= (3, 7) and gc.get_freeze_count() > 0)

    # Up to 3.10 park's own frame is a tracked object and now refers to `tracked`.
    seen = {id(o) for o in tracked}
    seen.add(id(tracked))
    objects = list(tracked)
    for o in objects:  # grows while it is walked
        for referent in get_referents(o):
            if id(referent) not in seen:
                assert not gc.is_tracked(referent) or may_be_set_aside, "made by measuring: %r" % referent
                seen.add(id(referent))
                objects.append(referent)
    asked |= say_their_sizes(objects)
    sizes += [by_layout(o) if type(o) in asked else getsizeof(o) for o in objects[tracked_count:]]
    size_by_id = dict(zip(map(id, objects), sizes))
    added = more(objects, tracked_count, size_by_id) if more else {}
    always = list(always) + [o for o in objects if id(o) in among]

    names, indices, types_in_order = {}, {}, []
    for o in objects:
        t = type(o)
        if t not in names:
            names[t] = type_name(t)
            indices[t] = len(indices)
            types_in_order.append(names[t])

    chosen = sample(objects, tracked_count, samples, always)
    referents = {hex(id(o)): sorted({hex(id(r)) for r in get_referents(o)} - {hex(id(tracked))}) for o in chosen}
    deep = deep_sizes(always, tracked, deep_samples, size_by_id, names)

    frames = running_frames(seen)
    suspended = suspended_frames(tracked, seen)
    held = set()
    for frame in frames + suspended:
        held.update(frame["locals"].values())
    chosen += [o for o in tracked if hex(id(o)) in held][:samples // 5]
    by_key = dicts_by_key(tracked, {id(o) for o in chosen if type(o) is str})
    # Not gc.get_referrers: it stops at a traverse function that forgets what its base's returned (Task in 3.8).
    found = {id(o): set() for o in chosen}
    for o in tracked:
        for referent in get_referents(o):
            if id(referent) in found:
                found[id(referent)].add(id(o))
    referrers = {hex(o): sorted(map(hex, holders | by_key.get(o, set()))) for o, holders in found.items()}

    truth = {
        "version": sys.version.split()[0],
        "pid": os.getppid(),
        "child": os.getpid(),
        "types": types_in_order,
        "tracked_count": tracked_count,
        "address": list(map(id, objects)),
        "type": [indices[type(o)] for o in objects],
        "size": sizes,
        "size_by_layout": sizes_by_layout(objects),
        "referrers": referrers,
        "referents": referents,
        "deep": deep,
        "frames": frames,
        "suspended": suspended,
    }
    truth.update(added)
    return truth


# ---- sizes that a library's own method says ----

HAVE_GC, MANAGED = 1 << 14, 3 << 3
GC_HEADER, MANAGED_HEADER = 16, 16


def say_their_sizes(objects):
    """The types whose __sizeof__ is written in Python: it is not called, for who knows what it does."""
    own, seen = set(), set()
    for o in objects:
        if type(o) not in seen:
            seen.add(type(o))
            for base in type.__dict__["__mro__"].__get__(type(o)) or ():
                if "__sizeof__" in base.__dict__:
                    if isinstance(base.__dict__["__sizeof__"], types.FunctionType):
                        own.add(type(o))
                    break
    return own


def by_layout(o):
    """The size without such a method; of an instance with a class of 3.11 on."""
    flags = type(o).__flags__
    return object.__sizeof__(o) + (GC_HEADER if flags & HAVE_GC else 0) + (MANAGED_HEADER if flags & MANAGED else 0)


def sizes_by_layout(objects):
    """{address: size} without the method of objects of which a method of a library, in C, says another one.

    Only where it is known which packages are not the interpreter's own (3.10 on).
    """
    own = getattr(sys, "stdlib_module_names", None)
    foreign, found = {}, {}
    for o in objects if own else ():
        t = type(o)
        if t not in foreign:
            name = next(type_name(base) for base in type.__dict__["__mro__"].__get__(t) if "__sizeof__" in base.__dict__)
            foreign[t] = "." in name and name.split(".")[0] not in own
        if foreign[t]:
            found[hex(id(o))] = by_layout(o)
    return found


def type_name(t):
    """A built-in by its bare name, any other type as module.qualname; 2.7 knows but __name__."""
    module, qualname = TYPE_MODULE.__get__(t), TYPE_QUALNAME.__get__(t)
    return qualname if module == BUILTINS else "%s.%s" % (module, qualname)


def sample(objects, tracked_count, count, always):
    """`always`, then round-robin over the types: four fifths tracked objects, one fifth others."""
    tracked_share = count * 4 // 5
    chosen = list(always)
    chosen += round_robin(objects[:tracked_count], tracked_share)
    chosen += round_robin(objects[tracked_count:], count - tracked_share)
    return list({id(o): o for o in chosen}.values())


def round_robin(objects, count):
    by_type = {}
    for o in objects:
        by_type.setdefault(type(o), []).append(o)
    groups = sorted(by_type.values(), key=lambda group: scattered(type_name(type(group[0]))))
    picked, depth = [], 0
    while groups and len(picked) < count:
        # from the middle on: the first and the last of a kind are often special
        picked += [group[(len(group) // 2 + depth) % len(group)] for group in groups]
        depth += 1
        groups = [group for group in groups if depth < len(group)]
    return picked[:count]


def scattered(name):
    """A sort key that spreads like names over the order, always the same way."""
    return sum(i * c for i, c in enumerate(bytearray(name.encode("utf-8", "replace")), 1)) * 7919 % 1009, name


def dicts_by_key(tracked, keys):
    """{id(key): ids of the dicts that have it}, for gc does not show the keys of a dict with only str keys."""
    found = {}
    for o in tracked:
        if issubclass(type(o), DICTS):
            for key in keys_of(o):
                if id(key) in keys:
                    found.setdefault(id(key), set()).add(id(o))
    return found


def keys_of(o):
    """The keys of a dict, whatever its class makes of keys()."""
    return next(list(kind.keys(o)) for kind in DICTS if issubclass(type(o), kind))


# ---- deep sizes ----

# Built-in types all of whose strong references gc.get_referents shows, with the additions of hidden_references().
# A sample whose closure meets any other C type is not taken: its hidden references cannot be told from inside.
TRANSPARENT = {
    "NoneType", "NotImplementedType", "ellipsis", "object", "int", "bool", "float", "complex", "str", "bytes",
    "bytearray", "list", "tuple", "dict", "frozendict", "set", "frozenset", "slice", "range", "memoryview", "managedbuffer",
    "cell", "method", "builtin_function_or_method", "mappingproxy", "staticmethod", "classmethod", "super",
    "generator", "coroutine", "async_generator", "coroutine_wrapper",
    "list_iterator", "list_reverseiterator", "tuple_iterator", "set_iterator", "dict_keyiterator",
    "dict_valueiterator", "dict_itemiterator", "dict_keys", "dict_values", "dict_items", "bytes_iterator",
    "enumerate", "reversed", "zip", "map", "filter", "range_iterator",
    "weakref", "weakref.ReferenceType", "weakproxy", "weakref.ProxyType", "types.SimpleNamespace",
    "collections.deque", "collections.defaultdict", "collections.OrderedDict", "array.array",
    "functools.partial", "functools._lru_cache_wrapper", "functools._lru_list_elem",
    "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "datetime.timezone",
    "decimal.Decimal", "_thread.lock", "_thread.RLock", "itertools.chain", "itertools.cycle", "itertools.count",
    "itertools.islice", "itertools.repeat", "operator.itemgetter", "operator.attrgetter",
    "types.GenericAlias", "types.UnionType",
    "string.templatelib.Template", "string.templatelib.Interpolation", "BaseException", "Exception", "ValueError", "KeyError", "OSError",
    "FileNotFoundError", "StopIteration", "RuntimeError", "TypeError", "IndexError", "LookupError", "ArithmeticError",
    "ZeroDivisionError", "AttributeError", "UnicodeDecodeError",
    # 2.7
    "long", "unicode", "basestring", "xrange", "instance", "instancemethod", "dictproxy", "listiterator",
    "tupleiterator", "setiterator", "dictionary-keyiterator", "dictionary-valueiterator", "dictionary-itemiterator",
    "exceptions.BaseException", "exceptions.Exception", "exceptions.StandardError", "exceptions.ValueError",
    "exceptions.KeyError", "exceptions.LookupError", "exceptions.TypeError", "exceptions.RuntimeError", "thread.lock",
}

# Modules whose classes are all written in Python, so that gc shows their instances' references.
PYTHON_MODULES = {
    "__main__", "oracle", "threading", "weakref", "_weakrefset", "uuid", "enum", "fractions", "dataclasses", "queue",
    "collections", "logging", "contextlib", "string", "random",
    "asgiref", "django", "pandas", "software", "sqlalchemy",
}


def deep_sizes(always, tracked, count, size_by_id, names):
    """{address: [bytes, objects, {type: [count, bytes]}]}: `always` whatever it takes, then small closures."""
    transparent = {}
    result = {}
    for candidates, limit in ((always, len(size_by_id)), (round_robin(tracked, 40 * count), 2000)):
        for o in candidates:
            if len(result) < count:
                closure = deep_closure(o, limit, id(tracked), names, transparent)
                if closure is not None:
                    result[hex(id(o))] = summed(closure, size_by_id, names)
    return result


def deep_closure(start, limit, own, names, transparent):
    """What `start` reaches by strong references, itself included; None if that is too much or cannot be told."""
    seen, closure = {id(start)}, [start]
    for o in closure:  # grows while it is walked
        t = type(o)
        if t not in transparent:
            transparent[t] = is_transparent(t, names)
        hidden = hidden_references(o)
        if hidden is None or len(closure) > limit or not transparent[t]:
            return None
        for r in gc.get_referents(o) + hidden:
            if id(r) == own:
                return None
            if id(r) not in seen and not issubclass(type(r), BOUNDARY):
                seen.add(id(r))
                closure.append(r)
    return closure


def is_transparent(t, names):
    """Whether every C type that t inherits from is known to show its references."""
    for base in type.__dict__["__mro__"].__get__(t):
        name = names.get(base) or type_name(base)
        if name not in TRANSPARENT and not (base.__flags__ & HEAP_TYPE and name.split(".")[0] in PYTHON_MODULES):
            return False
    return True


def hidden_references(o):
    """Strong references that gc.get_referents leaves out, of the types in TRANSPARENT; None if out of reach.

    Strings cannot be part of cycles, so tp_traverse may skip them: keys of dicts with only str keys, names
    of generators. Types without GC support have no tp_traverse at all: range, datetime, slice in some versions.
    The names of attributes kept in an instance without a dict (3.11+) belong to the type, not to the instance.
    """
    t = type(o)
    if issubclass(t, DICTS):
        return keys_of(o)
    for kind, prefix in SUSPENDABLE:
        if issubclass(t, kind):
            # while it runs, its traverse function does not show its locals
            if getattr(o, prefix + "running"):
                return None
            return [o.__name__, o.__qualname__] if hasattr(o, "__qualname__") else []
    if issubclass(t, slice):
        return [o.start, o.stop, o.step]
    if isinstance(range, type) and issubclass(t, range):
        # a range also holds its length; up to 256 that is the interpreter's one int of that value
        return [o.start, o.stop, o.step, len(o)] if len(o) <= 256 else None
    names = {base.__name__ for base in t.__mro__ if base.__module__ == "datetime"}
    if names & {"datetime", "time"}:
        return [o.tzinfo] if o.tzinfo is not None else []  # a naive one has no room for it
    if "timezone" in names:
        return list(o.__getinitargs__())
    return []


def summed(closure, size_by_id, names):
    total, by_type = 0, {}
    for o in closure:
        size = size_by_id.get(id(o))
        if size is None:
            size = sys.getsizeof(o)
        total += size
        name = names.get(type(o)) or type_name(type(o))
        entry = by_type.setdefault(name, [0, 0])
        entry[0] += 1
        entry[1] += size
    return [total, len(closure), by_type]


# ---- frames ----


def running_frames(seen):
    """The functions that threads are in, with the locals that hold objects known to the parent."""
    frames = []
    for thread, frame in sys._current_frames().items():
        while frame is not None:
            if frame.f_code.co_filename != running_frames.__code__.co_filename:
                frames += describe_frame(frame, seen, thread=thread)
            frame = frame.f_back
    return frames


def suspended_frames(tracked, seen):
    frames = []
    for o in tracked:
        t = type(o)
        for kind, prefix in SUSPENDABLE:
            if issubclass(t, kind) and not getattr(o, prefix + "running"):
                frame = getattr(o, prefix + "frame")
                if frame is not None:
                    frames += describe_frame(frame, seen, owner=hex(id(o)))
    return frames


def describe_frame(frame, seen, **keys):
    """A list of no or one frame: module and class bodies have no locals of their own but a dict."""
    code = frame.f_code
    if not code.co_flags & CO_OPTIMIZED:
        return []
    cells = set(code.co_cellvars + code.co_freevars)
    keys.update({
        "function": code.co_name,
        "file": code.co_filename,
        "line": frame.f_lineno,
        # what a cell holds is the cell's reference, not the frame's
        "locals": {name: hex(id(value)) for name, value in frame.f_locals.items()
                   if name not in cells and id(value) in seen},
    })
    return [keys]
