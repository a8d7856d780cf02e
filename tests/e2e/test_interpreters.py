"""Several interpreters in one process, each with objects, roots and threads of its own."""
import json

import differences
import pytest
import targets

COUNT = 4


class Interpreters(targets.PythonProcess):
    """tests/targets/interpreters.py, parked; its truth is one of each interpreter."""

    def truths(self):
        """For each interpreter that tells it: (address of sys.modules, {address: (type, size)})."""
        result = []
        # up to 3.8 all are on the same lists, and the main one tells it of all
        for number in range(COUNT if self.python.version >= (3, 9) else 1):
            with open("%s.%d" % (self.truth_path, number)) as f:
                modules = int(f.readline().split()[0])
                rows = [line.split(" ", 1) for line in f.read().splitlines()]
                table = {int(address): tuple(rest.rsplit(" ", 1)) for address, rest in rows}
            result.append((modules, {address: (name, int(size)) for address, (name, size) in table.items()}))
        return result


@pytest.fixture(scope="module")
def interpreters(some_python, tmp_path_factory):
    process = Interpreters(some_python, "interpreters.py", tmp_path_factory.mktemp("interpreters"))
    yield process
    process.close()


def ask(host, target, command, directory):
    return json.loads(host.run(target, [command + ["--json"]], directory)[0])


def test_objects(cli, interpreters, tmp_path):
    """The oldest generation, together, is what each interpreter says of its own."""
    expected = {}
    for _, table in interpreters.truths():
        expected.update(table)
    document = ask(cli, interpreters, ["list", "*", "--gen", "2", "--limit", "0"], tmp_path)
    got = {int(row["address"], 16): (row["type"], row["bytes"]) for row in document["objects"]}
    differences.require_none(differences.of_sets("objects", set(expected), set(got), hex) + [
        "%#x: expected %s, got %s" % (address, expected[address], got[address])
        for address in set(expected) & set(got) if expected[address] != got[address]])
    assert not document.get("skipped")


def test_info_counts_each(cli, interpreters, tmp_path):
    document = ask(cli, interpreters, ["info"], tmp_path)
    assert [interpreter["id"] for interpreter in document["interpreters"]] == list(range(COUNT))
    for (_, table), interpreter in zip(interpreters.truths(), document["interpreters"]):
        assert interpreter["gc"]["generations"][2]["objects"] == len(table)
    for interpreter in document["interpreters"]:
        waiting = [t for t in interpreter["threads"] if t["native_id"] != interpreters.pid]
        assert len(waiting) == 1 and waiting[0]["frames"] >= 3
    native = {t["native_id"] for i in document["interpreters"] for t in i["threads"]}
    assert native == set(interpreters.threads())


def test_modules_are_roots_of_their_interpreter(cli, interpreters, tmp_path):
    for number, (modules, _) in enumerate(interpreters.truths()):
        rows = ask(cli, interpreters, ["referrers", hex(modules), "--limit", "0"], tmp_path)["referrers"]
        assert "sys.modules of interpreter %d" % number in [row["label"] for row in rows if row["kind"] == "root"]


def test_debuggers_agree(debugger, cli, newest_python, tmp_path):
    process = Interpreters(newest_python, "interpreters.py", tmp_path)
    lines = [["info", "--json"], ["top", "--json", "--limit", "0"], ["list", "__main__.*", "--limit", "0", "--json"]]
    assert debugger.run(process, lines, tmp_path) == cli.run(process, lines, tmp_path)
    process.close()
