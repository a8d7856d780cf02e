"""What interpreters say of themselves (3.13 on) goes before the tables: cores whose debug offsets were edited.

The edited core is of a real process, whose oracle still tells what the answers must be.
"""
import json
import os
import random
import shutil
import struct

import differences
import pytest
import test_tracked

COOKIE = b"xdebugpy"
BLOCK_BYTES = {13: 584, 14: 760, 15: 888}


class EditedCore:
    """A copy of a core file, with its memory open for writing."""

    def __init__(self, core, path):
        shutil.copyfile(core.path, path)
        self.path, self.python, self.truth, self.executable = str(path), core.python, core.truth, core.executable
        self.directory = os.path.dirname(self.path)
        self.file = open(self.path, "r+b")
        self.segments = list(self.read_segments())
        self.runtime = self.find(COOKIE)

    def arguments(self):
        return ["--core", self.path] + (["--sysroot", self.python.root] if self.python.root else [])

    def read_segments(self):
        """(address, place in the file, bytes) of what is in the file (ELF64: PT_LOAD)."""
        header = self.file.read(64)
        table, = struct.unpack_from("<Q", header, 32)
        entry_bytes, count = struct.unpack_from("<HH", header, 54)
        for i in range(count):
            self.file.seek(table + i * entry_bytes)
            kind, _, place, address, _, length = struct.unpack("<IIQQQQ", self.file.read(40))
            if kind == 1 and length:
                yield address, place, length

    def find(self, cookie):
        """The address of the debug offsets, which begin with these bytes."""
        for address, place, length in self.segments:
            self.file.seek(place)
            data = self.file.read(length)
            at = data.find(cookie)
            while at >= 0:
                version, threaded = struct.unpack_from("<QQ", data, at + 8) if at + 24 <= length else (0, 9)
                if version >> 24 == 3 and threaded <= 1:
                    return address + at
                at = data.find(cookie, at + 1)
        raise AssertionError("no debug offsets in " + self.path)

    def place(self, address):
        return next(place + address - start for start, place, length in self.segments if start <= address < start + length)

    def read(self, address, length):
        self.file.seek(self.place(address))
        return self.file.read(length)

    def write(self, address, data):
        self.file.seek(self.place(address))
        self.file.write(data)
        self.file.flush()

    def word(self, address):
        return struct.unpack("<Q", self.read(address, 8))[0]

    def set_word(self, address, value):
        self.write(address, struct.pack("<Q", value))

    def close(self):
        self.file.close()
        os.unlink(self.path)


@pytest.fixture
def edited(zoo_core, tmp_path):
    core = EditedCore(zoo_core, tmp_path / "edited.core")
    yield core
    core.close()


def block_bytes(core):
    return BLOCK_BYTES[core.python.version[1]]


def ask(cli, core, command, directory):
    return json.loads(cli.run(core, [command + ["--json"]], directory)[0])


def tracked_types(document):
    got = {}
    for row in document["types"]:  # two types may have one name
        entry = got.setdefault(row["type"], [0, 0])
        entry[0] += row["count"]
        entry[1] += row["bytes"]
    return got


def check_tracked(cli, core, directory, but=()):
    document = ask(cli, core, ["top", "--scope", "tracked", "--limit", "0"], directory)
    expected, got = test_tracked.tracked_by_type(core.truth), tracked_types(document)
    for name in but:
        expected[name], got[name] = expected[name][0], got[name][0]
    differences.require_none(differences.of_tables(expected, got, "count, bytes"))
    return document


@pytest.mark.minor(15)
def test_a_newer_version_is_read_by_its_debug_offsets(cli, python, edited, tmp_path):
    edited.set_word(edited.runtime + 8, 0x031000f0)
    document = check_tracked(cli, edited, tmp_path)
    assert document["python"] == {"version": "3.16.0", "build": python.flavours, "untested": True}
    assert "Python 3.16.0 is untested: read as 3.15 by its own debug offsets" in cli.call(edited, ["top"]).out
    first = cli.call(edited, ["info"]).out.split("\n")[0].split()
    assert (first[:2], first[-1]) == (["Python", "3.16.0,"], "untested"), first


@pytest.mark.minor(15)
def test_a_newer_version_with_garbage_is_refused(cli, python, edited, tmp_path):
    edited.set_word(edited.runtime + 8, 0x031000f0)
    garbage = random.Random(1)
    for at in range(24, block_bytes(edited), 8):
        edited.set_word(edited.runtime + at, garbage.randrange(1 << 10))
    outcome = cli.call(edited, ["top"])
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith("py-heap: Python 3.16.0 is not supported") and outcome.err.count("\n") == 1


@pytest.mark.minor(15)
def test_a_newer_version_unlike_the_newest_is_refused(cli, python, edited, tmp_path):
    """Where the debug offsets are silent, the state must be as the newest table says."""
    edited.set_word(edited.runtime + 8, 0x031000f0)
    sysdict = edited.runtime + 104
    interpreter = edited.word(edited.runtime + edited.word(edited.runtime + 40))
    search_path = interpreter + edited.word(sysdict) + 376  # codecs.search_path: 7952, where sysdict is at 7576
    edited.set_word(search_path, edited.word(search_path + 8))  # a dict in place of the list
    outcome = cli.call(edited, ["top"])
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.count("\n") == 1


@pytest.mark.minor(13, 14, 15)
def test_damaged_debug_offsets_of_a_known_version(cli, python, edited, tmp_path):
    """The table alone is enough then."""
    edited.write(edited.runtime + 24, b"\xff" * (block_bytes(edited) - 24))
    check_tracked(cli, edited, tmp_path)


@pytest.mark.minor(14)
def test_the_incremental_collector(cli, python, edited, tmp_path):
    """3.14.0 to 3.14.4: a state of the collector that is 24 bytes shorter, and what follows it is earlier.

    No such interpreter is at hand, so a core of a later one is made to look like it. The Unpickler grew in 3.14.7.
    """
    if python.allocator() == "mimalloc":
        pytest.skip("its memory is of mimalloc 2.5, which came with 3.14.10")
    runtime = edited.runtime
    gc_state = edited.word(runtime + 88)
    gc_bytes = edited.word(runtime + 648)
    interpreter = edited.word(runtime + edited.word(runtime + 40))
    assert gc_bytes == 264
    start, end = interpreter + gc_state + gc_bytes, interpreter + 224800  # up to the first thread's state
    edited.write(start - 24, edited.read(start, end - start))
    edited.write(end - 24, b"\0" * 24)
    edited.set_word(runtime + 8, 0x030e04f0)
    edited.set_word(runtime + 648, gc_bytes - 24)
    for place in (96, 104, 112):  # imports_modules, sysdict, builtins
        edited.set_word(runtime + place, edited.word(runtime + place) - 24)
    document = check_tracked(cli, edited, tmp_path, but=["_pickle.Unpickler"])
    assert document["python"] == {"version": "3.14.4", "build": python.flavours}
    everything = ask(cli, edited, ["top", "--limit", "0"], tmp_path)
    assert {row["type"] for row in everything["types"]} > {"str", "int", "bytes", "code"}
    truth = edited.truth
    listed = ask(cli, edited, ["list", "type", "--limit", "0"], tmp_path)["objects"]
    assert {int(row["address"], 16) for row in listed} >= {a for a, name, _ in truth.rows() if name == "type"}
