"""The heap that bench/run measures, of about N objects, and what can be asked about it from inside.

    python3 workload.py N [SECONDS]

builds it (and ages it so long: at random, objects are freed and others allocated in their place), prints one line of JSON about it, and then, for each line of stdin that names a baseline, how many seconds
that took, or null where it is not available. Ends with stdin.

Records as services have them: users with attributes, strings, numbers, a small dict, list and tuple; a doubly linked
list of nodes with __slots__ through all of them; some sets, nested dicts and cycles.
"""
import collections
import gc
import importlib.util
import json
import os
import random
import sys
import time

INSTANCE_DICTS = sys.version_info < (3, 11)
# Eight records have 14 objects each, four that are extras of every second, four sets' worth of every fourth, and one list.
OBJECTS_A_RECORD = (8 * 14 + 4 * 4 + 2 * 4 + 1) / 8 + INSTANCE_DICTS


class User:
    def __init__(self, name, uid, score, tags, pos, props):
        self.name = name
        self.uid = uid
        self.score = score
        self.tags = tags
        self.pos = pos
        self.props = props


class Node:
    __slots__ = ("prev", "owner", "weight", "next")

    def __init__(self, prev, owner, weight):
        self.prev = prev
        self.owner = owner
        self.weight = weight
        self.next = None


class Heap:
    def __init__(self):
        self.users = []
        self.nodes = []
        self.by_name = {}
        self.first = None
        self.last = None
        self.extra = []

    def add_record(self, i):
        user = self.make_user(i)
        node = self.add_node(user, user.uid + 1)
        self.users.append(user)
        self.nodes.append(node)
        if i % 2 == 0:
            self.extra.append(self.make_extra(i, user, node))

    def make_user(self, i):
        base = 1000003 + 16 * i
        name = "user-%08d" % i
        properties = {"id": base, "label": "label of %d" % i, "data": b"\x00data%d" % i}
        user = User(name, base, i * 1.5 + 0.25, ["common", "tag/%d/x" % i], (i + 0.5, i + 0.125), properties)
        self.by_name[name] = user
        if i % 4 == 0:
            user.groups = {base + 2, base + 3, base + 4}
        if i % 8 == 0:
            user.loop = [user]
            user.loop.append(user.loop)
        return user

    @staticmethod
    def make_extra(i, user, node):
        return [{"k": "nested %d" % i, "up": user}, (user.name, node)]

    def add_node(self, owner, weight):
        node = Node(self.last, owner, weight)
        if self.last is None:
            self.first = node
        else:
            self.last.next = node
        self.last = node
        return node

    def renew(self, i):
        """Free a record, but for its node, and allocate it anew."""
        old, node = self.users[i], self.nodes[i]
        del self.by_name[old.name]
        if i % 8 == 0:
            old.loop.clear()
        self.users[i] = node.owner = self.make_user(i)
        node.weight = self.users[i].uid + 1
        if i % 2 == 0:
            self.extra[i // 2] = self.make_extra(i, self.users[i], node)

    def middle(self):
        return self.users[len(self.users) // 2]


def age(heap, seconds):
    """Records are renewed at random, and some are kept from being so for a while, so that holes move about."""
    end, numbers = time.monotonic() + seconds, random.Random(1)
    kept = collections.deque(maxlen=1000)
    while time.monotonic() < end:
        for _ in range(1000):
            i = numbers.randrange(len(heap.users))
            kept.append((heap.users[i].tags, heap.users[i].pos))
            heap.renew(i)


def count_types():
    collections.Counter(type(o) for o in gc.get_objects())


def sum_sizes():
    sum(map(sys.getsizeof, gc.get_objects()))


def get_referrers():
    gc.get_referrers(HEAP.middle())


def objgraph_types():
    sys.modules["objgraph"].most_common_types(limit=10)


def objgraph_chain():
    objgraph = sys.modules["objgraph"]
    objgraph.find_backref_chain(HEAP.middle(), objgraph.is_proper_module)


def guppy_heap():
    sys.modules["guppy"].hpy().heap()


def pympler_muppy():
    muppy, summary = (importlib.import_module("pympler." + name) for name in ("muppy", "summary"))
    summary.summarize(muppy.get_objects())


def pympler_asizeof():
    importlib.import_module("pympler.asizeof").asizeof(HEAP.users)


BASELINES = {f.__name__: f for f in (count_types, sum_sizes, get_referrers, objgraph_types, objgraph_chain, guppy_heap,
                                     pympler_muppy, pympler_asizeof)}


def measure(name):
    module = name.split("_")[0]
    if module in ("objgraph", "guppy", "pympler"):
        if not importlib.util.find_spec(module):
            return None
        importlib.import_module(module)  # not before it is asked for: it brings objects of its own
    start = time.perf_counter()
    BASELINES[name]()
    return time.perf_counter() - start


def resident_bytes():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def say(value):
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    HEAP = Heap()
    RECORDS = max(8, int(int(sys.argv[1]) / OBJECTS_A_RECORD))
    for number in range(RECORDS):
        HEAP.add_record(number)
    age(HEAP, float(sys.argv[2]) if len(sys.argv) > 2 else 0)
    say({"pid": os.getpid(), "version": sys.version.split()[0], "users": RECORDS, "tracked": len(gc.get_objects()),
         "resident_bytes": resident_bytes(), "middle": hex(id(HEAP.middle()))})
    for line in sys.stdin:
        say(measure(line.strip()))
