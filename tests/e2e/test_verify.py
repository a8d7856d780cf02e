"""`verify`: a sound heap has no problem, whatever it holds; what was damaged is found, and nothing else.

Damage is done to cores of tests/targets/sound.py, which says where its objects are; where their fields are, the
layout tables say, which the tests of layouts compare with the interpreters.
"""
import json
import os
import struct
import subprocess

import pytest
import targets
from hosts import BUILD_DIR
from test_debug_offsets import EditedCore
from test_moments import STOPS, Debugged, Moment
from test_sound import require_sound


def verify(host, target, directory):
    return json.loads(host.run(target, [["verify", "--limit", "0", "--json"]], directory)[0])


# ---- damage ----


def read_layout(python):
    """{(struct, field): offset}, a struct's size under "sizeof"; alternative names each by itself."""
    command = [os.environ.get("PH_LAYOUT_DUMP", os.path.join(BUILD_DIR, "tests", "layout-dump"))]
    command += [".".join(map(str, python.version))] + python.flavours
    places = {}
    for line in subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines():
        _, structs, fields, value = line.split()
        for name in structs.split("|"):
            for field in fields.split("|"):
                if value != "absent":
                    places[name, field] = int(value)
    return places


class Patient(EditedCore):
    """A core of sound.py that can be damaged and healed."""

    def __init__(self, core, path):
        super().__init__(core, path)
        self.layout = read_layout(self.python)
        self.undo = []

    def find(self, cookie):
        """Debug offsets are of no interest."""
        return None

    def mark(self, name):
        return int(self.truth.marks[name], 16)

    def at(self, start, struct_name, field):
        return start + self.layout[struct_name, field]

    def field(self, start, struct_name, field):
        return self.word(self.at(start, struct_name, field))

    def write(self, address, data):
        self.undo.append((address, self.read(address, len(data))))
        super().write(address, data)

    def u32(self, address):
        return struct.unpack("<I", self.read(address, 4))[0]

    def set_u32(self, address, value):
        self.write(address, struct.pack("<I", value))

    def add(self, address, value):
        self.set_word(address, self.word(address) + value & 2 ** 64 - 1)

    def heal(self):
        for address, data in reversed(self.undo):
            super().write(address, data)
        self.undo = []

    def gc_head(self, name):
        return self.mark(name) - self.layout["PyGC_Head", "sizeof"]

    def has_lists(self):
        return "free-threaded" not in self.python.flavours

    def has_pools(self):
        return self.python.allocator().startswith("pymalloc")

    def pool_bytes(self):
        return 16384 if self.python.version >= (3, 10) else 4096

    def pool(self):
        """The address of a pool that has free blocks, and its first free block that is followed by another."""
        for number in range(10):
            pool = self.mark("hole %d" % number) & -self.pool_bytes()
            block = self.field(pool, "pool_header", "freeblock")
            if block and self.word(block):
                return pool, block
        raise AssertionError("no pool has free blocks")

    def arena(self):
        """The address of the arena_object of that pool: found by what it must say."""
        pool, _ = self.pool()
        arena_bytes = 1 << 20 if self.pool_bytes() == 16384 else 1 << 18
        total = arena_bytes // self.pool_bytes()
        for start, place, length in self.segments:
            self.file.seek(place)
            words = memoryview(self.file.read(length // 8 * 8)).cast("Q")
            for i, word in enumerate(words[:-2]):
                if 0 <= pool - word < arena_bytes and 0 <= words[i + 1] - word <= arena_bytes:
                    free, pools = words[i + 2] & 0xffffffff, words[i + 2] >> 32
                    if total - 1 <= pools <= total and free <= pools and words[i + 1] > pool:
                        return start + 8 * i
        raise AssertionError("no arena")


def is_old_dict(patient):
    return patient.python.version < (3,)


def break_link_back(patient):
    node = patient.gc_head("node")
    place = patient.at(node, "PyGC_Head", "_gc_prev")
    patient.set_word(place, node | patient.word(place) & 3)
    return patient.mark("node"), "gc-link"


def break_link(patient):
    patient.set_word(patient.at(patient.gc_head("node"), "PyGC_Head", "_gc_next"), 16)
    return patient.mark("node"), "gc-link"


def skip_a_node(patient):
    """A link that leads to the next but one, whose link back names the next."""
    node = patient.gc_head("node")
    place = patient.at(node, "PyGC_Head", "_gc_next")
    following = patient.word(place) & -4
    patient.set_word(place, patient.field(following, "PyGC_Head", "_gc_next"))
    return patient.mark("node"), "gc-link"


def mark_as_collected(patient):
    node = patient.gc_head("node")
    if ("PyGC_Head", "gc.gc_refs") in patient.layout:
        patient.set_word(patient.at(node, "PyGC_Head", "gc.gc_refs"), 10)
    else:
        patient.add(patient.at(node, "PyGC_Head", "_gc_prev"), 2)
    return patient.mark("node"), "gc-flags"


def clobber_type(patient):
    patient.set_word(patient.at(patient.mark("clobbered"), "PyObject", "ob_type"), patient.mark("list"))
    return patient.mark("clobbered"), "type"


def enlarge_type(patient):
    patient.set_word(patient.at(patient.mark("sized type"), "PyTypeObject", "tp_basicsize"), 1 << 40)
    return patient.mark("sized type"), "type"


def shrink_type(patient):
    place = patient.at(patient.mark("sized type"), "PyTypeObject", "tp_basicsize")
    patient.set_word(place, patient.layout["PyObject", "sizeof"])
    return patient.mark("sized type"), "type"


def set_refcount(patient, count):
    victim = patient.mark("victim")
    if "free-threaded" in patient.python.flavours:
        patient.set_u32(patient.at(victim, "PyObject", "ob_ref_local"), count)
        patient.set_word(patient.at(victim, "PyObject", "ob_ref_shared"), 0)
    else:
        patient.set_u32(patient.at(victim, "PyObject", "ob_refcnt"), count)
    return victim, "refcount"


def one_reference_too_few(patient):
    """Three lists and one attribute refer to it."""
    return set_refcount(patient, 3)


def no_references(patient):
    return set_refcount(patient, 0)


def refer(patient, address):
    holder = patient.mark("holder")
    patient.set_word(patient.field(holder, "PyListObject", "ob_item") + 8, address)
    return holder, "reference"


def refer_to_unmapped(patient):
    return refer(patient, 4096)


def refer_to_the_middle(patient):
    return refer(patient, patient.mark("victim") + 8)


def refer_to_a_free_block(patient):
    return refer(patient, patient.pool()[1])


def misplace_free_block(patient):
    _, block = patient.pool()
    patient.add(block, 8)
    return block, "pool"


def repeat_free_block(patient):
    _, block = patient.pool()
    patient.set_word(block, block)
    return block, "pool"


def leave_the_pool(patient):
    pool, block = patient.pool()
    patient.set_word(block, pool + 2 * patient.pool_bytes())
    return block, "pool"


def miscount_blocks(patient):
    pool, _ = patient.pool()
    place = patient.at(pool, "pool_header", "ref.count")
    patient.set_u32(place, patient.u32(place) - 1)
    return pool, "pool"


def clobber_pool(patient):
    pool, _ = patient.pool()
    patient.set_u32(patient.at(pool, "pool_header", "szidx"), 1000)
    return pool, "pool"


def miscount_pools(patient):
    arena = patient.arena()
    free, total = (patient.at(arena, "arena_object", name) for name in ("nfreepools", "ntotalpools"))
    patient.set_u32(free, patient.u32(free) + (1 if patient.u32(free) < patient.u32(total) else -1))
    return arena, "arena"


def miscount_dict(patient):
    patient.add(patient.at(patient.mark("dict"), "PyDictObject", "ma_used"), 1)
    return patient.mark("dict"), "dict"


def dict_indices(patient):
    """Where the index of `dict` begins, which has 8 slots of one byte, and where its entries do."""
    start = patient.at(patient.field(patient.mark("dict"), "PyDictObject", "ma_keys"), "PyDictKeysObject", "dk_indices")
    slots = patient.read(start, 16)
    count = next(n for n in (8, 16) if sorted(set(slots[:n]) - {255}) == list(range(6)))
    return start, slots[:count], start + count


def dict_index_twice(patient):
    start, slots, _ = dict_indices(patient)
    patient.write(start + slots.index(3), b"\2")
    return patient.mark("dict"), "dict"


def dict_index_too_high(patient):
    start, slots, _ = dict_indices(patient)
    patient.write(start + slots.index(255), b"\x40")
    return patient.mark("dict"), "dict"


def dict_index_swapped(patient):
    """All entries are in the index, and two of them where no search finds them."""
    start, slots, _ = dict_indices(patient)
    patient.write(start + slots.index(0), b"\4")
    patient.write(start + slots.index(4), b"\0")
    return patient.mark("dict"), "dict"


def dict_entry_lost(patient):
    start, slots, _ = dict_indices(patient)
    patient.write(start + slots.index(5), b"\xfe")
    return patient.mark("dict"), "dict"


def dict_hash(patient):
    """Of its last entry, the only one whose key is a str."""
    entry = patient.layout["PyDictKeyEntry", "sizeof"]
    if is_old_dict(patient):
        start = patient.field(patient.mark("dict"), "PyDictObject", "ma_table")
        places = [start + i * entry for i in range(patient.field(patient.mark("dict"), "PyDictObject", "ma_mask") + 1)]
        place = next(p for p in places if patient.word(p) > 1000)
    else:
        place = dict_indices(patient)[2] + 5 * entry
    patient.add(patient.at(place, "PyDictKeyEntry", "me_hash"), 1 << 20)
    return patient.mark("dict"), "dict"


def miscount_set(patient):
    patient.add(patient.at(patient.mark("set"), "PySetObject", "used"), 1)
    return patient.mark("set"), "set"


def overfill_set(patient):
    patient.add(patient.at(patient.mark("set"), "PySetObject", "fill"), 1)
    return patient.mark("set"), "set"


def set_hash(patient):
    entry = patient.field(patient.mark("set"), "PySetObject", "table")
    while not patient.word(entry):
        entry += patient.layout["setentry", "sizeof"]
    patient.add(patient.at(entry, "setentry", "hash"), 1 << 20)
    return patient.mark("set"), "set"


def lengthen_list(patient):
    target = patient.mark("list")
    room = patient.field(target, "PyListObject", "allocated")
    patient.set_word(patient.at(target, "PyVarObject", "ob_size"), room + 1)
    return target, "list"


def empty_item(patient):
    patient.set_word(patient.field(patient.mark("list"), "PyListObject", "ob_item") + 24, 0)
    return patient.mark("list"), "list"


def empty_last_items(patient):
    items = patient.field(patient.mark("list"), "PyListObject", "ob_item")
    patient.write(items + 8 * 18, bytes(16))
    return patient.mark("list"), "list"


def lengthen_tuple(patient):
    """Not by far, for what lies behind is followed when the snapshot is made."""
    patient.set_word(patient.at(patient.mark("tuple"), "PyVarObject", "ob_size"), 20)
    return patient.mark("tuple"), "tuple"


def empty_member(patient):
    patient.set_word(patient.at(patient.mark("tuple"), "PyTupleObject", "ob_item") + 16, 0)
    return patient.mark("tuple"), "tuple"


OF_LISTS = [break_link_back, break_link, skip_a_node, mark_as_collected]
OF_POOLS = [refer_to_a_free_block, misplace_free_block, repeat_free_block, leave_the_pool, miscount_blocks,
            clobber_pool, miscount_pools, lengthen_tuple]
OF_INDICES = [dict_index_twice, dict_index_too_high, dict_index_swapped, dict_entry_lost]
OF_ALL = [clobber_type, enlarge_type, shrink_type, one_reference_too_few, no_references, refer_to_unmapped,
          refer_to_the_middle, miscount_dict, dict_hash, miscount_set, overfill_set, set_hash, lengthen_list,
          empty_item, empty_last_items, empty_member]


@pytest.fixture(scope="session")
def patient(python, tmp_path_factory):
    if "i386" in python.name:
        pytest.skip("cores of 32-bit machines are not edited")
    core = targets.PythonProcess(python, "sound.py", tmp_path_factory.mktemp("sound")).core()
    edited = Patient(core, os.path.join(core.directory, "edited.core"))
    yield edited
    edited.close()
    core.close()


def applies(damage, patient):
    if damage in OF_LISTS:
        return patient.has_lists()
    if damage in OF_POOLS:
        return patient.has_pools()
    if damage is dict_index_swapped and patient.python.version < (3, 7):
        return False  # where its entries are looked for is not checked there
    return damage not in OF_INDICES or not is_old_dict(patient)


def test_undamaged(cli, patient, tmp_path):
    require_sound(cli, patient, tmp_path)


@pytest.mark.parametrize("damage", OF_ALL + OF_LISTS + OF_POOLS + OF_INDICES, ids=lambda damage: damage.__name__)
def test_damaged(cli, patient, damage, tmp_path):
    if not applies(damage, patient):
        pytest.skip("nothing of the kind in this build")
    try:
        address, kind = damage(patient)
        document = verify(cli, patient, tmp_path)
    finally:
        patient.heal()
    assert [(problem["address"], problem["kind"]) for problem in document["problems"]] == [(hex(address), kind)], document
    assert document["problems"][0]["detail"] and document["found"] == 1


# ---- odd moments ----


@pytest.mark.parametrize("kind", ["finalizer", "callback", "atexit", "teardown"])
def test_blocked(cli, python, kind, tmp_path):
    """In a finalizer or a callback of a collection, at exit, while the modules go."""
    if python.version < (3,):
        pytest.skip("moment.py is for 3")
    process = Moment(python, kind, tmp_path)
    document = verify(cli, process, tmp_path)
    targets.Process.close(process)
    assert document["problems"] == [] and "left_out" not in document


@pytest.mark.parametrize("kind, function, passes", STOPS)
def test_stopped(batch, some_python, kind, function, passes, tmp_path):
    """At a function of the collector's, in a resize, in an allocation, on a thread that runs."""
    program = Debugged(some_python, os.path.join(targets.PROGRAMS, "moment.py"), str(tmp_path / "truth"), kind)
    path = str(tmp_path / "verify.json")
    sections, outcome = batch.session(program, [
        program.start, "tbreak " + function if not passes else "break " + function,
        *(["ignore 1 %d" % passes] if passes else []), "continue",
        "py-heap verify --limit 0 --json -o " + path, "kill"])
    assert function in sections[-3], outcome
    with open(path) as answer:
        document = json.load(answer)
    assert document["problems"] == [], document


BUSY = """
import collections, gc, sys
class Node(object):
    def __init__(self, number):
        self.number, self.table, self.items = number, {}, [self]
sys.stdout.write("ready\\n")
sys.stdout.flush()
window, table, items, names = collections.deque(maxlen=500), {}, [], set()
number = 0
while True:
    number += 1
    window.append(Node(number))
    window[-1].table[number] = (number, str(number))
    table[str(number % 3000)] = items
    items.append(number)
    names.add(number % 777)
    if number % 5 == 0:
        table.pop(next(iter(table)))
        names.discard(next(iter(names)))
    if number % 100 == 0:
        del items[:60]
        items.sort(key=str)
    if number % 10000 == 0:
        gc.collect()
        table, items, names = {}, [], set()
"""


class Busy(targets.Process):
    """An interpreter that makes, changes and frees objects all the time."""

    def __init__(self, python):
        self.python = python
        super().__init__(subprocess.Popen([*python.argv, "-E", "-s", "-c", BUSY], stdout=subprocess.PIPE,
                                          stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                          env={**os.environ, **python.environment}))
        assert self.popen.stdout.readline() == b"ready\n"


def test_busy(cli, python, tmp_path):
    """Stopped at whatever instruction it is at."""
    process = Busy(python)
    command = ["verify", "--limit", "0", "--json"]
    answers = [cli.try_all(process, [command], tmp_path)[0][0] for _ in range(20)]
    documents = [json.loads(answer) for answer in answers if answer is not None]
    process.close()
    assert [document["problems"] for document in documents if document["problems"]] == []
    assert all(len(document.get("left_out", [])) <= 1 for document in documents)
    assert len(documents) > 15  # not at an instruction at which the interpreter itself is beyond recognition
