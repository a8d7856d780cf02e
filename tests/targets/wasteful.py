"""A program that wastes memory in every way that `waste` knows, and that holds what `find` is asked for.

usage: wasteful.py TRUTH    (see oracle.park). The truth says beside the usual, with addresses as keys:
    kept    {kind: {address: [count, bytes]}} of what this program itself wastes
    tracked {kind: {address: bytes}} of all lists, dicts, sets and empty containers that the collector tracks
    dicts   the dicts of instances, which are left out of `tracked`
    values  [type, address, count, bytes] of all equal values of this program, single ones too
    found   {question: [addresses]}; the questions are test_find.py's
"""
import collections
import ctypes
import struct
import sys

import oracle

PY2 = sys.version_info[0] == 2
WORD = struct.calcsize("P")
# Made while the program runs, so that no constant of its code has them.
MARK = "%sx%d" % ("zq", 7)
LARGE, HUGE, REAL = int("81234567"), int("7" + "0" * 30), float("81234567.5")
ATTRIBUTE = "attribute_%s" % MARK
text = type(u"")


class Shared(object):
    def __init__(self, number):
        self.first, self.second, self.third = number, number, number


class Touched(object):
    def __init__(self, number):
        self.first, self.second = number, number


class Alone(object):
    """Its one instance shares with no other."""


class Holder(object):
    pass


class Slotted(object):
    __slots__ = (ATTRIBUTE, "other")


class SubDict(dict):
    pass


class SubList(list):
    pass


class SubSet(set):
    pass


class SubText(text):
    pass


def sparse_dicts():
    made = []
    for count, left in ((100, 3), (1000, 900), (1000, 10), (20000, 20), (30, 30), (6, 5), (11, 1)):
        for keys in ([MARK + str(n) for n in range(count)], list(range(10 ** 6, 10 ** 6 + count)),
                     [3.5] + [MARK + str(n) for n in range(count - 1)]):
            for kind in (dict, SubDict, collections.OrderedDict):
                d = kind((key, None) for key in keys)
                for key in keys[left:]:
                    del d[key]
                made.append(d)
    general = {5: 5, MARK: 1, MARK + "b": 2}
    del general[5]
    d = collections.defaultdict(list, dict.fromkeys(range(300)))
    for key in range(250):
        del d[key]
    return made + [general, d]


def sparse_sets():
    made = []
    for count, left in ((100, 3), (1000, 900), (1000, 10), (20000, 20), (30, 30), (6, 5), (5, 5), (4, 4), (11, 1)):
        for kind in (set, SubSet):
            s = kind()
            for number in range(count):
                s.add(number + 10 ** 6)
            for number in range(left, count):
                s.discard(number + 10 ** 6)
            made.append(s)
    return made + [frozenset(range(count)) for count in range(1, 40)]


def lists():
    made = []
    for count in (1, 5, 17, 1000, 100000):
        for kind in (list, SubList):
            grown = kind()
            for number in range(count):
                grown.append(None)
            shrunk = kind(range(count))
            del shrunk[count // 2 + 1:]
            made += [grown, shrunk, kind([None]) * count]
    return made


def bytearrays():
    made = []
    for count in (1, 5, 100, 100000):
        grown = bytearray()
        for _ in range(min(count, 5000)):
            grown.append(65)
        cut = bytearray(b"x" * count)
        del cut[:count // 3]
        popped = bytearray(b"x" * count)
        while len(popped) > count - count // 4:
            popped.pop()
        made += [grown, cut, popped, bytearray(b"y" * count)]
    return made


def empties():
    cleared, emptied, popped = {n: n for n in range(100)}, set(range(100)), list(range(100))
    cleared.clear()
    while emptied:
        emptied.pop()
    while popped:
        popped.pop()
    rotated = collections.deque(range(500))
    rotated.clear()
    kinds = (list, dict, set, bytearray, collections.deque, collections.OrderedDict, SubList, SubDict, SubSet)
    return [kind() for kind in kinds for _ in range(4)] + [cleared, emptied, popped, rotated]


def equal_values():
    """Lists of objects; the values of one list are of one type, and may be equal."""
    wide = [u"", u"\xe9", u"\u20ac", u"\U0001f600"]
    texts = [u"%s equal %d %s" % (MARK, n % 7, wide[n % 4]) for n in range(400)]
    texts += [u"%s long %d" % (MARK, n % 2) + u"x" * 100000 for n in range(6)]
    texts += [MARK + u"y" * n for n in range(50)]
    if not PY2:  # some keep their UTF-8
        cache = ctypes.pythonapi.PyUnicode_AsUTF8
        cache.argtypes, cache.restype = [ctypes.py_object], ctypes.c_char_p
        for t in texts[1:400:5]:
            cache(t)
    plain = [("%s bytes %d" % (MARK, n % 5)).encode("ascii") for n in range(100)]
    plain += [b"\0\xff%d" % (n % 3) * 1000 + MARK.encode("ascii") for n in range(9)]
    ints = [LARGE + 1 + n % 5 for n in range(100)] + [-HUGE - 1 - n % 2 for n in range(8)] + [HUGE + 1 + n for n in range(3)]
    floats = [REAL + 1 + n % 3 for n in range(60)] + [float("1e-%d" % (300 + n % 2)) for n in range(4)]
    complexes = [complex(REAL + n % 2, 7.25) for n in range(6)]
    subs = [SubText("%s sub %d" % (MARK, n % 2)) for n in range(10)]
    return [texts, plain, ints, floats, complexes, subs]


class Instances(object):
    """Of Shared, those that share their keys and those that do not; of Touched, those whose dict was asked for."""

    def __init__(self):
        self.sharing = [Shared(n) for n in range(20)]
        self.lost = [Shared(n) for n in range(12)]
        for n, o in enumerate(self.lost):
            fresh = {"first": n, "second": n}
            if n % 2:
                fresh.update(("other %d" % i, i) for i in range(n + 9))
            o.__dict__ = fresh
        self.too_many = [Shared(n) for n in range(3)]
        for o in self.too_many:
            o.__dict__ = {"name %d" % n: n for n in range(100)}
        self.odd = [Shared(n) for n in range(3)]
        for n, o in enumerate(self.odd):
            o.__dict__ = {5: n}
        self.plain = [Touched(n) for n in range(20)]
        self.touched = [Touched(n) for n in range(10)]
        for o in self.touched:
            o.__dict__
        self.used = [Touched(n) for n in range(5)]
        self.used_dicts = [o.__dict__ for o in self.used]
        self.alone = Alone()
        self.alone.__dict__ = {"a": 1}


def findable():
    """What `find` looks for, by question; more than those that match."""
    things = [MARK + " needle", u"\u20ac %s needle" % MARK, u"\U0001f600 %s NEEDLE \xe9" % MARK, u"\xc9t\xe9 %s" % MARK,
              SubText(MARK + " needle of a subclass"), (MARK + " needle in bytes").encode("ascii"),
              (u"\u20ac %s needle" % MARK).encode("utf-8"),
              bytearray((MARK + " needle in a bytearray").encode("ascii")), bytearray(b"  " + MARK.encode("ascii"))[1:],
              MARK, MARK.encode("ascii"), MARK + "\0needle", u"a" * 70000 + MARK + u" needle \u0416", MARK[:-1] + u"\u1e9e"]
    exact = int(2.0 ** 53) + len(MARK) * 2  # a double holds it, but not the next one
    numbers = [LARGE * 1000, float(LARGE * 1000), -LARGE * 1000, LARGE * 1000 + REAL - LARGE, exact + 1, float(exact), exact,
               HUGE ** 2 + 1, REAL / 1024, True, complex(LARGE * 1000, 0)]
    owner, module, function = Holder(), type(sys)("made_%s" % MARK), lambda: None
    for thing, value in ((owner, things[0]), (module, 5), (function, None), (Holder, numbers[0])):
        setattr(thing, ATTRIBUTE, value)
    slotted = Slotted()
    setattr(slotted, ATTRIBUTE, things[1])
    return {"things": things, "numbers": numbers,
            "owners": [owner, module, function, Holder, slotted, Slotted, {ATTRIBUTE: 1, 2: 3}, collections.OrderedDict([(ATTRIBUTE, 2)])],
            "others": [Holder(), Slotted(), {ATTRIBUTE + "_": 1}, {ATTRIBUTE.encode("ascii"): 1} if not PY2 else {}]}


# ---- the truth, in the child ----


def spare_of_list(o):
    return list.__sizeof__(o) - type(o).__basicsize__ - WORD * list.__len__(o)


def table_of(kind, o):
    return kind.__sizeof__(o) - type(o).__basicsize__


def spare_of_dict(o):
    """What a dict of the same keys has less: keys that are no str first, so that the table is what it will be at once."""
    keys = sorted(oracle.keys_of(o), key=lambda key: type(key) is str)
    anew = {}
    for key in keys:
        anew[key] = None
    if PY2:
        anew = dict(anew)  # its copies are smaller than what grew
    return table_of(dict, o) - table_of(dict, anew)


def spare_of_set(o):
    kind = set if issubclass(type(o), set) else frozenset
    return table_of(kind, o) - table_of(set, set(o))


def spare_of_bytearray(o):
    return bytearray.__sizeof__(o) - bytearray(bytes(o)).__sizeof__()


KINDS = [(list, "over-allocated-lists", spare_of_list), (dict, "sparse-dicts", spare_of_dict),
         (set, "sparse-sets", spare_of_set), (frozenset, "sparse-sets", spare_of_set),
         (bytearray, "over-allocated-bytearrays", spare_of_bytearray), (collections.deque, None, None)]


def wasted(o, size):
    """(kind, bytes) of a container, or None."""
    for kind, name, spare in KINDS:
        if issubclass(type(o), kind):
            if kind.__len__(o) == 0:
                return ("empty-containers", size) if kind is not frozenset else None
            bytes_ = spare(o) if spare else 0
            return (name, bytes_) if bytes_ > 0 else None
    return None


def group_values(objects, sizes):
    """{(type, value): [addresses], [sizes]}"""
    groups = {}
    for o in objects:
        key = struct.pack("d", o) if type(o) is float else struct.pack("dd", o.real, o.imag) if type(o) is complex else o
        if type(o) is SubText:
            key = text(o)
        group = groups.setdefault((type(o), key), ([], []))
        group[0].append(id(o))
        group[1].append(sizes[id(o)])
    return groups


def instance_dicts(objects):
    """The dicts of instances, found without making any."""
    found = []
    for o in objects:
        if type(o).__flags__ & oracle.HEAP_TYPE and not issubclass(type(o), type):
            for referent in oracle.gc.get_referents(o):
                if type(referent) is dict:
                    found.append((o, referent))
    return [referent for o, referent in found if getattr(o, "__dict__", None) is referent]


def unshared(instances):
    if PY2:
        return {}
    shared = max(sys.getsizeof(o.__dict__) for o in instances.sharing)
    room = (shared - sys.getsizeof({})) // WORD
    if sys.version_info >= (3, 13):
        shared = 0  # an instance has the room for its values whether it has a dict or not
    return {hex(id(o)): [1, sys.getsizeof(o.__dict__) - shared] for o in instances.lost
            if sys.getsizeof(o.__dict__) > shared and len(o.__dict__) <= room}


def needless(instances):
    """What a dict is without its values: what an empty one is."""
    if sys.version_info < (3, 11):
        return {}
    return {hex(id(o)): [1, sys.getsizeof({})] for o in instances.touched}


def find_answers(kept, objects):
    things, numbers, owners = kept["things"], kept["numbers"], kept["owners"]
    texts = [o for o in objects if isinstance(o, (text, bytes, bytearray))]

    def containing(needle, of):
        as_bytes = needle.encode("utf-8")
        return [o for o in of if (needle if isinstance(o, text) else as_bytes) in o]

    return {question: sorted({hex(id(o)) for o in found}) for question, found in {
        "contained": containing(u"%s needle" % MARK, texts),
        "wide": containing(u"\u20ac %s" % MARK, texts),
        "exact": [o for o in texts if o == (MARK if isinstance(o, text) else MARK.encode("ascii"))],
        "ignore case": [o for o in texts if (MARK + " needle").lower() in fold(o)],
        "accents": [o for o in texts if isinstance(o, text) and (u"\xe9t\xe9 %s" % MARK) in o.lower()],
        "regex": [o for o in texts if MARK in fold(o) and fold(o).endswith("needle")],
        "int": numbers[:2],
        "float": [numbers[3]],
        "beyond doubles": [numbers[4]],
        "whole doubles": numbers[5:7],
        "negative": [numbers[2]],
        "long": [numbers[7]],
        "fraction": [numbers[8]],
        "attribute": owners + [o for o in objects if isinstance(o, dict) and dict.__contains__(o, ATTRIBUTE)],
        "attribute of value": [owners[0], owners[4]] + [o for o in objects if o is owners[0].__dict__],  # not one made now
    }.items()}


def fold(o):
    return o.lower() if isinstance(o, text) else bytes(o).decode("latin-1").lower()


def main():
    kept = {"dicts": sparse_dicts(), "sets": sparse_sets(), "lists": lists(), "bytearrays": bytearrays(), "empty": empties(),
            "values": equal_values(), "instances": Instances(), "find": findable()}
    containers = kept["dicts"] + kept["sets"] + kept["lists"] + kept["bytearrays"] + kept["empty"]

    def more(objects, tracked_count, sizes):
        dicts = {id(o) for o in instance_dicts(objects[:tracked_count])}
        tracked = {}
        for o in objects[:tracked_count]:
            found = wasted(o, sizes[id(o)]) if id(o) not in dicts else None
            if found:
                tracked.setdefault(found[0], {})[hex(id(o))] = found[1]
        of_program = {}
        for o in containers:
            found = wasted(o, sizes[id(o)])
            if found:
                of_program.setdefault(found[0], {})[hex(id(o))] = [1, found[1]]
        values = []
        for number, some in enumerate(kept["values"]):
            for (kind, _), (addresses, some_sizes) in group_values(some, sizes).items():
                values.append([oracle.type_name(kind), hex(min(addresses)), len(addresses), sum(some_sizes)])
                if len(addresses) > 1 and kind is not SubText:
                    name = ["duplicate-strings", "duplicate-bytes"][number] if number < 2 else "duplicate-numbers"
                    if PY2 and number == 1:
                        name = "duplicate-strings"  # its bytes are its str
                    of_program.setdefault(name, {})[hex(min(addresses))] = [len(addresses), sum(some_sizes) - max(some_sizes)]
        found = find_answers(kept["find"], objects)
        of_program["needless-dicts"] = needless(kept["instances"])
        of_program["unshared-dicts"] = unshared(kept["instances"])
        return {"kept": of_program, "tracked_waste": tracked, "instance_dicts": sorted(map(hex, dicts)), "values": values,
                "found": found, "mark": MARK, "attribute": ATTRIBUTE, "interned": hex(id(sys.intern(ATTRIBUTE))) if not PY2 else None,
                "containers": [hex(id(o)) for o in containers]}

    oracle.park(sys.argv[1], samples=0, deep_samples=0, more=more)


main()
