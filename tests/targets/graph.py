"""Objects that hold each other in many ways, and unreachable cycles, and what the interpreter says of them.

usage: graph.py TRUTH

Two children are forked, whose heaps have the same objects at the same addresses. One runs the collector with
DEBUG_SAVEALL and notes what it found. The other works out, for some objects, what would be freed with them: it takes
what an object reaches, and drops from that whatever has a reference from outside, by its reference count, until no more
can be dropped. Then it evaluates expressions (answers.py).
"""
import collections
import gc
import json
import os
import signal
import sys
import threading
import time
import traceback
import types
import weakref

import answers
import oracle


class Node(object):
    def __init__(self, value, other=None):
        self.value, self.other = value, other


class Slotted(object):
    __slots__ = ("left", "right", "__weakref__")

    def __init__(self, left, right):
        self.left, self.right = left, right


class Shadowed(object):
    """Attributes that are not what the instance's dict says."""

    value = property(lambda self: "another")

    def __init__(self, value):
        self.__dict__["value"] = value
        self.__dict__["two words"] = [value]
        self.plain = [value, value]


class Stubborn(object):
    def __getattribute__(self, name):
        return object.__getattribute__(self, "other" if name == "own" else name)

    def __init__(self):
        self.own, self.other = ["own"], ["other"]


class Finalized(object):
    def __init__(self, name):
        self.name, self.me = name, self

    def __del__(self):
        pass


class Numbers(list):
    pass


class Backwards(list):
    def __getitem__(self, n):
        return list.__getitem__(self, -1 - n)


class Registry(object):
    store = {}
    by_number = collections.defaultdict(list)
    names = ("class", "level")


def closure_over(value):
    hidden = {"hidden": [value] * 3}

    def inner():
        return hidden
    return inner


def counting(items):
    step = ["a step", len(items)]
    while True:
        yield step


def failing(depth):
    local = ["at depth %d" % depth] * depth
    if depth == 0:
        raise ValueError(local)
    failing(depth - 1)


def caught():
    try:
        failing(4)
    except ValueError as error:
        return error


def make_garbage():
    """Unreachable cycles: rings, pairs, with finalizers, weak references and things that hang from them."""
    for number in range(1500):
        one, two = Node(number), Node([number, str(number) * 5])
        one.other, two.other = two, one
    for number in range(100):
        ring = [{"number": number}, (number, [number])]
        ring.append(ring)
    for number in range(50):
        Finalized("name %d" % number)
    weak = []
    for number in range(50):
        node = Slotted(None, {number: [number]})
        node.left = node
        weak.append(weakref.ref(node))
    kept = Node("kept by a weak reference's callback")
    kept.other = kept
    weak.append(weakref.ref(kept, lambda reference: None))
    function = closure_over(7)
    function.itself = function
    return weak


def shapes():
    """{name: object} of what retained sizes are asked of."""
    shared = {"shared": list(range(300, 340))}
    leaf = Node("x" * 500)
    found = {
        "list of strings": ["string %d" % n for n in range(200)],
        "dict of dicts": {"key %d" % n: {"n": n, "list": [n * 1000, str(n)]} for n in range(100)},
        "holds a shared one": [shared, "alone" * 3],
        "holds it too": {"shared": shared},
        "nodes": [Node(n * 700, Node(str(n) * 30)) for n in range(50)],
        "slots": Slotted([n * 900 for n in range(60)], {"a": bytearray(1000)}),
        "tuple in tuple": ((1.5, 2.5), (("deep", b"bytes" * 50),) * 3),
        "sets": [{("a", n), ("b", n * 999)} for n in range(30)],
        "deque": collections.deque([[n * 800] for n in range(90)]),
        "cycle within": Node("in a cycle"),
        "leaf": leaf,
        "shares a leaf": [leaf, Node(leaf)],
        "chain": None,
        "text": "text of its own %d" % os.getpid(),
    }
    found["cycle within"].other = [found["cycle within"], {"back": found["cycle within"], "more": ["x" * 77]}]
    for n in range(300):
        found["chain"] = Node(n * 1001, found["chain"])
    for n, node in enumerate(found["nodes"][:20]):
        Registry.by_number[n % 3].append(node)
    return found


# ---- what the interpreter says ----


def references(o):
    """What o holds, each as often as it counts."""
    if type(o) is dict:
        return list(o) + list(o.values())
    return gc.get_referents(o)


SIMPLE = (dict, list, tuple, set, str, bytes, bytearray, int, float, bool, type(None), collections.deque, Node, Slotted)
if sys.version_info < (3,):
    SIMPLE += (type(u""), type(1 << 80))


def freed_with(start):
    """[bytes, objects] that would be freed with an object, by reference counts alone."""
    closure, places = [start], {id(start): 0}
    o = r = None
    for o in closure:  # grows while it is walked
        for r in references(o):
            if id(r) not in places and type(r) in SIMPLE:
                places[id(r)] = len(closure)
                closure.append(r)
    del o, r, start
    inner = [0] * len(closure)
    targets = []
    for place in range(len(closure)):
        targets.append([places[id(r)] for r in references(closure[place]) if id(r) in places])
        for target in targets[place]:
            inner[target] += 1
    r = None  # 2.7 keeps what a comprehension's variable was last
    alone = [object()]
    own = sys.getrefcount(alone[0])
    counts = [sys.getrefcount(closure[place]) - own for place in range(len(closure))]
    gone = [True] * len(closure)
    # More from inside than there are: keys that instances share.
    pending = [place for place in range(1, len(closure)) if counts[place] != inner[place]]
    while pending:
        place = pending.pop()
        if not gone[place]:
            continue
        gone[place] = False
        for target in targets[place]:
            inner[target] -= 1
            if target and gone[target]:
                pending.append(target)
    sizes = [sys.getsizeof(closure[place]) for place in range(len(closure)) if gone[place]]
    return [sum(sizes), len(sizes)]


def tell_garbage(path):
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    with open(path + ".part", "w") as out:
        json.dump([[id(o), oracle.type_name(type(o))] for o in gc.garbage], out)
    os.rename(path + ".part", path)


def tell_retained(path, found, marks):
    truth = {name: [id(found[name])] + freed_with(found[name]) for name in sorted(found)}
    with open(path, "w") as out:
        json.dump({"retained": truth, "marks": marks, "pid": os.getpid()}, out)


def told(step, *arguments):
    try:
        step(*arguments)
        return True
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        return False


def waiting(event, held):
    own = {"of the thread": [held, "thread" * 20]}
    event.set()
    os.read(os.pipe()[0], 1)
    return own


def main():
    path = sys.argv[1]
    answers.prepare(path)
    started = threading.Event()
    threading.Thread(target=waiting, args=(started, ["held by a thread"]), daemon=True).start() if sys.version_info > (3,) else started.set()
    started.wait()
    time.sleep(0.1)  # until it is in its read: a fork must not meet it with a lock
    found = shapes()
    function = closure_over(["closed over"])
    generator = counting([1, 2, 3])
    next(generator)
    error = caught()
    others = [Shadowed("shadowed"), Stubborn(), Numbers([["first"], ["second"]]), Backwards([["one"], ["two"]]),
              types.ModuleType("made_up"), collections.OrderedDict([("a", ["od"]), ((1, 2), ["od too"])]),
              {1: ["int key"], b"bytes": ["bytes key"], (1, 2): ["tuple key"], None: ["None"], "it's": ["quoted"],
               u"caf\xe9\n": ["escaped"], 1.5: ["float key"], 10 ** 30: ["long"]}]
    others[4].attribute = {"in a module": ["that is in no list of modules"]}
    Registry.store["found"] = found
    Registry.store["others"] = others
    here = {"of main": [function, generator, error]}
    marks = {name: id(value) for name, value in (("function", function), ("generator", generator), ("error", error),
                                                 ("here", here), ("store", Registry.store), ("found", found))}
    for name, value in sorted(found.items()):
        marks[name] = id(value)
    gc.collect()
    gc.disable()
    weak = make_garbage()
    if oracle.FORK() == 0:
        os._exit(0 if told(tell_garbage, path + ".garbage") else 1)
    if oracle.FORK() == 0:
        signal.alarm(answers.SECONDS)
        ok = told(tell_retained, path, found, marks)
        while not os.path.exists(path + ".garbage"):
            pass
        os.write(1, b"ready\n" if ok else b"failed\n")
        os._exit(0 if ok and told(answers.serve, path) else 1)
    os.read(*oracle.STDIN_AND_LENGTH)
    os._exit(len(weak))


main()
