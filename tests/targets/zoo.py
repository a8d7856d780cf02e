"""A heap with several instances of every type that the standard library can create.

usage: zoo.py TRUTH [SAMPLES]    (see oracle.park)

Each family is a generator function marked @family; what it yields is kept alive in ZOO[its name]. What a
version or a build lacks is left out by the family itself.
"""
import array
import asyncio
import collections
import contextlib
import ctypes
import datetime
import decimal
import enum
import fractions
import functools
import io
import itertools
import json
import mmap
import operator
import os
import pickle
import queue
import random
import re
import select
import socket
import string
import struct
import sys
import tempfile
import threading
import time
import types
import uuid
import weakref

import oracle

try:
    import contextvars
    import dataclasses
except ImportError:  # before 3.7
    contextvars = dataclasses = None

ZOO = {}
FAMILIES = []
MARKS = {}
HUGE = 1200


def family(make):
    FAMILIES.append(make)
    return make


def build():
    for make in FAMILIES:
        ZOO[make.__name__] = list(make())


# ---- scalars and strings ----


@family
def numbers():
    for bits in (0, 1, 8, 29, 30, 31, 59, 60, 61, 90, 300, 6000, 40000):
        yield (1 << bits) + 12345 * (bits > 20)
        yield -(1 << bits) - 54321 * (bits > 20)
    yield from (0, -5, 256, 257, -6, True, False)
    yield from (float("2.5"), float("nan"), float("-inf"), complex(1.5, -2), complex("3j"))
    yield int("7" * HUGE) // 3


@family
def strings():
    for text in ("", "a", "é", "ascii text", "latin é", "ucs2 \u20ac", "ucs4 \U0001f600", "\0nul", "\x1b[31m"):
        yield text
        yield (text + "!") * 3
        yield (text + "?") * HUGE
    yield sys.intern("interned at run time %d" % os.getpid())
    yield from cached_utf8()
    yield from legacy_strings()


def cached_utf8():
    """Strings that keep their UTF-8 form, as PyUnicode_AsUTF8 leaves it."""
    as_utf8 = ctypes.pythonapi.PyUnicode_AsUTF8
    as_utf8.restype, as_utf8.argtypes = ctypes.c_char_p, [ctypes.py_object]
    for text in ("utf8 é %d", "utf8 \u20ac %d", "utf8 \U0001f600 %d", "utf8 " + "é" * HUGE + "%d", "ascii %d"):
        value = text % os.getpid()
        before = sys.getsizeof(value)
        as_utf8(value)
        assert max(text) < "\x80" or sys.getsizeof(value) > before
        yield value


def legacy_strings():
    """Up to 3.11: strings with a wchar_t form, ready and not."""
    if sys.version_info >= (3, 12):
        return
    from_unicode = ctypes.pythonapi.PyUnicode_FromUnicode
    from_unicode.restype, from_unicode.argtypes = ctypes.py_object, [ctypes.c_wchar_p, ctypes.c_ssize_t]
    as_unicode = ctypes.pythonapi.PyUnicode_AsUnicode
    as_unicode.restype, as_unicode.argtypes = ctypes.c_void_p, [ctypes.py_object]
    for text in ("not ready", "not ready \u20ac", "not ready \U0001f600", "n" * HUGE):
        value = from_unicode(None, len(text))  # not ready: only the wchar_t form
        ctypes.memmove(as_unicode(value), text, 4 * len(text))
        yield value
        value = from_unicode(None, len(text))
        ctypes.memmove(as_unicode(value), text, 4 * len(text))
        hash(value)  # makes it ready, and keeps or drops the wchar_t form
        yield value
    for text in ("wstr ascii %d", "wstr é %d", "wstr \u20ac %d", "wstr \U0001f600 %d"):
        value = text % os.getpid()
        as_unicode(value)  # adds the wchar_t form to a compact string
        yield value


@family
def bytes_and_bytearrays():
    yield from (b"", b"x", bytes(3), b"\xff" * 100, bytes(HUGE))
    yield from (bytearray(), bytearray(b"x"), bytearray(600), bytearray(b"y" * HUGE))
    grown = bytearray()
    for i in range(500):
        grown.append(i % 256)
    yield grown
    trimmed = bytearray(b"0123456789" * 40)
    del trimmed[:150]
    yield trimmed
    exported = bytearray(b"held by a view")
    yield exported
    yield memoryview(exported)
    shrunk = bytearray(HUGE)
    del shrunk[10:]
    yield shrunk


# ---- containers ----


@family
def lists_and_tuples():
    yield from ([], [1], [None] * 10, list(range(HUGE)), [[]], [[1], [2, [3]]])
    grown = []
    for i in range(100):
        grown.append(str(i))
    yield grown
    shrunk = list(range(HUGE))
    del shrunk[5:]
    yield shrunk
    popped = [object(), object()]
    popped.pop()
    popped.pop()
    yield popped
    loop = []
    loop.append(loop)
    yield loop
    yield from ((), (1,), (1, "two", 3.0), tuple(range(HUGE)), ([],), ((), ((), ())), (object(), [1]))
    yield sorted(str(i) for i in range(70))


@family
def dicts():
    yield from ({}, {"a": 1}, {1: "int key"}, {("t",): []}, {None: None, "mixed": 1, 2.5: 3})
    for n in (4, 5, 6, 8, 10, 11, 20, 100, 200, 500, HUGE, 70000):
        yield {"key %d" % i: i for i in range(n)}
        yield {i: str(i) for i in range(n)}
    deleted = {"k%d" % i: [i] for i in range(100)}
    for i in range(0, 100, 3):
        del deleted["k%d" % i]
    yield deleted
    emptied = {"k%d" % i: i for i in range(50)}
    while emptied:
        emptied.popitem()
    yield emptied
    cleared = {"k": 1}
    cleared.clear()
    yield cleared
    shrunk = {i: i for i in range(1000)}
    for i in range(990):
        del shrunk[i]
    shrunk["again"] = 1
    yield shrunk
    yield dict(shrunk)
    yield {"k%d" % i: i for i in range(5)}.copy()
    yield dict.fromkeys("abcdefgh")
    yield dict.fromkeys(range(40), [])
    yield dict(a=1, b=[], c={})
    turned = {"s": 1, "t": 2}
    turned[3] = "no longer str only"
    yield turned


@family
def dict_views_and_iterators():
    d = {"a": [1], "b": [2], 3: [4]}
    yield d
    yield from (d.keys(), d.values(), d.items(), iter(d), iter(d.values()), iter(d.items()))
    if sys.version_info >= (3, 8):
        yield from (reversed(d), reversed(d.values()), reversed(d.items()))
    started = iter(d.items())
    next(started)
    yield started
    exhausted = iter(d)
    list(exhausted)
    yield exhausted
    yield types.MappingProxyType(d)
    yield types.MappingProxyType(Config())


@family
def sets():
    for kind in (set, frozenset):
        for n in (0, 1, 4, 5, 8, 9, 50, 500, HUGE):
            yield kind(range(n))
            yield kind("s%d" % i for i in range(n))
        yield kind([("t", 1), None, 2.5])
    deleted = set(range(100))
    for i in range(0, 100, 2):
        deleted.discard(i)
    yield deleted
    cleared = set(range(100))
    cleared.clear()
    yield cleared
    yield from (iter({1, 2}), iter(frozenset("ab")))
    yield {frozenset({frozenset()})}


@family
def ranges_slices_iterators():
    yield from (range(0), range(10), range(5, 1000, 7), range(10 ** 20), range(10, 0, -1))
    yield from (slice(None), slice(1, 2), slice([], (), {}), slice(10 ** 10, None, -1))
    yield from (iter(range(10)), iter(range(10 ** 20)), iter([1, 2]), reversed([1, 2]), iter((1, 2)), reversed((1, 2)))
    yield from (iter("text"), iter("latin é"), iter("€"), iter(b"bytes"), iter(bytearray(b"ba")))
    yield from (iter(memoryview(b"mv")), iter(array.array("i", [1])), iter(collections.deque([1])))
    yield from (reversed(collections.deque([1])), iter(collections.OrderedDict(a=1)))
    yield from (iter(lambda: 1, 2), iter(Sequence()), reversed(Sequence()))
    yield from (enumerate([1, 2]), enumerate("ab", 10 ** 30), zip([1], (2,)), map(str, [1]), map(divmod, [1], [2]))
    yield from (filter(None, [1]), reversed(range(3)))
    exhausted = iter([1])
    list(exhausted)
    yield exhausted
    yield Ellipsis
    yield NotImplemented
    yield object()


class Sequence:
    def __getitem__(self, i):
        if i > 2:
            raise IndexError(i)
        return i

    def __len__(self):
        return 3


@family
def memoryviews():
    yield memoryview(b"abc")
    yield memoryview(bytes(24)).cast("B", [2, 3, 4])
    yield memoryview(bytes(24)).cast("i")
    yield memoryview(bytearray(100))[10:90:3]
    if sys.version_info >= (3, 8):
        yield memoryview(array.array("d", [1, 2, 3])).toreadonly()
    released = memoryview(b"gone")
    released.release()
    yield released
    yield memoryview(memoryview(b"nested"))
    yield memoryview((ctypes.c_int * 4)())
    yield memoryview(((ctypes.c_short * 3) * 2)())
    yield memoryview(b"")
    yield memoryview(mmap.mmap(-1, 4096))


# ---- classes and instances ----


class Config(dict):
    pass


class Empty:
    pass


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def move(self):
        return self

    @property
    def both(self):
        return self.x, self.y

    @staticmethod
    def static(a):
        return a

    @classmethod
    def klass(cls):
        return cls


class Many:
    def __init__(self, n):
        for i in range(n):
            setattr(self, "attribute_%d" % i, [i])


class Slots:
    __slots__ = ("a", "b")


class SlotsAndDict(Slots):
    def __init__(self):
        self.a, self.c = [1], [2]


class SlotsDictWeak:
    __slots__ = ("x", "__dict__", "__weakref__")


class OnlyDict:
    __slots__ = ("__dict__",)


class OnlyWeak:
    __slots__ = ("__weakref__",)


class ManySlots:
    __slots__ = tuple("slot_%d" % i for i in range(100))


class Meta(type):
    def __init__(cls, name, bases, namespace):
        super().__init__(name, bases, namespace)
        cls.registry = [name]


class MetaSlots(type):
    extra = property(lambda cls: cls)


class WithMeta(metaclass=Meta):
    pass


class WithMetaSlots(metaclass=MetaSlots):
    __slots__ = ("a",)


class Outer:
    class Inner:
        class Innermost:
            value = 1


@family
def instances():
    yield from (Empty(), Point(1, [2]), Point("x", None), Many(3), Many(29), Many(30), Many(31), Many(200))
    materialised = Point([1], [2])
    yield materialised.__dict__
    yield materialised
    replaced = Point(1, 2)
    replaced.__dict__ = {"x": [1], 5: "not a name"}
    yield replaced
    deleted = Point([3], [4])
    del deleted.x
    yield deleted
    extended = Point(1, 2)
    extended.extra = [5]
    yield extended
    unlike = Empty()
    unlike.__dict__[17] = "int key"
    yield unlike
    reordered = Point.__new__(Point)
    reordered.y, reordered.x = 1, 2
    yield reordered
    emptied = Point(1, 2)
    emptied.__dict__.clear()
    yield emptied
    shared = Empty()
    shared.__dict__ = materialised.__dict__
    yield shared
    slots = Slots()
    slots.a = [1]
    yield from (slots, Slots(), SlotsAndDict(), SlotsDictWeak(), OnlyDict(), OnlyWeak(), ManySlots())
    both = SlotsDictWeak()
    both.x, both.y = [1], [2]
    yield both
    yield weakref.ref(both)
    filled = ManySlots()
    for name in ManySlots.__slots__:
        setattr(filled, name, [name])
    yield filled
    yield from (WithMeta(), WithMetaSlots(), Outer(), Outer.Inner(), Outer.Inner.Innermost())
    anonymous = type("Größe.\u20ac", (Point,), {"__module__": "päckchen"})
    yield anonymous(1, 2)
    yield [Point(i, str(i)) for i in range(50)]


@family
def classes():
    yield from (Empty, Point, Meta, WithMeta, Outer.Inner, int, type, object)
    yield type("Dynamic", (), {"field": []})
    yield type("Slotted", (), {"__slots__": ("p", "q")})
    yield type("Deep", (type("Middle", (Point,), {}),), {})
    generic = types.new_class("New", (Empty,), {}, lambda ns: ns.update(a=1))
    yield generic
    yield Point.__dict__
    local = [type("Local%d" % i, (Empty,), {"i": i}) for i in range(5)]
    yield [cls() for cls in local]
    if sys.version_info >= (3, 9):
        yield from (list[int], dict[str, list[int]], tuple[int, ...])
    if sys.version_info >= (3, 10):
        yield from (int | str, list[int] | None)


def subclass_instances(base, values):
    """An instance for each way in which a class can add room to what it inherits."""
    for value in values:
        for slots in (None, (), ("__dict__",), ("__weakref__",), ("a", "b")):
            namespace = {} if slots is None else {"__slots__": slots}
            try:
                cls = type("%s_%s" % (base.__name__, "plain" if slots is None else "_".join(slots) or "bare"),
                           (base,), namespace)
                o = cls(*value)
            except (TypeError, AttributeError):
                continue  # variable-size bases allow no slots; a property needs room for __doc__
            for name in ("a", "c"):
                with contextlib.suppress(AttributeError, TypeError):
                    setattr(o, name, [name])
            yield o


@family
def builtin_subclasses():
    huge = "x" * HUGE
    for base, values in (
            (int, [(), (5,), (10 ** 50,)]),
            (float, [(2.5,)]),
            (complex, [(1, 2)]),
            (str, [("",), ("ascii",), ("é",), ("\u20ac",), ("\U0001f600",), (huge,)]),
            (bytes, [(b"",), (b"some",), (huge.encode(),)]),
            (bytearray, [(b"",), (b"some",), (huge.encode(),)]),
            (list, [(), ([1, 2],), (range(HUGE),)]),
            (tuple, [(), ([[1], 2],), (range(HUGE),)]),
            (dict, [(), ({"a": [1]},), ({1: [2]},)]),
            (set, [(), ([1, 2],), (range(HUGE),)]),
            (frozenset, [(), ([1, 2],), (range(HUGE),)]),
            (object, [()]),
            (Exception, [(), ("message", 1)]),
            (OSError, [(2, "no such file", "name")]),
            (types.ModuleType, [("made_up",)]),
            (property, [(len,)]),
            (staticmethod, [(len,)]),
            (classmethod, [(len,)]),
            (type, [("Made", (), {})]),
            (super, [(Point, Point(1, 2))]),
            (collections.deque, [(), (range(200),)]),
            (collections.OrderedDict, [(), ({"a": 1},)]),
            (collections.defaultdict, [(list,)]),
            (array.array, [("i", [1, 2, 3])]),
            (decimal.Decimal, [("1.5",), ("1" * 200,)]),
            (datetime.datetime, [(2020, 1, 1)]),
            (datetime.date, [(2020, 1, 1)]),
            (datetime.timedelta, [(5,)]),
            (fractions.Fraction, [(1, 3)]),
            (weakref.ref, [(Point,)]),
            (functools.partial, [(len,)]),
            (itertools.count, [(1,)]),
            (threading.local, [()]),
            (io.BytesIO, [(b"buffer",)]),
            (io.StringIO, [("text",)]),
            (random.Random, [(1,)]),
            (ctypes.c_int, [(5,)]),
            (enumerate, [([1],)]),
            (zip, [([1], [2])]),
            (map, [(len, [])]),
            (mmap.mmap, [(-1, 4096)]),
            (socket.socket, [()]),
            (asyncio.Future, []),
            (types.SimpleNamespace, [()]),
            (operator.itemgetter, []),
            (struct.Struct, [("<iq",)]),
            (json.JSONEncoder, [()]),
            (uuid.UUID, [("12345678" * 4,)]),
            (contextlib.ExitStack, [()]),
            (queue.Queue, [()]),
            (string.Template, [("$a",)])):
        yield from subclass_instances(base, values)


# ---- functions and code ----


def plain(a, b=[1], *rest, key={"k": 1}, **options):
    return a


def make_closure():
    rows, unset = [[1], [2]], None

    def closure(x):
        return rows, unset, x

    def recursive(n):
        return recursive(n - 1) if n else None

    return closure, recursive


def with_extra_values(code):
    """A code object with values that a debugger or a compiler attached (PEP 523)."""
    api = ctypes.pythonapi
    prefixes = ("PyUnstable_Eval_", "PyUnstable_") if sys.version_info >= (3, 12) else ("_PyEval_", "_Py")
    request, set_extra = getattr(api, prefixes[0] + "RequestCodeExtraIndex"), getattr(api, prefixes[1] + "Code_SetExtra")
    request.restype, request.argtypes = ctypes.c_ssize_t, [ctypes.c_void_p]
    set_extra.argtypes = [ctypes.py_object, ctypes.c_ssize_t, ctypes.c_void_p]
    before = sys.getsizeof(code)
    for value in range(3):
        set_extra(code, request(None), value)
    assert sys.getsizeof(code) > before
    return code


@family
def functions():
    yield from (plain, lambda: 0, make_closure(), make_closure()[0].__closure__, plain.__code__, len, [].append)
    with_attributes = types.FunctionType(plain.__code__, globals(), "renamed", ([2],))
    with_attributes.attribute = [1]
    with_attributes.__annotations__["a"] = int
    yield with_attributes
    p = Point(1, 2)
    yield from (p.move, Point.klass, Point.static, p.__init__, p.__repr__, (5).__add__, str.join, "".join, dict.fromkeys)
    yield from (Point.__dict__["static"], Point.__dict__["klass"], Point.__dict__["both"], property(), Slots.a)
    yield from (int.real, types.FunctionType.__code__, str.__add__, dict.__dict__["fromkeys"], int.__dict__["from_bytes"])
    yield from (super(SlotsAndDict, SlotsAndDict()), super(Meta, WithMeta))
    if sys.version_info >= (3, 8):
        yield from (types.CellType(), types.CellType([1]))
    yield types.MethodType(plain, [1])
    yield types.MethodType(len, [1])
    source = "\n".join("name_%d = 'constant %d', %d.5" % (i, i, i) for i in range(300))
    yield compile(source, "<generated>", "exec")
    yield compile("a + b", "<eval>", "eval")
    yield compile("async def f(x, *, y=1):\n  z = [x for q in y]\n  return lambda: (x, z)", "<async>", "exec")

    @functools.wraps(plain)
    def hot(i):
        return i + 1

    for i in range(3000):
        hot(i)
    yield hot
    yield hot.__code__
    yield with_extra_values(compile("extra", "<extra>", "eval"))


@family
def modules():
    yield from (sys, os, json, types.ModuleType("empty"), types.ModuleType("document\u20ac", "doc"))
    full = types.ModuleType("full")
    full.__dict__.update(("v%d" % i, [i]) for i in range(200))
    yield full
    yield full.__dict__


# ---- frames, generators, coroutines ----


def count_up(n, held):
    local = [n]
    for i in range(n):
        yield i, local
    return held


def delegating(n):
    rows = {"rows": n}
    yield from count_up(n, rows)


def failing():
    held = [1]
    try:
        yield held
        raise ValueError("in a generator")
    except ValueError:
        caught = [2]
        yield caught


@types.coroutine
def suspend(value):
    return (yield value)


async def coroutine(n):
    kept = ["kept", n]
    async with manager():
        await suspend(kept)
        await suspend(n)
    return kept


class Manager:
    async def __aenter__(self):
        self.entered = ["entered"]

    async def __aexit__(self, *exception):
        del self.entered


manager = Manager
if hasattr(contextlib, "asynccontextmanager"):  # 3.7 on
    @contextlib.asynccontextmanager
    async def manager():
        entered = ["entered"]
        yield entered


async def agen(n):
    state = {"n": n}
    for i in range(n):
        await suspend(i)
        yield i, state


async def closes(n):
    with contextlib.closing(open(os.devnull)) as f:
        async for item in agen(n):
            pass
    return f


@family
def generators():
    yield count_up(3, [])
    started = count_up(3, [1])
    next(started)
    yield started
    yield from_delegating(delegating(3))
    finished = count_up(1, [2])
    list(finished)
    yield finished
    closed = count_up(1, [3])
    next(closed)
    closed.close()
    yield closed
    handling = failing()
    next(handling)
    next(handling)
    yield handling
    yield (x * 2 for x in [1, 2, 3])
    nested = ((x, y) for x in range(3) for y in [[x]])
    next(nested)
    yield nested
    with_frame = count_up(5, [4])
    next(with_frame)
    yield with_frame.gi_frame
    yield with_frame


def from_delegating(generator):
    next(generator)
    return generator


@family
def coroutines():
    yield coroutine(1)
    started = coroutine(2)
    started.send(None)
    yield started
    finished = coroutine(3)
    with contextlib.suppress(StopIteration):
        while True:
            finished.send(None)
    yield finished
    closed = coroutine(4)
    closed.close()
    yield closed
    waiting = closes(3)
    waiting.send(None)
    yield waiting
    wrapper = coroutine(5).__await__()
    yield wrapper
    fresh, running = agen(3), agen(3)
    yield from (fresh, running)
    step = running.__anext__()
    step.send(None)
    yield step
    yield from (fresh.asend(None), fresh.athrow(ValueError), agen(1).aclose())
    if sys.version_info >= (3, 10):
        yield anext(agen(1), "default")
    if sys.version_info >= (3, 7):
        sys.set_coroutine_origin_tracking_depth(4)
        yield coroutine(6)
        sys.set_coroutine_origin_tracking_depth(0)


@family
def exceptions_and_frames():
    for cls in (BaseException, Exception, ValueError, KeyError, StopIteration, StopAsyncIteration, SystemExit,
                MemoryError, RecursionError, Warning, GeneratorExit, AssertionError, NotImplementedError):
        yield cls()
        yield cls("argument", [1])
    yield OSError(2, "message", "file", None, "file2")
    yield BlockingIOError(11, "again", 5)
    yield SyntaxError("bad", ("file", 1, 2, "text"))
    yield ImportError("no", name="module", path="/path")
    yield ModuleNotFoundError("no", name="module")
    yield UnicodeDecodeError("utf8", b"bytes", 0, 1, "reason")
    yield UnicodeEncodeError("utf8", "text", 0, 1, "reason")
    yield UnicodeTranslateError("text", 0, 1, "reason")
    for provoke in (lambda: Empty().missing, lambda: undefined_name, lambda: 1 / 0, lambda: [][1], lambda: {}["k"],
                    lambda: open("/does/not/exist"), lambda: int("x"), lambda: __import__("no_such_module")):
        try:
            provoke()
        except Exception as e:
            yield e
            yield e.__traceback__
    yield chained()
    yield deep_traceback(20)
    noted = ValueError("with notes")
    noted.attribute = [1]
    if sys.version_info >= (3, 11):
        noted.add_note("a note")
        yield ExceptionGroup("group", [ValueError(1), TypeError(2)])
        yield BaseExceptionGroup("base", [KeyboardInterrupt()])
    yield noted
    yield kept_frame()
    yield sys._getframe()
    try:
        next(count_up(0, []))
    except StopIteration as e:
        yield e


def chained():
    try:
        try:
            raise KeyError("cause")
        except KeyError as cause:
            raise ValueError("effect") from cause
    except ValueError as e:
        return e


def deep_traceback(n):
    local = [n]
    if n:
        return deep_traceback(n - 1)
    try:
        raise RuntimeError(local)
    except RuntimeError as e:
        return e


def kept_frame():
    local, number = ["in a frame kept alive"], 12345

    def inner():
        return local

    return sys._getframe()


# ---- weak references ----


@family
def weak_references():
    target, called = Point(1, 2), []
    yield target
    yield from (weakref.ref(target), weakref.ref(target, called.append), weakref.proxy(target))
    yield from (weakref.proxy(plain), weakref.WeakMethod(target.move))
    yield weakref.ref(Point(3, 4))  # dead
    yield weakref.proxy(plain, called.append)
    values = weakref.WeakValueDictionary(a=target)
    keys = weakref.WeakKeyDictionary({target: [1]})
    yield from (values, keys, weakref.WeakSet([target]), weakref.finalize(target, plain, 1))
    many = [Point(i, i) for i in range(100)]
    yield many
    yield weakref.WeakSet(many)
    yield [weakref.ref(p, called.append) for p in many]
    for holder in (set([1]), frozenset([2]), collections.deque(), collections.OrderedDict(), array.array("b"), plain,
                   re.compile("weak"), contextlib.ExitStack(), memoryview(b"weak"), count_up(1, []),
                   functools.partial(plain), threading.Lock(), types.ModuleType("weak"), type("Weak", (), {})):
        yield holder
        yield weakref.ref(holder)


# ---- collections, functools, itertools, operator ----


Named = collections.namedtuple("Named", "a b c")


if dataclasses:
    @dataclasses.dataclass
    class Data:
        name: str
        rows: list = dataclasses.field(default_factory=list)

    @dataclasses.dataclass(frozen=True, order=True)
    class Frozen:
        number: int
else:
    class Data:
        def __init__(self, name, rows=None):
            self.name, self.rows = name, rows or []

    class Frozen:
        def __init__(self, number):
            self.number = number


class Color(enum.Enum):
    RED = 1
    GREEN = [2]


class Bits(enum.IntFlag):
    A = 1
    B = 2


@family
def collections_family():
    for n in (0, 1, 60, 64, 65, 200, HUGE):
        yield collections.deque(range(n))
    rotated = collections.deque(range(100), maxlen=100)
    rotated.rotate(37)
    for i in range(50):
        rotated.append(i)
    yield rotated
    drained = collections.deque(range(1000))
    while len(drained) > 3:
        drained.popleft()
    yield drained
    left = collections.deque()
    for i in range(130):
        left.appendleft([i])
    yield left
    for n in (0, 1, 5, 6, 20, 500):
        yield collections.OrderedDict(("k%d" % i, [i]) for i in range(n))
    moved = collections.OrderedDict((i, i) for i in range(20))
    moved.move_to_end(0)
    for i in range(5, 15):
        del moved[i]
    moved.attribute = [1]
    yield moved
    yield from (moved.keys(), moved.values(), moved.items(), reversed(moved), iter(moved.items()))
    default = collections.defaultdict(list)
    default["a"].append(1)
    yield from (default, collections.defaultdict(), collections.defaultdict(lambda: 5, {1: 2}))
    yield from (collections.Counter("hello world"), collections.Counter(), collections.ChainMap({}, {"a": 1}))
    yield from (collections.UserDict(a=1), collections.UserList([1]), collections.UserString("s"))
    yield from (Named(1, [2], "3"), Named._make("abc"), Data("d"), Data("e", [1]), Frozen(5))
    yield from (types.SimpleNamespace(), types.SimpleNamespace(a=1, b=[2]), Color.RED, Color.GREEN, Bits.A | Bits.B)
    yield from (Color, Bits, uuid.uuid4(), uuid.UUID(int=5))
    yield from (fractions.Fraction(1, 3), fractions.Fraction(10 ** 40, 7), queue.Queue(), queue.PriorityQueue(5))
    yield from (queue.LifoQueue(), string.Formatter(), string.Template("$x"))
    if sys.version_info >= (3, 7):
        simple = queue.SimpleQueue()
        simple.put([1])
        yield from (simple, queue.SimpleQueue())


@functools.lru_cache(maxsize=10)
def cached(n):
    return [n]


@functools.lru_cache(maxsize=None)
def cached_unbounded(n, **options):
    return {n: options}


@functools.lru_cache(maxsize=0)
def cached_never(n):
    return n


@functools.singledispatch
def dispatched(x):
    return x


class Cached:
    @getattr(functools, "cached_property", property)
    def value(self):
        return [1]

    @functools.lru_cache(maxsize=5, typed=True)
    def method(self, x):
        return [x]

    partial_method = functools.partialmethod(plain, 1)


@family
def functools_family():
    for i in range(30):
        cached(i)
        cached_unbounded(i, option=i)
        cached_never(i)
    dispatched.register(int, plain)
    c = Cached()
    c.value, c.method(1), c.method([].__len__())
    yield from (cached, cached_unbounded, cached_never, dispatched, c, Cached.method)
    yield from (functools.partial(plain), functools.partial(plain, 1, key=[2]), c.partial_method)
    attributed = functools.partial(plain, [1])
    attributed.note = "x"
    yield attributed
    yield functools.partial(attributed, 2)
    key = functools.cmp_to_key(lambda a, b: 0)
    yield from (key, key([1]))
    yield from (operator.itemgetter(1), operator.itemgetter("a", [1], 3), operator.attrgetter("a"))
    yield from (operator.attrgetter("a.b.c", "d"), operator.methodcaller("m"), operator.methodcaller("m", 1, [2], k=[3]))


@family
def itertools_family():
    base = [[1], [2], [3], [4], [5]]
    yield base
    yield from (itertools.count(), itertools.count(10 ** 30), itertools.count(0.5, 2), itertools.repeat([1]),
                itertools.repeat(1, 5))
    for make in (lambda: itertools.cycle(base), lambda: itertools.accumulate(base, operator.add),
                 lambda: itertools.chain(base, base), lambda: itertools.chain.from_iterable(base),
                 lambda: itertools.compress(base, [1, 0, 1, 1]), lambda: itertools.dropwhile([1].__eq__, base),
                 lambda: itertools.filterfalse(None, [0, 0, 0]), lambda: itertools.groupby(base, len),
                 lambda: itertools.islice(base, 1, None, 2), lambda: itertools.permutations(base, 2),
                 lambda: itertools.combinations(base, 2), lambda: itertools.product(base, repeat=2),
                 lambda: itertools.combinations_with_replacement(base, 2), lambda: itertools.takewhile(bool, base),
                 lambda: itertools.starmap(max, [base, base]), lambda: itertools.zip_longest(base, [1], fillvalue=[0])):
        yield make()
        started = make()
        yield next(started)
        yield started
        exhausted = make()
        for _ in zip(range(50), exhausted):
            pass
        yield exhausted
    for name, arguments in (("pairwise", (base,)), ("batched", (base, 2))):
        if hasattr(itertools, name):
            started = getattr(itertools, name)(*arguments)
            next(started)
            yield started
    one, two = itertools.tee(iter(base))
    next(one)
    next(one)
    yield from (one, two, itertools.tee(range(200), 3))
    far, near = itertools.tee(range(300))
    list(itertools.islice(far, 150))
    yield from (far, near)
    yield from itertools.groupby("aabbc")


# ---- asyncio and contextvars ----

LOOP = asyncio.new_event_loop()


async def forever(name, future):
    rows = [name, {"name": name}]
    await asyncio.sleep(0)
    await future
    return rows


async def gathered(futures):
    group = [future for future in futures]
    return await asyncio.gather(*group, return_exceptions=True)


async def waits(lock):
    async with lock:
        await asyncio.sleep(10000)


async def settled():
    return ["settled"]


async def broken():
    raise ValueError("task failed")


async def steps():
    for _ in range(5):
        await asyncio.sleep(0)


@family
def asyncio_family():
    asyncio.set_event_loop(LOOP)
    futures = [LOOP.create_future() for _ in range(5)]
    tasks = [LOOP.create_task(forever("task %d" % i, f)) for i, f in enumerate(futures)]
    more = [LOOP.create_future() for _ in range(3)]
    tasks.append(LOOP.create_task(gathered(more)))

    async def primitives():
        lock, condition, event = asyncio.Lock(), asyncio.Condition(), asyncio.Event()
        q, semaphore = asyncio.Queue(), asyncio.Semaphore(2)
        await lock.acquire()
        return lock, condition, event, q, semaphore

    made = LOOP.run_until_complete(primitives())
    tasks += [LOOP.create_task(waits(made[0])) for _ in range(3)]
    tasks += [LOOP.create_task(made[2].wait()), LOOP.create_task(made[3].get())]
    done, failed = LOOP.create_task(settled()), LOOP.create_task(broken())
    LOOP.run_until_complete(steps())
    yield from (LOOP, futures, tasks, more, made, done, failed, failed.exception())
    finished = LOOP.create_future()
    finished.set_result([1])
    raised = LOOP.create_future()
    raised.set_exception(KeyError("future"))
    raised.exception()
    cancelled = LOOP.create_future()
    cancelled.cancel()
    with_callbacks = LOOP.create_future()
    with_callbacks.add_done_callback(plain)
    with_callbacks.add_done_callback(cached)
    yield from (finished, raised, cancelled, with_callbacks, iter(futures[0]), LOOP.call_later(1000, plain, [1]))
    yield asyncio.CancelledError()


if contextvars:
    VAR = contextvars.ContextVar("var", default=[0])
    PLAIN_VAR = contextvars.ContextVar("plain")


class SameHash:
    def __hash__(self):
        return 42


@family
def contextvars_family():
    if not contextvars:
        return
    yield from (VAR, PLAIN_VAR, VAR.set([1]), PLAIN_VAR.set("x"), contextvars.copy_context(), contextvars.Context())
    many = [contextvars.ContextVar("var %d" % i) for i in range(200)]
    context = contextvars.copy_context()
    for i, var in enumerate(many):
        context.run(var.set, [i])
        if i in (1, 10, 40):
            yield context.copy()
    yield many
    yield context
    yield from (iter(context), iter(context.values()), iter(context.items()), context.keys())
    token = VAR.set([2])
    VAR.reset(token)
    yield token


# ---- threads and locks ----


class Worker(threading.Thread):
    def __init__(self, gate, ready, number):
        super().__init__(daemon=True, name="worker %d" % number)
        self.gate, self.ready, self.number = gate, ready, number

    def run(self):
        rows = [Point(self.number, i) for i in range(20)]
        THREAD_LOCAL.rows = rows
        THREAD_LOCAL.number = self.number
        self.descend(5, {"rows": rows})

    def descend(self, n, options):
        held = ["thread %d level %d" % (self.number, n)]
        if n:
            return self.descend(n - 1, options)
        return parked_generator_step(self.gate, self.ready, held)


def parked_generator_step(gate, ready, held):
    for item in parking(gate, ready, held):
        pass


def parking(gate, ready, held):
    in_generator = {"held": held}
    captured = [1]

    def uses():
        return captured

    for number in [[1], [2]]:
        ready.release()
        gate.acquire()
        yield in_generator, number, uses


THREAD_LOCAL = threading.local()


@family
def threads():
    gate, ready = threading.Lock(), threading.Semaphore(0)
    gate.acquire()
    workers = [Worker(gate, ready, i) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        ready.acquire()
    for task in range(1000):
        if all(sys._current_frames()[w.ident].f_code is parking.__code__ for w in workers):
            break
        time.sleep(0.01)
    THREAD_LOCAL.main = [1]
    reentrant = threading.RLock()
    reentrant.acquire()
    yield from (gate, ready, workers, THREAD_LOCAL, reentrant, threading.Lock(), threading.RLock())
    yield from (threading.Event(), threading.Condition(), threading.Barrier(2), threading.BoundedSemaphore(3))
    yield threading.Timer(1000, plain)


# ---- input, output, system ----


@family
def io_family():
    directory = tempfile.mkdtemp()
    path = os.path.join(directory, "file")
    with open(path, "wb") as f:
        f.write(b"line of text \xc3\xa9\n" * 1000)
    raw = io.FileIO(path)
    reader = open(path, "rb")
    reader.read(10)
    writer = open(path + ".w", "wb")
    writer.write(b"pending")
    both = open(path, "r+b")
    both.read(1)
    text = open(path, encoding="utf-8")
    text.readline()
    text_out = open(path + ".t", "w", newline="\r\n")
    text_out.write("pending text")
    iterated = open(path)
    next(iterated)
    yield from (raw, reader, writer, both, text, text_out, iterated, open(path, "rb", buffering=100))
    yield io.BufferedReader(io.FileIO(path), 100000)
    yield io.BufferedWriter(io.FileIO(path + ".x", "w"), 3)
    ends = os.pipe()
    yield io.BufferedRWPair(io.FileIO(ends[0]), io.FileIO(ends[1], "w"))
    closed = open(path)
    closed.close()
    yield closed
    attributed = open(path)
    attributed.mode, attributed.extra = "x", [1]
    yield attributed
    yield from bytes_ios()
    for content in ("", "text", "é€\U0001f600" * 100, "y" * HUGE):
        yield io.StringIO(content)
        written = io.StringIO()
        written.write(content)
        yield written
        written = io.StringIO(newline=None)
        for _ in range(20):
            written.write(content + "\r\n")
        yield written
        read = io.StringIO(content)
        read.read()
        yield read
    yield from (io.IncrementalNewlineDecoder(None, True), sys.stdout, sys.stdin.buffer)
    import codecs
    yield from (codecs.lookup("utf-8"), codecs.getincrementaldecoder("utf-16")(), codecs.getreader("latin1")(reader))
    yield from (os.stat(path), os.times(), time.localtime(), os.uname(), os.scandir(directory), os.get_terminal_size)
    yield list(os.scandir(directory))
    yield from (sys.flags, sys.version_info, sys.float_info, sys.hash_info, sys.implementation, os.environ)
    import pathlib
    yield from (pathlib.Path(path), pathlib.PurePosixPath("a/b") / "c", pathlib.Path(path).parents)
    yield tempfile.TemporaryFile()
    yield tempfile.NamedTemporaryFile(dir=directory)
    with os.popen("true") as pipe:
        yield pipe


def bytes_ios():
    for content in (b"", b"short", bytes(HUGE)):
        yield io.BytesIO(content)  # shares the bytes it was made of
        changed = io.BytesIO(content)
        changed.write(b"unshared now")
        yield changed
        exported = io.BytesIO(content)
        yield exported.getbuffer()
        yield exported
        taken = io.BytesIO()
        taken.write(content)
        yield taken.getvalue()
        yield taken
    grown = io.BytesIO()
    for _ in range(1000):
        grown.write(b"0123456789")
    yield grown
    grown.attribute = [1]
    closed = io.BytesIO(b"closed")
    closed.close()
    yield closed


@family
def system():
    one, other = socket.socketpair()
    server = socket.socket()
    yield from (one, other, server, one.makefile("rb"), one.makefile("w"))
    poll, epoll = select.poll(), select.epoll()
    poll.register(one)
    epoll.register(one)
    import selectors
    selector = selectors.DefaultSelector()
    selector.register(one, selectors.EVENT_READ, [1])
    yield from (poll, epoll, selector, selector.get_map())
    mapping = mmap.mmap(-1, 20000)
    yield mapping
    import signal
    import subprocess
    yield from (signal.SIGINT, signal.getsignal(signal.SIGINT), signal.Signals)
    process = subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.wait()
    yield process
    for module, make in (
            ("ssl", lambda m: [m.create_default_context(), m.SSLContext(m.PROTOCOL_TLS_CLIENT), m.MemoryBIO(),
                               m.SSLContext(m.PROTOCOL_TLS_CLIENT).wrap_bio(m.MemoryBIO(), m.MemoryBIO(),
                                                                            server_hostname="h")]),
            ("resource", lambda m: [m.getrusage(m.RUSAGE_SELF)]),
            ("pwd", lambda m: [m.getpwuid(0)]),
            ("grp", lambda m: [m.getgrgid(0)]),
            ("syslog", lambda m: [m.syslog]),
            ("termios", lambda m: [m.error("x")]),
            ("curses", lambda m: [m.error()]),
            ("readline", lambda m: [m.get_history_length]),
            ("faulthandler", lambda m: [m.enable]),
            ("dbm.dumb", lambda m: [m.open(os.path.join(tempfile.mkdtemp(), "db"))])):
        with contextlib.suppress(ImportError):
            yield make(__import__(module, fromlist=["x"]))


# ---- the C extensions of the standard library ----


@family
def arrays_and_structs():
    for code in "bBuhHiIlLqQfd":
        yield array.array(code)
        yield array.array(code, "text" if code == "u" else range(100))
    grown = array.array("q")
    for i in range(1000):
        grown.append(i)
    yield grown
    popped = array.array("i", range(50))
    while len(popped) > 3:
        popped.pop()
    yield popped
    for form in ("", "i", "<iq10sH", "100x", "3i2d?", ">" + "b" * 200):
        yield struct.Struct(form)
    compiled = struct.Struct("<hh")
    yield compiled.iter_unpack(bytes(8))


class Pair(ctypes.Structure):
    _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_void_p)]


class Big(ctypes.Structure):
    _fields_ = [("p", Pair), ("data", ctypes.c_char * 1000)]


class Either(ctypes.Union):
    _fields_ = [("i", ctypes.c_int64), ("d", ctypes.c_double)]


class BigEndian(ctypes.BigEndianStructure):
    _fields_ = [("x", ctypes.c_uint32)]


class Linked(ctypes.Structure):
    pass


Linked._fields_ = [("next", ctypes.POINTER(Linked)), ("name", ctypes.c_char_p)]


@family
def ctypes_family():
    yield from (ctypes.c_int(5), ctypes.c_double(1), ctypes.c_char_p(b"held"), ctypes.c_wchar_p("held"))
    yield from (ctypes.py_object([1]), ctypes.c_void_p(), Pair(), Big(), Either(), BigEndian(), Linked())
    yield from ((ctypes.c_int * 5)(), (ctypes.c_char * HUGE)(), (Pair * 3)(), ((ctypes.c_int * 2) * 3)())
    yield from (ctypes.create_string_buffer(50), ctypes.create_unicode_buffer("u"))
    number = ctypes.c_int(7)
    yield from (number, ctypes.pointer(number), ctypes.byref(number), ctypes.cast(ctypes.pointer(number), ctypes.c_void_p))
    inner = Big()
    yield inner.p
    first = Linked(None, b"first")
    second = Linked(ctypes.pointer(first), b"second")
    yield second
    strings = (ctypes.c_char_p * 3)(b"one", b"two", None)
    yield strings
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x)
    yield callback
    library = ctypes.CDLL(None)
    library.strlen.argtypes = [ctypes.c_char_p]
    library.strlen.restype = ctypes.c_size_t
    library.strlen(b"x")
    yield from (library, library.strlen, ctypes.pythonapi, ctypes.pythonapi.Py_IncRef)
    yield from (Pair, ctypes.POINTER(Pair), ctypes.c_int * 5, Pair.a, ctypes.ArgumentError())
    resized = (ctypes.c_char * 10)()
    ctypes.resize(resized, 5000)
    yield resized
    yield Pair.from_buffer(bytearray(100))


class Zone(datetime.tzinfo):
    def __init__(self):
        self.rows = [1]

    def utcoffset(self, when):
        return datetime.timedelta(hours=1)


@family
def datetime_family():
    zone = Zone()
    fixed = datetime.timezone(datetime.timedelta(hours=2), "NAME")
    for tz in (None, zone, fixed, datetime.timezone.utc):
        yield datetime.datetime(2020, 1, 2, 3, 4, 5, 6, tz)
        yield datetime.time(1, 2, tzinfo=tz)
        yield datetime.datetime(2020, 1, 2, tzinfo=tz, fold=1)
    yield from (datetime.date(2020, 1, 2), datetime.timedelta(days=5), zone, fixed)
    yield datetime.timezone(datetime.timedelta(minutes=17))
    with contextlib.suppress(Exception):
        import zoneinfo
        yield zoneinfo.ZoneInfo("Europe/Berlin")
    yield datetime.datetime(2020, 1, 2).timetuple()


@family
def decimal_family():
    for text in ("0", "1.5", "-Infinity", "NaN", "1e100", "1" * 77, "1" * 1000, "1" * 20000):
        yield decimal.Decimal(text)
    yield decimal.Decimal(1) / 3
    context = decimal.Context(prec=500)
    yield context.divide(decimal.Decimal(1), 7)
    yield from (context, decimal.getcontext(), context.flags, context.traps, decimal.localcontext())
    yield decimal.Decimal("1.5").as_tuple()
    yield decimal.InvalidOperation("x")


@family
def regular_expressions():
    for pattern in ("", "a", r"(\w+)@(?P<host>\w+)", "[a-z]{3,5}|" * 100 + "x", "é€+", b"bytes(.)"):
        compiled = re.compile(pattern)
        yield compiled
        yield compiled.search(b"a bytes@host" if isinstance(pattern, bytes) else "a name@host abc")
        yield compiled.scanner(b"x" if isinstance(pattern, bytes) else "x")
    found = re.match(r"(\w)(\w)?(?P<named>\d)*", "ab123")
    found.regs, found.groups()
    yield from (found, re.finditer("a", "aaa"), re.RegexFlag.I, re.error("bad"))
    yield re.compile("x" * 5000)
    with contextlib.suppress(ImportError, AttributeError):
        from re import _compile_template  # 3.12 on
        yield _compile_template(re.compile("(a)(b)"), r"before \1 between \2 after")


@family
def hashes_and_compression():
    import hashlib
    import hmac
    import zlib
    for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s", "sha3_256", "shake_128"):
        with contextlib.suppress(ValueError):
            digest = getattr(hashlib, name)(b"data")
            yield digest
            yield digest.copy()
    yield hmac.new(b"key", b"message", "sha256")
    for module in ("_md5", "_sha1", "_sha256", "_sha512", "_sha2", "_sha3", "_blake2"):
        with contextlib.suppress(ImportError):
            m = __import__(module)
            for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_224", "shake_256", "blake2b"):
                if hasattr(m, name):
                    yield getattr(m, name)(b"x")
    squeeze, stretch = zlib.compressobj(), zlib.decompressobj()
    squeeze.compress(b"data" * 100)
    stretch.decompress(zlib.compress(b"x" * 10000), 10)
    yield from (squeeze, stretch, zlib.decompressobj(zdict=b"dictionary"))
    with contextlib.suppress(ImportError):
        import bz2
        yield from (bz2.BZ2Compressor(), bz2.BZ2Decompressor())
        partial = bz2.BZ2Decompressor()
        partial.decompress(bz2.compress(b"x" * 100000), 10)
        yield partial
    with contextlib.suppress(ImportError):
        import lzma
        yield from (lzma.LZMACompressor(), lzma.LZMADecompressor())
    yield from (random.Random(5), random.SystemRandom())
    import _random
    yield _random.Random(3)
    import binascii
    yield binascii.Error("x")


@family
def text_formats():
    import csv
    yield from (json.JSONDecoder(), json.JSONEncoder(indent=2), json.JSONDecoder().scan_once)
    with contextlib.suppress(ImportError, TypeError):
        from _json import make_encoder
        yield make_encoder({}, None, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True)
    with contextlib.suppress(json.JSONDecodeError):
        json.loads("{bad")
    rows = csv.reader(io.StringIO("a,b\nc,d\n"))
    next(rows)
    yield from (rows, csv.writer(io.StringIO()), csv.get_dialect("excel"), csv.DictReader(io.StringIO("a,b\n1,2\n")))
    picklers = [pickle.Pickler(io.BytesIO()), pickle.Unpickler(io.BytesIO(pickle.dumps([1, [2]])))]
    picklers[0].dump([[1], {"a": Named(1, 2, 3)}])
    picklers[1].load()
    yield picklers
    yield picklers[0].memo
    yield picklers[1].memo
    yield pickle.PicklingError("x")
    with contextlib.suppress(AttributeError):
        yield pickle.PickleBuffer(b"x")
    with contextlib.suppress(ImportError):
        import parser  # to 3.9
        yield from (parser.expr("1"), parser.suite("def f(x, y=[1]):\n    return {x: 'text', **y}\n" * 50))
    import ast
    import configparser
    import symtable
    import tokenize
    yield ast.parse("def f(x, *, y=1):\n    return [x for x in y if x]\n")
    yield symtable.symtable("x = 1\ndef f(): pass", "<s>", "exec")
    yield list(tokenize.generate_tokens(io.StringIO("a = 1").readline))
    config = configparser.ConfigParser()
    config.read_string("[section]\nkey = value\n")
    yield config
    import unicodedata
    yield unicodedata.ucd_3_2_0
    import locale
    yield locale.localeconv()


@family
def xml_family():
    with contextlib.suppress(ImportError):
        import xml.dom.minidom
        import xml.etree.ElementTree as tree
        import xml.parsers.expat
        root = tree.fromstring("<r a='1' b='é'>text<c>" + "<d/>tail" * 30 + "</c><e/></r>")
        yield root
        yield from (root.iter(), root.itertext(), root.attrib, tree.Element("alone"), tree.ElementTree(root))
        walking = root.iter("d")
        next(walking)
        yield walking
        small = tree.SubElement(root, "sub", {"k": "v"})
        small.extend([tree.Element("x") for _ in range(10)])
        yield small
        parser, builder = tree.XMLParser(), tree.TreeBuilder()
        parser.feed("<open><more>")
        builder.start("t", {})
        builder.data("text")
        yield from (parser, builder, tree.XMLPullParser(["start"]))
        expat = xml.parsers.expat.ParserCreate()
        expat.StartElementHandler = plain
        expat.buffer_text = True
        yield expat
        yield xml.dom.minidom.parseString("<r><a/></r>")
        yield tree.ParseError("x")


class Row:
    pass


@family
def sqlite_family():
    with contextlib.suppress(ImportError):
        import sqlite3
        connection = sqlite3.connect(":memory:")
        connection.row_factory = sqlite3.Row
        connection.execute("create table t (a, b)")
        connection.executemany("insert into t values (?, ?)", [(i, "row %d" % i) for i in range(20)])
        connection.create_function("f", 1, plain)
        cursor = connection.execute("select * from t")
        yield from (connection, cursor, cursor.fetchone(), cursor.fetchmany(3), connection.cursor())
        yield sqlite3.IntegrityError("x")


@family
def python_level():
    import argparse
    import http.client
    import inspect
    import logging
    import traceback
    import typing
    import unittest.mock
    import urllib.parse
    import warnings
    parser = argparse.ArgumentParser(prog="p", description="d")
    parser.add_argument("--option", type=int, default=[1])
    yield parser
    yield http.client.HTTPConnection("localhost")
    yield inspect.signature(plain)
    yield from (logging.getLogger("zoo"), logging.StreamHandler(), logging.makeLogRecord({"msg": "m"}))
    yield traceback.extract_stack()
    yield from (typing.List[int], typing.Optional[str], typing.TypeVar("T"), typing.NamedTuple("NT", [("a", int)]))
    yield from (typing.Callable[[int], str], typing.Union[int, list], typing.Any)
    if sys.version_info >= (3, 12):
        namespace = {}
        exec("def generic[T: int, *Ts, **P](x: T) -> T: return x\ntype Alias[K] = list[K]\nclass G[V]: pass\n", namespace)
        yield namespace
        yield namespace["Alias"].__value__
    yield unittest.mock.Mock(a=1)  # not MagicMock, which answers __sizeof__ by making more mocks
    yield urllib.parse.urlparse("http://u@h:80/p?q#f")
    yield warnings.catch_warnings()
    yield contextlib.ExitStack()
    yield contextlib.suppress(ValueError)


# ---- what 3.14 and 3.15 added ----


@family
def templates_and_annotations():
    """3.14: t-strings, annotations that are evaluated late, interpreters, zstd."""
    if sys.version_info < (3, 14):
        return
    import annotationlib
    import concurrent.futures
    import concurrent.interpreters
    import functools
    import heapq
    import string.templatelib
    namespace = {"data": [1, 2]}
    exec("made = t'a {data!r:>{len(data)}} b'\n"
         "def annotated(x: list[Missing], *, y: dict[str, int] = None) -> Missing: return x\n"
         "class Annotated:\n    field: Missing\n    other: list[int] = []\n", namespace)
    yield from (namespace["made"], namespace["made"].interpolations, namespace["annotated"], namespace["Annotated"])
    yield annotationlib.get_annotations(namespace["annotated"], format=annotationlib.Format.FORWARDREF)
    yield annotationlib.ForwardRef("list[Missing]", owner=namespace["Annotated"])
    yield string.templatelib.Interpolation([1], "expression", None, "spec")
    yield functools.partial(plain, functools.Placeholder, [2])
    heap = [(3, [1]), (1, [2])]
    heapq.heapify_max(heap)
    yield heap
    try:
        import compression.zstd
    except ImportError:
        pass  # its library is optional
    else:
        yield from (compression.zstd.ZstdCompressor(), compression.zstd.ZstdDecompressor())
        yield compression.zstd.ZstdDict(b"a dictionary of at least eight bytes" * 4, is_raw=True)
    yield concurrent.interpreters.create_queue()


@family
def frames_of_tagged_slots():
    """3.14: slots that borrow, own, and hold ints of the interpreter's own."""
    def steps(borrowed):
        owned = [borrowed]
        for i, item in enumerate([[1], [2], [3]]):
            yield i, item, owned

    async def waits(value):
        async with Waiting() as entered:
            return value, entered

    class Waiting:
        async def __aenter__(self):
            await Once()
            return [1]

        async def __aexit__(self, *what):
            return None

    class Once:
        def __await__(self):
            yield [2]

    started, finished, untouched = steps([0]), steps([1]), steps([2])
    yield next(started)
    yield list(finished)
    suspended = waits(["value"])
    yield suspended.send(None)
    yield from (started, finished, untouched, suspended)


@family
def lazy_and_frozen():
    """3.15: frozendict, lazy imports, slots behind the items of a tuple, bytes taken from a bytearray."""
    if sys.version_info < (3, 15):
        return
    namespace = {}
    exec("lazy import colorsys\nlazy from fractions import Fraction\n"
         "class Row(tuple):\n    __slots__ = ('name', 'extra')\n"
         "class Frozen(frozendict):\n    pass\n", namespace)
    yield namespace
    row = namespace["Row"]((1, [2], "three"))
    row.name, row.extra = ["name"], {"extra": 1}
    yield from (row, namespace["Row"](()), namespace["Row"]((1,)))
    frozen = frozendict({"a": [1], "b": (2,), 3: {4}})
    hash(frozendict(a=1))
    yield from (frozen, frozendict(), frozendict(a=[1]), frozendict.fromkeys(range(100)), namespace["Frozen"](x=[1]))
    yield from (iter(frozen), frozen.keys(), frozen.items(), frozen | {"c": [5]})
    taken = bytearray(b"x" * 1000)
    yield taken.take_bytes(600)
    left = bytearray(b"y" * 300)
    del left[:100]
    yield from (taken, left, bytearray(), bytearray(b"z"))


# ---- what the collector does not know ----


@family
def untracked():
    """Objects that no GC list has: held by others, and held by nobody but a leaked reference."""
    text, number = "hidden text %d" % os.getpid(), os.getpid() * 10 ** 12
    data, real = b"hidden bytes %d" % os.getpid(), os.getpid() * 1.25
    pair = (text, number)
    MARKS.update(text=id(text), number=id(number), data=id(data), real=id(real), pair=id(pair))
    yield {"outer": (pair, data, real)}
    hostile = "\x1b[31m %s%n \\ \"; set $hostile = 1\n\nset $hostile = 2\n" + str(os.getpid())
    MARKS["hostile"] = id(hostile)
    yield hostile
    for value in ("it's", 'say "no"', "it's \"so\"", "a\\b\t\r\n\0\x7f\u20ac\U0001f600\u202e", b"it's", b'say "no"', b"\"it's\"",
                  b"a\\b\t\r\n\0\x7f\xff", "", b""):
        MARKS["repr " + repr(value)] = id(value)
        yield value
    leak = ctypes.pythonapi.Py_IncRef
    leak.argtypes = [ctypes.py_object]
    for name, value in (("leaked_str", "leaked str %d" % os.getpid()), ("leaked_bytes", b"leaked %d" % os.getpid()),
                        ("leaked_int", os.getpid() * 10 ** 15), ("leaked_float", os.getpid() * 2.75),
                        ("leaked_tuple", (os.getpid() * 10 ** 9, "in a tuple %d" % os.getpid()))):
        leak(value)
        MARKS[name] = id(value)


SORTED = [True, False]  # for ever: the process stays in a key function

if __name__ == "__main__":
    build()
    SORTED.sort(key=lambda item: oracle.park(sys.argv[1], *map(int, sys.argv[2:3]), marks=MARKS,
                                             always=[ZOO["threads"], ZOO["lists_and_tuples"]]))
