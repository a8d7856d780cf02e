"""Interpreters of other machines in qemu, and through its GDB stub: no list of regions, no files, no /proc."""
import glob
import json
import shutil

import differences
import pytest
import remotes
import supply
from test_referrers import addresses, describer
from test_sizes import check_list
from test_tracked import check_top


def machines():
    """(name, emulator, GDB, words that start the interpreter, sysroot, register of the first argument)"""
    if "arm64" in supply.found_foreign():
        root = supply.foreign_folder("arm64")
        path = glob.glob(root + "/usr/bin/python3.*")[0]
        yield "arm64", ["qemu-aarch64", "-L", root], ["gdb-multiarch"], [path], root, "x0"


MACHINES = list(machines())


def test_what_is_here():
    if "arm64" not in supply.found_foreign():
        pytest.skip("no interpreter for arm64: tests/matrix get arm64")


class Answers:
    """What one session said, in the place of a host."""

    def __init__(self, documents):
        self.documents = documents

    def run(self, target, commands, directory):
        return [json.dumps(self.documents[tuple(word for word in command if word != "--json")]).encode()
                for command in commands]


TOP, LIST = ("top", "--scope", "tracked", "--limit", "0"), ("list", "*", "--limit", "0")


@pytest.fixture(scope="module", params=MACHINES, ids=[machine[0] for machine in MACHINES])
def answered(request, tmp_path_factory):
    """(what was asked, and the truth)"""
    _, emulator, gdb, argv, sysroot, register = request.param
    for program in (emulator[0], gdb[0]):
        if not shutil.which(program):
            pytest.skip("no " + program)
    emulated = remotes.Emulated(gdb, emulator, argv, sysroot, register, tmp_path_factory.mktemp("emulated"))
    emulated.truth = emulated.truth()
    samples = list(emulated.truth.data["referents"])
    commands = [TOP, LIST, ("info",), ("verify",), *(("referents", sample, "--limit", "0") for sample in samples)]
    commands += [("whatis", emulated.truth.marks["leaked_str"]), ("whatis", "0x10"), ("whatis", "$sp")]
    yield Answers(emulated.answers(commands)), emulated
    emulated.close()


def test_objects_and_sizes(answered, tmp_path):
    answers, target = answered
    check_top(answers, target, tmp_path)
    check_list(answers, target, tmp_path)


def test_referents(answered):
    answers, target = answered
    describe, lines = describer(target.truth), []
    for sample, expected in target.truth.data["referents"].items():
        document = answers.documents["referents", sample, "--limit", "0"]
        expected = {int(a, 16) for a in expected}
        lines += differences.of_sets("referents of " + describe(int(sample, 16)), expected,
                                     addresses(document["referents"]) & expected, describe)
    differences.require_none(lines)


def test_pools_are_found(answered):
    """Objects to which nothing refers are known from the pools alone."""
    answers, target = answered
    rows = {row["address"]: row for row in answers.documents[LIST]["objects"]}
    for mark, size in (("leaked_str", "str"), ("leaked_bytes", "bytes"), ("leaked_int", "int"), ("leaked_float", "float")):
        assert rows[target.truth.marks[mark]]["type"] == size
    whatis = answers.documents["whatis", target.truth.marks["leaked_str"]]
    assert whatis["object"]["address"] == target.truth.marks["leaked_str"] and whatis["object"]["offset"] == 0


def test_it_is_sound(answered):
    document = answered[0].documents["verify",]
    assert document["problems"] == [] and document["pools"] > 100


def test_what_is_not_listed(answered):
    answers, _ = answered
    info = answers.documents["info",]
    assert info["target"]["kind"] == "remote"
    assert info["interpreters"][0]["threads"]
    assert answers.documents["whatis", "0x10"]["kind"] == "unmapped"
    assert answers.documents["whatis", "$sp"]["kind"] == "memory"
