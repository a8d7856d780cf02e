"""The zoo of Python 2.7: several instances of every type that it and its standard library can create.

usage: zoo27.py TRUTH [SAMPLES]    (see oracle.park)

Built as zoo.py is; names that tests ask for (Point, Worker, Data, the marks) are the same.
"""
import abc
import array
import ast
import cPickle
import cStringIO
import collections
import contextlib
import ctypes
import datetime
import decimal
import fractions
import functools
import io
import itertools
import json
import mmap
import operator
import os
import pickle
import Queue
import random
import re
import select
import socket
import string
import StringIO
import struct
import sys
import tempfile
import threading
import time
import types
import UserDict
import UserList
import UserString
import uuid
import weakref

import oracle

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
    for bits in (0, 1, 8, 29, 30, 31, 59, 60, 61, 62, 63, 64, 90, 300, 6000, 40000):
        yield (1 << bits) + 12345 * (bits > 20)
        yield -(1 << bits) - 54321 * (bits > 20)
        yield long(1 << bits)
    for value in (0, -5, 256, 257, -6, True, False, 0L, 1L, -1L, sys.maxint, -sys.maxint - 1):
        yield value
    for value in (float("2.5"), float("nan"), float("-inf"), complex(1.5, -2), complex("3j")):
        yield value
    yield int("7" * HUGE) // 3


@family
def strings():
    for text in (u"", u"a", u"\xe9", u"ascii text", u"latin \xe9", u"ucs2 \u20ac", u"ucs4 \U0001f600", u"\0nul",
                 u"\x1b[31m"):
        yield text
        yield (text + u"!") * 3
        yield (text + u"?") * HUGE
        yield text.encode("utf-8")
        yield text.encode("utf-8") * 3 + "."
        yield text.encode("utf-8") * HUGE + "."
    yield intern("interned at run time %d" % os.getpid())
    encoded = u"encoded by default %d" % os.getpid()
    "".join(["%s" % str(encoded)])
    hash(encoded)
    yield encoded
    yield buffer("a buffer of a string")
    yield buffer(bytearray("a buffer"), 2, 3)
    yield buffer(array.array("i", [1, 2]))


@family
def bytearrays():
    for value in (bytearray(), bytearray(b"x"), bytearray(600), bytearray(b"y" * HUGE)):
        yield value
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
    yield memoryview(b"abc")
    yield memoryview(memoryview(b"nested"))
    shrunk = bytearray(HUGE)
    del shrunk[10:]
    yield shrunk


# ---- containers ----


@family
def lists_and_tuples():
    for value in ([], [1], [None] * 10, range(HUGE), [[]], [[1], [2, [3]]]):
        yield value
    grown = []
    for i in range(100):
        grown.append(str(i))
    yield grown
    shrunk = range(HUGE)
    del shrunk[5:]
    yield shrunk
    popped = [object(), object()]
    popped.pop()
    popped.pop()
    yield popped
    loop = []
    loop.append(loop)
    yield loop
    for value in ((), (1,), (1, "two", 3.0), tuple(range(HUGE)), ([],), ((), ((), ())), (object(), [1])):
        yield value
    yield sorted(str(i) for i in range(70))


@family
def dicts():
    for value in ({}, {"a": 1}, {1: "int key"}, {("t",): []}, {None: None, u"mixed": 1, 2.5: 3}):
        yield value
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
    few = {"k": 1, "gone": 2}
    del few["gone"]
    yield few
    cleared = {"k": 1}
    cleared.clear()
    yield cleared
    shrunk = {i: i for i in range(1000)}
    for i in range(990):
        del shrunk[i]
    shrunk["again"] = 1
    yield shrunk
    yield dict(shrunk)
    yield dict.fromkeys("abcdefgh")
    yield dict.fromkeys(range(40), [])
    yield dict(a=1, b=[], c={})


@family
def dict_views_and_iterators():
    d = {"a": [1], "b": [2], 3: [4]}
    yield d
    for value in (d.viewkeys(), d.viewvalues(), d.viewitems(), iter(d), d.itervalues(), d.iteritems()):
        yield value
    started = d.iteritems()
    next(started)
    yield started
    exhausted = iter(d)
    list(exhausted)
    yield exhausted
    yield Config.__dict__


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
    small = set(["a", "b", "<dummy key>"])
    small.discard("a")
    yield small
    cleared = set(range(100))
    cleared.clear()
    yield cleared
    yield iter(set([1, 2]))
    yield iter(frozenset("ab"))
    yield set([frozenset([frozenset()])])


@family
def ranges_slices_iterators():
    for value in (xrange(0), xrange(10), xrange(5, 1000, 7), xrange(10, 0, -1), iter(xrange(10))):
        yield value
    for value in (slice(None), slice(1, 2), slice([], (), {}), slice(10 ** 10, None, -1)):
        yield value
    for value in (iter([1, 2]), reversed([1, 2]), iter((1, 2)), reversed((1, 2)), iter("text"), iter(u"\u20ac"),
                  iter(bytearray(b"ba")), iter(array.array("i", [1])), iter(collections.deque([1])),
                  reversed(collections.deque([1])), iter(lambda: 1, 2), iter(Sequence()), reversed(Sequence()),
                  enumerate([1, 2]), enumerate("ab", 10 ** 30), Ellipsis, NotImplemented, object()):
        yield value
    exhausted = iter([1])
    list(exhausted)
    yield exhausted


class Sequence(object):
    def __getitem__(self, i):
        if i > 2:
            raise IndexError(i)
        return i

    def __len__(self):
        return 3


# ---- classes and instances ----


class Config(dict):
    pass


class Empty(object):
    pass


class Point(object):
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


class Many(object):
    def __init__(self, n):
        for i in range(n):
            setattr(self, "attribute_%d" % i, [i])


class Slots(object):
    __slots__ = ("a", "b")


class SlotsAndDict(Slots):
    def __init__(self):
        self.a, self.c = [1], [2]


class SlotsDictWeak(object):
    __slots__ = ("x", "__dict__", "__weakref__")


class OnlyDict(object):
    __slots__ = ("__dict__",)


class OnlyWeak(object):
    __slots__ = ("__weakref__",)


class ManySlots(object):
    __slots__ = tuple("slot_%d" % i for i in range(100))


class Meta(type):
    def __init__(cls, name, bases, namespace):
        super(Meta, cls).__init__(name, bases, namespace)
        cls.registry = [name]


class WithMeta(object):
    __metaclass__ = Meta


class Abstract(object):
    __metaclass__ = abc.ABCMeta


class Old:
    """A class of the old kind."""

    def __init__(self, *values):
        self.values = values

    def method(self):
        return self


class OldChild(Old):
    shared = ["class attribute"]


class OldAttributes:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return [name]

    def __setattr__(self, name, value):
        self.__dict__[name] = value

    def __delattr__(self, name):
        del self.__dict__[name]


class Mixed(Old, object):
    pass


class Data(object):
    def __init__(self, name, rows=None):
        self.name, self.rows = name, rows or []


@family
def instances():
    for value in (Empty(), Point(1, [2]), Point("x", None), Many(3), Many(29), Many(31), Many(200)):
        yield value
    seen = Point([1], [2])
    yield seen.__dict__
    yield seen
    replaced = Point(1, 2)
    replaced.__dict__ = {"x": [1], 5: "not a name"}
    yield replaced
    deleted = Point([3], [4])
    del deleted.x
    yield deleted
    shared = Empty()
    shared.__dict__ = seen.__dict__
    yield shared
    slots = Slots()
    slots.a = [1]
    for value in (slots, Slots(), SlotsAndDict(), SlotsDictWeak(), OnlyDict(), OnlyWeak(), ManySlots()):
        yield value
    both = SlotsDictWeak()
    both.x, both.y = [1], [2]
    yield both
    yield weakref.ref(both)
    filled = ManySlots()
    for name in ManySlots.__slots__:
        setattr(filled, name, [name])
    yield filled
    yield WithMeta()
    yield Abstract()
    yield type("Other", (Point,), {"__module__": "package.module"})(1, 2)
    yield [Point(i, str(i)) for i in range(50)]


@family
def old_instances():
    for value in (Old, OldChild, OldAttributes, Old(), Old([1], 2), OldChild("a"), Mixed([3]), Data("d"), Data("e", [1])):
        yield value
    free = OldAttributes()
    free.attribute = [1]
    yield free
    yield Old([2]).method
    yield Old.method
    yield OldChild.__init__
    held = Old()
    yield held
    yield weakref.ref(held)
    yield weakref.proxy(held)
    yield weakref.ref(Old)
    yield types.ClassType("Made", (Old,), {"field": []})
    yield types.InstanceType(Old, {"direct": [1]})
    yield [Old(i, str(i)) for i in range(50)]
    loop = Old()
    loop.loop = loop
    yield loop


@family
def classes():
    for value in (Empty, Point, Meta, WithMeta, Abstract, int, long, type, object, types.ClassType):
        yield value
    yield type("Dynamic", (), {"field": []})
    yield type("Slotted", (), {"__slots__": ("p", "q")})
    yield type("Deep", (type("Middle", (Point,), {}),), {})
    yield Point.__dict__
    local = [type("Local%d" % i, (Empty,), {"i": i}) for i in range(5)]
    yield [cls() for cls in local]


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
                continue  # variable-size bases allow no slots
            for name in ("a", "c"):
                try:
                    setattr(o, name, [name])
                except (AttributeError, TypeError):
                    pass
            yield o


@family
def builtin_subclasses():
    huge = "x" * HUGE
    for base, values in (
            (int, [(), (5,)]),
            (long, [(), (5,), (10 ** 50,)]),
            (float, [(2.5,)]),
            (complex, [(1, 2)]),
            (str, [("",), ("ascii",), (huge,)]),
            (unicode, [(u"",), (u"ascii",), (u"\u20ac",), (u"\U0001f600",), (unicode(huge),)]),
            (bytearray, [(b"",), (b"some",), (huge,)]),
            (list, [(), ([1, 2],), (range(HUGE),)]),
            (tuple, [(), ([[1], 2],), (range(HUGE),)]),
            (dict, [(), ({"a": [1]},), ({1: [2]},), ({i: i for i in range(100)},)]),
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
            (file, [(os.devnull,)]),
            (collections.deque, [(), (range(200),)]),
            (collections.OrderedDict, [(), ({"a": 1},)]),
            (collections.defaultdict, [(list,)]),
            (array.array, [("i", [1, 2, 3])]),
            (decimal.Decimal, [("1.5",)]),
            (datetime.datetime, [(2020, 1, 1)]),
            (datetime.date, [(2020, 1, 1)]),
            (datetime.timedelta, [(5,)]),
            (fractions.Fraction, [(1, 3)]),
            (weakref.ref, [(Point,)]),
            (functools.partial, [(len,)]),
            (itertools.count, [(1,)]),
            (threading.local, [()]),
            (io.BytesIO, [(b"buffer",)]),
            (io.StringIO, [(u"text",)]),
            (random.Random, [(1,)]),
            (ctypes.c_int, [(5,)]),
            (enumerate, [([1],)]),
            (mmap.mmap, [(-1, 4096)]),
            (socket.socket, [()]),
            (struct.Struct, [("<iq",)]),
            (json.JSONEncoder, [()]),
            (uuid.UUID, [("12345678" * 4,)]),
            (string.Template, [("$a",)])):
        for value in subclass_instances(base, values):
            yield value


# ---- functions and code ----


def plain(a, b=[1], *rest, **options):
    return a


def make_closure():
    rows, unset = [[1], [2]], None

    def closure(x):
        return rows, unset, x

    def recursive(n):
        return recursive(n - 1) if n else None

    return closure, recursive


@family
def functions():
    for value in (plain, lambda: 0, make_closure(), make_closure()[0].__closure__, plain.__code__, len, [].append):
        yield value
    with_attributes = types.FunctionType(plain.__code__, globals(), "renamed", ([2],))
    with_attributes.attribute = [1]
    yield with_attributes
    p = Point(1, 2)
    for value in (p.move, Point.move, Point.klass, Point.static, p.__init__, p.__repr__, (5).__add__, str.join,
                  "".join, dict.fromkeys, Point.__dict__["static"], Point.__dict__["klass"], Point.__dict__["both"],
                  property(), Slots.a, int.real, types.FunctionType.__code__, str.__add__, dict.__dict__["fromkeys"],
                  super(SlotsAndDict, SlotsAndDict()), super(Meta, WithMeta)):
        yield value
    yield types.MethodType(plain, [1])
    yield types.MethodType(plain, [1], Point)
    yield types.MethodType(len, [1])
    source = "\n".join("name_%d = 'constant %d', %d.5" % (i, i, i) for i in range(300))
    yield compile(source, "<generated>", "exec")
    yield compile("a + b", "<eval>", "eval")

    @functools.wraps(plain)
    def hot(i):
        return i + 1

    for i in range(3000):
        hot(i)
    yield hot
    yield hot.__code__


@family
def modules():
    for value in (sys, os, json, types.ModuleType("empty"), types.ModuleType("document", "doc")):
        yield value
    full = types.ModuleType("full")
    full.__dict__.update(("v%d" % i, [i]) for i in range(200))
    yield full
    yield full.__dict__


# ---- frames and generators ----


def count_up(n, held):
    local = [n]
    for i in range(n):
        yield i, local, held


def failing():
    held = [1]
    try:
        yield held
        raise ValueError("in a generator")
    except ValueError:
        caught = [2]
        yield caught


@family
def generators():
    yield count_up(3, [])
    started = count_up(3, [1])
    next(started)
    yield started
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
    managed = manager()
    managed.__enter__()
    yield managed


@contextlib.contextmanager
def manager():
    entered = ["entered"]
    yield entered


@family
def exceptions_and_frames():
    for cls in (BaseException, Exception, ValueError, KeyError, StopIteration, SystemExit, MemoryError, Warning,
                GeneratorExit, AssertionError, NotImplementedError, StandardError):
        yield cls()
        yield cls("argument", [1])
    yield OSError(2, "message", "file")
    yield IOError(2, "message", "file")
    yield SyntaxError("bad", ("file", 1, 2, "text"))
    yield UnicodeDecodeError("utf8", b"bytes", 0, 1, "reason")
    yield UnicodeEncodeError("utf8", u"text", 0, 1, "reason")
    yield UnicodeTranslateError(u"text", 0, 1, "reason")
    for provoke in (lambda: Empty().missing, lambda: undefined_name, lambda: 1 / 0, lambda: [][1], lambda: {}["k"],
                    lambda: open("/does/not/exist"), lambda: int("x"), lambda: __import__("no_such_module")):
        try:
            provoke()
        except Exception as e:
            yield e
            yield sys.exc_info()[2]
    yield deep_traceback(20)
    attributed = ValueError("with attributes")
    attributed.attribute = [1]
    yield attributed
    yield kept_frame()
    yield sys._getframe()


def deep_traceback(n):
    local = [n]
    if n:
        return deep_traceback(n - 1)
    try:
        raise RuntimeError(local)
    except RuntimeError:
        return sys.exc_info()


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
    for value in (weakref.ref(target), weakref.ref(target, called.append), weakref.proxy(target), weakref.proxy(plain)):
        yield value
    yield weakref.ref(Point(3, 4))  # dead
    yield weakref.proxy(plain, called.append)
    values = weakref.WeakValueDictionary(a=target)
    keys = weakref.WeakKeyDictionary({target: [1]})
    for value in (values, keys, weakref.WeakSet([target])):
        yield value
    many = [Point(i, i) for i in range(100)]
    yield many
    yield weakref.WeakSet(many)
    yield [weakref.ref(p, called.append) for p in many]
    for holder in (set([1]), frozenset([2]), collections.deque(), collections.OrderedDict(), array.array("b"), plain,
                   re.compile("weak"), count_up(1, []), functools.partial(plain), type("Weak", (), {})):
        yield holder
        yield weakref.ref(holder)


# ---- collections, functools, itertools, operator ----


Named = collections.namedtuple("Named", "a b c")


@family
def collections_family():
    for n in (0, 1, 60, 62, 63, 64, 65, 200, HUGE):
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
    default = collections.defaultdict(list)
    default["a"].append(1)
    for value in (default, collections.defaultdict(), collections.defaultdict(lambda: 5, {1: 2}),
                  collections.Counter("hello world"), collections.Counter(), UserDict.UserDict(a=1),
                  UserList.UserList([1]), UserString.UserString("s"), UserString.MutableString("m"),
                  Named(1, [2], "3"), Named._make("abc"), uuid.uuid4(), uuid.UUID(int=5), fractions.Fraction(1, 3),
                  fractions.Fraction(10 ** 40, 7), Queue.Queue(), Queue.PriorityQueue(5), Queue.LifoQueue(),
                  string.Formatter(), string.Template("$x")):
        yield value


@family
def functools_family():
    for value in (functools.partial(plain), functools.partial(plain, 1, key=[2])):
        yield value
    attributed = functools.partial(plain, [1])
    attributed.note = "x"
    yield attributed
    yield functools.partial(attributed, 2)
    key = functools.cmp_to_key(lambda a, b: 0)
    yield key
    yield key([1])
    for value in (operator.itemgetter(1), operator.itemgetter("a", [1], 3), operator.attrgetter("a"),
                  operator.attrgetter("a.b.c", "d"), operator.methodcaller("m"),
                  operator.methodcaller("m", 1, [2], k=[3])):
        yield value


@family
def itertools_family():
    base = [[1], [2], [3], [4], [5]]
    yield base
    for value in (itertools.count(), itertools.count(10 ** 30), itertools.count(0.5, 2), itertools.repeat([1]),
                  itertools.repeat(1, 5)):
        yield value
    for make in (lambda: itertools.cycle(base), lambda: itertools.chain(base, base),
                 lambda: itertools.chain.from_iterable(base), lambda: itertools.compress(base, [1, 0, 1, 1]),
                 lambda: itertools.dropwhile([1].__eq__, base), lambda: itertools.ifilterfalse(None, [0, 0, 0]),
                 lambda: itertools.ifilter(None, base), lambda: itertools.imap(len, base),
                 lambda: itertools.izip(base, base), lambda: itertools.groupby(base, len),
                 lambda: itertools.islice(base, 1, None, 2), lambda: itertools.permutations(base, 2),
                 lambda: itertools.combinations(base, 2), lambda: itertools.product(base, repeat=2),
                 lambda: itertools.combinations_with_replacement(base, 2), lambda: itertools.takewhile(bool, base),
                 lambda: itertools.starmap(max, [base, base]), lambda: itertools.izip_longest(base, [1], fillvalue=[0])):
        yield make()
        started = make()
        yield next(started)
        yield started
        exhausted = make()
        for _ in zip(range(50), exhausted):
            pass
        yield exhausted
    one, two = itertools.tee(iter(base))
    next(one)
    next(one)
    for value in (one, two, itertools.tee(range(200), 3)):
        yield value
    far, near = itertools.tee(range(300))
    list(itertools.islice(far, 150))
    yield far
    yield near
    for value in itertools.groupby("aabbc"):
        yield value


# ---- threads and locks ----


class Worker(threading.Thread):
    def __init__(self, gate, ready, number):
        super(Worker, self).__init__(name="worker %d" % number)
        self.daemon = True
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
    for value in (gate, ready, workers, THREAD_LOCAL, reentrant, threading.Lock(), threading.RLock(),
                  threading.Event(), threading.Condition(), threading.BoundedSemaphore(3), threading.Timer(1000, plain)):
        yield value


# ---- input, output, system ----


@family
def io_family():
    directory = tempfile.mkdtemp()
    path = os.path.join(directory, "file")
    with open(path, "wb") as f:
        f.write(b"line of text \xc3\xa9\n" * 1000)
    for mode in ("r", "rb", "rU", "r+b"):
        opened = open(path, mode)
        opened.readline()
        yield opened
    iterated = open(path)
    next(iterated)
    yield iterated
    buffered = open(path, "r", 300)
    yield buffered
    written = open(path + ".w", "w")
    written.write("pending")
    yield written
    closed = open(path)
    closed.close()
    yield closed
    for value in (sys.stdin, sys.stdout, os.tmpfile(), os.fdopen(os.dup(0)), os.popen("true")):
        yield value
    reader = io.open(path, "rb")
    reader.read(10)
    text = io.open(path, encoding="utf-8")
    text.readline()
    text_out = io.open(path + ".t", "w", newline="\r\n")
    text_out.write(u"pending text")
    for value in (io.FileIO(path), reader, text, text_out, io.open(path, "r+b"), io.open(path, "rb", buffering=100),
                  io.BufferedReader(io.FileIO(path), 100000), io.BufferedWriter(io.FileIO(path + ".x", "w"), 3)):
        yield value
    ends = os.pipe()
    yield io.BufferedRWPair(io.FileIO(ends[0]), io.FileIO(ends[1], "w"))
    for content in (b"", b"short", bytes(bytearray(HUGE))):
        yield io.BytesIO(content)
        changed = io.BytesIO(content)
        changed.write(b"more now")
        yield changed
        yield cStringIO.StringIO(content)
        yield StringIO.StringIO(content)
        taken = cStringIO.StringIO()
        taken.write(content)
        yield taken
    grown = io.BytesIO()
    for _ in range(1000):
        grown.write(b"0123456789")
    grown.attribute = [1]
    yield grown
    for content in (u"", u"text", u"\xe9\u20ac\U0001f600" * 100, u"y" * HUGE):
        yield io.StringIO(content)
        written = io.StringIO(newline=None)
        for _ in range(20):
            written.write(content + u"\r\n")
        yield written
    yield io.IncrementalNewlineDecoder(None, True)
    import codecs
    for value in (codecs.lookup("utf-8"), codecs.getincrementaldecoder("utf-16")(), codecs.getreader("latin1")(reader),
                  codecs.open(path, encoding="utf-8")):
        yield value
    for value in (os.stat(path), os.times(), time.localtime(), os.uname(), os.statvfs(path), sys.flags,
                  sys.version_info, sys.float_info, sys.long_info, os.environ):
        yield value
    yield tempfile.TemporaryFile()
    yield tempfile.NamedTemporaryFile(dir=directory)


@family
def system():
    one, other = socket.socketpair()
    server = socket.socket()
    poll, epoll = select.poll(), select.epoll()
    poll.register(one)
    epoll.register(one)
    for value in (one, other, server, one.makefile("rb"), poll, epoll, mmap.mmap(-1, 20000)):
        yield value
    import signal
    import subprocess
    yield signal.getsignal(signal.SIGINT)
    process = subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.wait()
    yield process
    for module, make in (
            ("ssl", lambda m: [m.create_default_context(), m.SSLContext(m.PROTOCOL_TLSv1_2)]),
            ("resource", lambda m: [m.getrusage(m.RUSAGE_SELF)]),
            ("pwd", lambda m: [m.getpwuid(0)]),
            ("grp", lambda m: [m.getgrgid(0)]),
            ("termios", lambda m: [m.error("x")])):
        try:
            yield make(__import__(module))
        except ImportError:
            pass


# ---- the C extensions of the standard library ----


@family
def arrays_and_structs():
    for code in "cbBuhHiIlLfd":
        yield array.array(code)
        yield array.array(code, {"c": "text", "u": u"text"}.get(code, range(100)))
    grown = array.array("l")
    for i in range(1000):
        grown.append(i)
    yield grown
    popped = array.array("i", range(50))
    while len(popped) > 3:
        popped.pop()
    yield popped
    for form in ("", "i", "<iq10sH", "100x", "3i2d?", ">" + "b" * 200):
        yield struct.Struct(form)


class Pair(ctypes.Structure):
    _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_void_p)]


class Big(ctypes.Structure):
    _fields_ = [("p", Pair), ("data", ctypes.c_char * 1000)]


class Either(ctypes.Union):
    _fields_ = [("i", ctypes.c_int64), ("d", ctypes.c_double)]


@family
def ctypes_family():
    for value in (ctypes.c_int(5), ctypes.c_double(1), ctypes.c_char_p(b"held"), ctypes.c_wchar_p(u"held"),
                  ctypes.py_object([1]), ctypes.c_void_p(), Pair(), Big(), Either(), (ctypes.c_int * 5)(),
                  (ctypes.c_char * HUGE)(), (Pair * 3)(), ((ctypes.c_int * 2) * 3)(), ctypes.create_string_buffer(50),
                  ctypes.create_unicode_buffer(u"u")):
        yield value
    number = ctypes.c_int(7)
    for value in (number, ctypes.pointer(number), ctypes.byref(number),
                  ctypes.cast(ctypes.pointer(number), ctypes.c_void_p)):
        yield value
    inner = Big()
    yield inner.p
    strings = (ctypes.c_char_p * 3)(b"one", b"two", None)
    yield strings
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x)
    yield callback
    library = ctypes.CDLL(None)
    library.strlen.argtypes = [ctypes.c_char_p]
    library.strlen.restype = ctypes.c_size_t
    library.strlen(b"x")
    for value in (library, library.strlen, ctypes.pythonapi, ctypes.pythonapi.Py_IncRef, Pair, ctypes.POINTER(Pair),
                  ctypes.c_int * 5, Pair.a, ctypes.ArgumentError()):
        yield value
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
    for tz in (None, zone):
        yield datetime.datetime(2020, 1, 2, 3, 4, 5, 6, tz)
        yield datetime.time(1, 2, tzinfo=tz)
        yield datetime.datetime(2020, 1, 2, tzinfo=tz)
    for value in (datetime.date(2020, 1, 2), datetime.timedelta(days=5), zone, datetime.datetime(2020, 1, 2).timetuple()):
        yield value


@family
def decimal_family():
    for text in ("0", "1.5", "-Infinity", "NaN", "1e100", "1" * 1000):
        yield decimal.Decimal(text)
    context = decimal.Context(prec=500)
    for value in (context.divide(decimal.Decimal(1), 7), context, decimal.getcontext(), decimal.localcontext()):
        yield value


@family
def regular_expressions():
    for pattern in ("", "a", r"(\w+)@(?P<host>\w+)", "[a-z]{3,5}|" * 100 + "x", u"\xe9\u20ac+"):
        compiled = re.compile(pattern)
        yield compiled
        yield compiled.search("a name@host abc")
        yield compiled.scanner("x")
    found = re.match(r"(\w)(\w)?(?P<named>\d)*", "ab123")
    found.regs, found.groups()
    for value in (found, re.finditer("a", "aaa"), re.error("bad"), re.compile("x" * 5000)):
        yield value


@family
def hashes_and_compression():
    import bz2
    import hashlib
    import hmac
    import zlib
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = getattr(hashlib, name)(b"data")
        yield digest
        yield digest.copy()
    yield hmac.new(b"key", b"message", hashlib.sha256)
    squeeze, stretch = zlib.compressobj(), zlib.decompressobj()
    squeeze.compress(b"data" * 100)
    stretch.decompress(zlib.compress(b"x" * 10000), 10)
    for value in (squeeze, stretch, bz2.BZ2Compressor(), bz2.BZ2Decompressor(), random.Random(5), random.SystemRandom()):
        yield value
    import _random
    import binascii
    yield _random.Random(3)
    yield binascii.Error("x")


@family
def text_formats():
    import ConfigParser
    import csv
    import symtable
    import tokenize
    import unicodedata
    for value in (json.JSONDecoder(), json.JSONEncoder(indent=2), json.JSONDecoder().scan_once):
        yield value
    rows = csv.reader(StringIO.StringIO("a,b\nc,d\n"))
    next(rows)
    for value in (rows, csv.writer(StringIO.StringIO()), csv.get_dialect("excel"),
                  csv.DictReader(StringIO.StringIO("a,b\n1,2\n"))):
        yield value
    for module in (pickle, cPickle):
        pickler = module.Pickler(StringIO.StringIO(), 2)
        pickler.dump([[1], {"a": Named(1, 2, 3)}])
        unpickler = module.Unpickler(StringIO.StringIO(module.dumps([1, [2]])))
        unpickler.load()
        yield pickler
        yield unpickler
        yield module.PicklingError("x")
    import parser
    yield parser.expr("1")
    yield parser.suite("def f(x, y=[1]):\n    return {x: 'text'}\n" * 50)
    yield ast.parse("def f(x, y=1):\n    return [x for x in y if x]\n")
    yield symtable.symtable("x = 1\ndef f(): pass", "<s>", "exec")
    yield list(tokenize.generate_tokens(StringIO.StringIO("a = 1").readline))
    config = ConfigParser.ConfigParser()
    config.readfp(StringIO.StringIO("[section]\nkey = value\n"))
    yield config
    yield unicodedata.ucd_3_2_0


@family
def xml_family():
    import xml.dom.minidom
    import xml.etree.ElementTree as tree
    import xml.parsers.expat
    root = tree.fromstring("<r a='1' b='2'>text<c>" + "<d/>tail" * 30 + "</c><e/></r>")
    for value in (root, root.iter(), root.attrib, tree.Element("alone"), tree.ElementTree(root)):
        yield value
    expat = xml.parsers.expat.ParserCreate()
    expat.StartElementHandler = plain
    expat.buffer_text = True
    yield expat
    yield xml.dom.minidom.parseString("<r><a/></r>")
    yield tree.ParseError("x")


@family
def sqlite_family():
    import sqlite3
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.execute("create table t (a, b)")
    connection.executemany("insert into t values (?, ?)", [(i, "row %d" % i) for i in range(20)])
    connection.create_function("f", 1, plain)
    cursor = connection.execute("select * from t")
    for value in (connection, cursor, cursor.fetchone(), cursor.fetchmany(3), connection.cursor(),
                  sqlite3.IntegrityError("x")):
        yield value


@family
def python_level():
    import argparse
    import httplib
    import inspect
    import logging
    import traceback
    import urlparse
    import warnings
    parser = argparse.ArgumentParser(prog="p", description="d")
    parser.add_argument("--option", type=int, default=[1])
    for value in (parser, httplib.HTTPConnection("localhost"), inspect.getargspec(plain), logging.getLogger("zoo"),
                  logging.StreamHandler(), logging.makeLogRecord({"msg": "m"}), traceback.extract_stack(),
                  urlparse.urlparse("http://u@h:80/p?q#f"), warnings.catch_warnings()):
        yield value


# ---- what the collector does not know ----


@family
def untracked():
    """Objects that no GC list has: held by others, and held by nobody but a leaked reference."""
    text, number = "hidden text %d" % os.getpid(), os.getpid() * 10 ** 12
    data, real = b"hidden bytes %d" % os.getpid(), os.getpid() * 1.25
    wide, big = u"hidden \u20ac %d" % os.getpid(), os.getpid() * 10 ** 25
    pair = (text, number)
    MARKS.update(text=id(text), number=id(number), data=id(data), real=id(real), pair=id(pair), wide=id(wide), big=id(big))
    yield {"outer": (pair, data, real, wide, big)}
    hostile = u"\x1b[31m %s%n \\ \"; set $hostile = 1\n\nset $hostile = 2\n" + unicode(os.getpid())
    MARKS["hostile"] = id(hostile)
    yield hostile
    for value in (u"it's", u'say "no"', u"it's \"so\"", u"a\\b\t\r\n\0\x7f\u202e", b"it's", b'say "no"', b"\"it's\"",
                  b"a\\b\t\r\n\0\x7f\xff", u"", b""):
        MARKS["repr " + repr(value)] = id(value)
        yield value
    leak = ctypes.pythonapi.Py_IncRef
    leak.argtypes = [ctypes.py_object]
    for name, value in (("leaked_str", "leaked str %d" % os.getpid()), ("leaked_bytes", b"leaked %d" % os.getpid()),
                        ("leaked_unicode", u"leaked \u20ac %d" % os.getpid()), ("leaked_long", os.getpid() * 10 ** 25),
                        ("leaked_tuple", (os.getpid() * 10 ** 9, "in a tuple %d" % os.getpid()))):
        leak(value)
        MARKS[name] = id(value)


SORTED = [True, False]  # for ever: the process stays in a key function

if __name__ == "__main__":
    build()
    SORTED.sort(key=lambda item: oracle.park(sys.argv[1], *map(int, sys.argv[2:3]), marks=MARKS,
                                             always=[ZOO["threads"], ZOO["lists_and_tuples"]]))
