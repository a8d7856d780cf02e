"""`find` finds what the process itself finds among its objects: texts, numbers, attributes."""
import json

import differences
import pytest
import targets
from test_errors import require_one_line

pytestmark = pytest.mark.each_build

MARK = "zqx7"
LARGE, HUGE, REAL = 81234567, 7 * 10 ** 30, 81234567.5
EXACT = 2 ** 53 + 2 * len(MARK)

# What the truth calls them, and how they are asked.
TEXTS = {
    "contained": [MARK + " needle"],
    "wide": ["\u20ac " + MARK],
    "exact": [MARK, "--exact"],
    "ignore case": [MARK.upper() + " Needle", "--ignore-case"],
    "accents": ["\xe9T\xc9 " + MARK, "--ignore-case", "--type", "*[!s]"],
    "regex": ["--regex", MARK + r"(?s:.*)needle$", "--ignore-case"],
}
NUMBERS = {
    "int": ["%d" % (LARGE * 1000)],
    "float": ["%r" % (LARGE * 1000 + 0.5)],
    "beyond doubles": ["%d" % (EXACT + 1)],
    "whole doubles": ["%d" % EXACT],
    "negative": ["%d" % (-LARGE * 1000)],
    "long": ["0x%x" % (HUGE ** 2 + 1)],
    "fraction": ["%r" % (REAL / 1024)],
}


def ask(host, target, directory, lines):
    return [json.loads(answer) for answer in host.run(target, [["find", *line, "--json"] for line in lines], directory)]


def addresses(document):
    found = [row["address"] for row in document["objects"]]
    assert len(found) == len(set(found)) == document["matched"]
    assert {"address", "type", "bytes", "refcount", "summary"} == set(document["objects"][0]) if found else True
    return set(found)


def check_all(host, target, directory):
    """Exactly, over the whole heap: no constant of the program's code has what is looked for."""
    questions = {**TEXTS, **NUMBERS}
    lines = []
    for question, document in zip(questions, ask(host, target, directory, [[*words, "--limit", "0"]
                                                                           for words in questions.values()])):
        want = set(target.truth.data["found"][question])
        assert want, question
        lines += differences.of_sets(question, want, addresses(document))
        sizes = dict(zip(map(hex, target.truth.address), target.truth.size))
        assert all(row["bytes"] == sizes[row["address"]] for row in document["objects"])
    differences.require_none(lines)


def check_attribute(host, target, directory):
    """The interpreter's own dict of interned strings has every name, too; the collector need not show it."""
    name = target.truth.data["attribute"]
    everything, tracked, of_value = ask(host, target, directory, [
        ["--attribute", name, "--limit", "0"], ["--attribute", name, "--limit", "0", "--scope", "tracked"],
        ["--attribute", name, "needle", "--limit", "0"]])
    want = set(target.truth.data["found"]["attribute"])
    extra = addresses(everything) - want
    assert want <= addresses(everything) and len(extra) <= 1, (want, everything)
    assert all(row["type"] == "dict" and row["bytes"] > 10000 for row in everything["objects"] if row["address"] in extra)
    known = {hex(address) for address in target.truth.tracked}
    differences.require_none(differences.of_sets("attribute", want & known, addresses(tracked)))
    differences.require_none(differences.of_sets("its value", set(target.truth.data["found"]["attribute of value"]),
                                                 addresses(of_value)))


def test_all(cli, wasteful, tmp_path):
    check_all(cli, wasteful, tmp_path)


def test_attribute(cli, wasteful, tmp_path):
    check_attribute(cli, wasteful, tmp_path)


@pytest.mark.each_minor
@pytest.mark.last
def test_core(cli, wasteful_core, tmp_path):
    check_all(cli, wasteful_core, tmp_path)
    check_attribute(cli, wasteful_core, tmp_path)


def test_debuggers(debugger, newest_python, tmp_path_factory, tmp_path):
    process = targets.PythonProcess(newest_python, "wasteful.py", tmp_path_factory.mktemp("wasteful"))
    check_all(debugger, process, tmp_path)
    check_attribute(debugger, process, tmp_path)
    process.close()


def test_pages_and_filters(cli, wasteful, tmp_path):
    """As those of `list`."""
    whole, by_address, small, large, of_type = ask(cli, wasteful, tmp_path, [
        [MARK, "--limit", "0"], [MARK, "--limit", "0", "--sort", "address"], [MARK, "--limit", "0", "--max-bytes", "100"],
        [MARK, "--limit", "0", "--min-bytes", "101"], [MARK, "--limit", "0", "--type", "bytes"]])
    rows = whole["objects"]
    assert rows == sorted(rows, key=lambda row: (-row["bytes"], int(row["address"], 16))) and len(rows) > 500
    assert by_address["objects"] == sorted(rows, key=lambda row: int(row["address"], 16))
    assert small["objects"] == [row for row in rows if row["bytes"] <= 100]
    assert large["objects"] == [row for row in rows if row["bytes"] > 100]
    assert of_type["objects"] == [row for row in rows if row["type"] == "bytes"]
    pages = ask(cli, wasteful, tmp_path, [[MARK, "--limit", "100", "--offset", str(offset)]
                                          for offset in range(0, len(rows) + 100, 100)])
    assert sum((page["objects"] for page in pages), []) == rows
    bare = cli.run(wasteful, [["find", MARK, "--addresses", "--limit", "3"]], tmp_path)[0].decode()
    assert bare.splitlines() == [row["address"] for row in rows[:3]]


def test_bool_is_no_number(cli, newest_python, tmp_path_factory, tmp_path):
    process = targets.PythonProcess(newest_python, "small.py", tmp_path_factory.mktemp("small"))
    one, zero = ask(cli, process, tmp_path, [["1", "--exact", "--limit", "0"], ["0", "--exact", "--limit", "0"]])
    for document in (one, zero):
        assert {row["type"] for row in document["objects"]} >= {"int"}
        assert "bool" not in {row["type"] for row in document["objects"]}
    process.close()


HOSTILE = ["(a+)+$", "(a|aa)+$", "(a*)*b", "(?:(?:(?:a?){50}){50})+b", r"(.*)*(.*)*(.*)*x", "(?=(a+))*\\1+$"]


@pytest.mark.parametrize("expression", HOSTILE)
def test_hostile_expressions(cli, newest_python, expression, tmp_path_factory):
    """Each gives up on a text that it would take for ever with, says so, and goes on."""
    process = targets.PythonProcess(newest_python, "wasteful.py", tmp_path_factory.mktemp("wasteful"))
    outcome = cli.call(process, ["find", "--regex", expression, "--limit", "1", "--json"], timeout=60)
    assert outcome.status == 0, outcome
    for row in json.loads(outcome.out).get("skipped", []):
        assert row["count"] > 0
    process.close()


def test_mistakes(cli, newest_python, tmp_path_factory):
    process = targets.PythonProcess(newest_python, "small.py", tmp_path_factory.mktemp("small"))
    for line, words in (([], "'find' needs TEXT, or --attribute NAME"), (["--regex", "(a"], "closing parenthesis"),
                        (["--regex", "a" * 5 + "{2,1}"], "numbers out of order"), (["--regex", "--exact", "a"], "use ^ and $")):
        require_one_line(cli.call(process, ["find", *line]), 2, words)
    outcome = cli.call(process, ["find", "nothing has %s" % MARK])
    assert (outcome.status, outcome.out) == (0, "Nothing found.\n")
    process.close()
