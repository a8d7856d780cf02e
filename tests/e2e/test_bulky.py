"""Large blocks of malloc's are left where they are, and what they lead to is found all the same."""
import json
import subprocess
import sys

import hosts
import pytest
import targets

MOST_BYTES = 150 << 20  # of ours: less than the target's bytes alone


@pytest.fixture(scope="module")
def bulky(some_python, tmp_path_factory):
    process = targets.PythonProcess(some_python, "bulky.py", tmp_path_factory.mktemp("bulky"))
    yield process
    process.close()


# A process begins with the peak of the one that started it, so a small one starts ours.
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)
sys.exit(code)
"""


def answer(target, *command):
    """The answer as JSON, and how much memory it took at most."""
    done = subprocess.run([sys.executable, "-S", "-c", MEASURE, hosts.CommandLine.path, *target.arguments(), *command, "--json"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True, timeout=300)
    return json.loads(done.stdout), int(done.stderr.split()[-1])


def test_what_only_a_large_list_leads_to(bulky):
    marks = bulky.truth.marks
    for mark, type_name in (("far", "tuple"), ("text", "str")):
        rows, _ = answer(bulky, "list", type_name, "--scope", "reachable", "--limit", "0")
        assert marks[mark] in {row["address"] for row in rows["objects"]}, mark
    rows, _ = answer(bulky, "referrers", marks["far"])
    assert marks["list"] in {row["address"] for row in rows["referrers"]}


def test_same_as_its_core(bulky):
    """A core is mapped, and nothing is left out there."""
    live, took = answer(bulky, "top", "--limit", "0")
    core = bulky.core()
    try:
        assert answer(core, "top", "--limit", "0")[0] == live
    finally:
        core.close()
    if {"malloc"}.isdisjoint(bulky.python.flavours) and "malloc" not in bulky.python.environment.get("PYTHONMALLOC", ""):
        assert took < MOST_BYTES


def test_more_than_32_bits_say(system_python, tmp_path):
    """Each holder retains its data, and what the next one retains: sizes as the interpreter says them, added up."""
    process = targets.PythonProcess(system_python, "vast.py", tmp_path)
    try:
        marks, sizes = process.truth.marks, {hex(address): size for address, _, size in process.truth.rows()}

        def retained(mark):
            return answer(process, "sizeof", marks[mark])[0]["objects"][0]["retained"]

        def with_data(holder, data):
            return sizes[marks[holder]] + sizes[marks[data]]

        expected = 0
        for number in (2, 1, 0):
            expected += with_data("holder %d" % number, "data %d" % number)
            assert retained("holder %d" % number) == expected
        assert expected > 9 << 30
        below = with_data("below", "below data")
        assert retained("below") == below < 4 << 30
        rows = answer(process, "top", "--sort", "retained")[0]["types"]
        assert {row["type"]: row["retained"] for row in rows}["__main__.Holder"] == expected + below
    finally:
        process.close()
