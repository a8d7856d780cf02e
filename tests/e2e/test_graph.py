"""Who keeps what alive, against the interpreter: what would be freed, what the collector finds, what expressions give."""
import functools
import json
import os
import random
import re
import subprocess

import pytest
import targets

pytestmark = pytest.mark.each_build

SAMPLES = 50
MANY_SAMPLES = 500


class Graph(targets.Answering):
    """tests/targets/graph.py, parked, with the child that answers."""

    @functools.cached_property
    def told(self):
        with open(self.truth_path) as f:
            return json.load(f)

    @property
    def child(self):
        return self.told["pid"]

    @property
    def garbage(self):
        """{address: type} of what the collector found."""
        with open(self.truth_path + ".garbage") as f:
            return dict(json.load(f))


@pytest.fixture(scope="session")
def graph(python, tmp_path_factory):
    process = Graph(python, "graph.py", tmp_path_factory.mktemp("graph"))
    yield process
    process.close()


def ask(cli, target, tmp_path, *command):
    return json.loads(cli.run(target, [[*map(str, command), "--json"]], tmp_path)[0])


# ---- what would be freed ----


def test_retained(cli, graph, tmp_path):
    expected = graph.told["retained"]
    assert len(expected) > 10
    document = ask(cli, graph, tmp_path, "sizeof", *(hex(row[0]) for row in expected.values()))
    got = {int(row["address"], 16): [row["retained"], row["retained_objects"]] for row in document["objects"]}
    wrong = {name: (row[1:], got[row[0]]) for name, row in expected.items() if got[row[0]] != row[1:]}
    assert not wrong
    assert sum(row[2] > 1 for row in expected.values()) > 8


def test_retained_is_what_a_search_without_the_object_misses(graph):
    words = subprocess.run([os.environ["PH_GRAPH_CHECK"], str(graph.pid), "100"], stdout=subprocess.PIPE, check=False).stdout
    assert words.decode() == "ok 100\n"


def test_the_set_that_an_object_keeps_alive_adds_up(cli, graph, tmp_path):
    for name, (address, size, count) in graph.told["retained"].items():
        rows = ask(cli, graph, tmp_path, "dominators", hex(address), "--set", "--limit", 0)["dominators"]
        assert (sum(row["bytes"] for row in rows), len(rows)) == (size, count), name
        assert rows[0]["address"] == hex(address)


def test_dominators_are_the_largest_and_each_is_within_the_one_above(cli, graph, tmp_path):
    rows = ask(cli, graph, tmp_path, "dominators", "--limit", 0)["dominators"]
    by_address = {row["address"]: row for row in rows}
    assert [row["retained"] for row in rows] == sorted((row["retained"] for row in rows), reverse=True)
    below = {}
    for row in rows:
        if row["dominator"]:
            sums = below.setdefault(row["dominator"], [0, 0])
            sums[0] += row["retained"]
            sums[1] += row["objects"]
    for address, row in by_address.items():
        sums = below.get(address, [0, 0])
        assert [row["retained"], row["objects"]] == [row["bytes"] + sums[0], 1 + sums[1]]


def test_dominators_of_a_type(cli, graph, tmp_path):
    rows = ask(cli, graph, tmp_path, "dominators", "--of", "__main__.Node", "--limit", 0)["dominators"]
    top = ask(cli, graph, tmp_path, "top", "--type", "__main__.Node")["types"][0]
    assert sum(row["count"] for row in rows) == top["count"]
    assert sum(row["bytes"] for row in rows) == top["bytes"]
    chain = graph.told["retained"]["chain"]
    assert any(row["count"] == 1 and row["type"] == "__main__.Node" for row in rows) or graph.python.version < (3, 11)
    assert chain[2] >= 300


def test_retained_by_type_covers_what_the_instances_retain(cli, graph, tmp_path):
    rows = ask(cli, graph, tmp_path, "top", "--sort", "retained", "--limit", 0)["types"]
    assert [row["retained"] for row in rows] == sorted((row["retained"] for row in rows), reverse=True)
    assert all(row["retained"] >= row["bytes"] for row in rows if row["count"] == 1)
    plain = ask(cli, graph, tmp_path, "top", "--limit", 1)["types"][0]
    assert "retained" not in plain


# ---- what the collector would find ----


def test_cycles_are_what_the_collector_finds(cli, graph, tmp_path):
    expected = graph.garbage
    assert len(expected) > 4000
    text = cli.run(graph, [["cycles", "--addresses", "--limit", "0"]], tmp_path)[0].decode()
    got = {int(line, 16) for line in text.split()}
    missing, extra = set(expected) - got, got - set(expected)
    assert not missing and not extra, "missing %s extra %s" % (
        sorted({expected[address] for address in missing}), [hex(address) for address in list(extra)[:10]])
    document = ask(cli, graph, tmp_path, "cycles", "--limit", 0)
    assert document["total"]["objects"] == len(expected)
    assert document["total"]["cycles"] == len(document["cycles"])
    by_type = {}
    for cycle in document["cycles"]:
        assert sum(row["count"] for row in cycle["types"]) == cycle["objects"]
        for row in cycle["types"]:
            by_type[row["type"]] = by_type.get(row["type"], 0) + row["count"]
    assert by_type["__main__.Finalized"] == 50 and by_type["__main__.Node"] == 3001
    assert document["total"]["finalizers"] == 50
    assert document["total"]["weakly_referenced"] >= 50


# ---- why ----


def steps_lead_on(document):
    for path in document["paths"]:
        assert path["steps"][-1]["address"] == document["address"]
        assert path["root"]["kind"] in ("frame", "state", "static", "immortal", "native", "garbage")
        assert path["steps"][0]["label"] == path["root"]["label"]


LOCAL = re.compile(r"^(?:local|cell) \S+ in (\S+) \(")


def function_of(path):
    """The function whose local a path begins with; "" where it begins with none."""
    found = next(filter(None, (LOCAL.match(step["label"]) for step in path["steps"])), None)
    begins = path["root"]["kind"] == "frame" or path["root"]["label"] == "running frame"
    return found.group(1).rpartition(".")[2] if found and begins else ""


def some_addresses(cli, graph, tmp_path, count):
    """What the program made, and any objects of the heap."""
    words = cli.run(graph, [["list", "*", "--addresses", "--limit", "0", "--scope", "reachable"]], tmp_path)[0].decode().split()
    chosen = [hex(address) for address in graph.told["marks"].values()]
    for kind in ("Node", "Slotted", "Shadowed", "Stubborn", "Numbers", "Backwards"):
        chosen += cli.run(graph, [["list", "__main__." + kind, "--addresses", "--limit", "8"]], tmp_path)[0].decode().split()
    return list(dict.fromkeys(chosen + random.Random(1).sample(words, min(count, len(words)))))


def test_expressions_give_the_object(cli, graph, tmp_path):
    plain = not (graph.python.root or graph.python.flavours or graph.python.environment)
    count = MANY_SAMPLES if plain and graph.python.version[:2] in ((3, 8), (3, 11), (3, 13)) else SAMPLES
    chosen = some_addresses(cli, graph, tmp_path, count)
    answers = cli.run(graph, [["why", address, "--json", "--paths", "2"] for address in chosen], tmp_path)
    questions, reached = [], set()
    for address, words in zip(chosen, answers):
        document = json.loads(words)
        assert document["address"] == address
        steps_lead_on(document)
        if any(path["root"]["kind"] in ("frame", "state") for path in document["paths"]):
            reached.add(address)
        questions += [(address, function_of(path), path["expression"]) for path in document["paths"] if path["expression"]]
    assert len(reached) > len(chosen) / 2
    assert len({address for address, _, _ in questions}) > len(reached) * 0.6
    lines = ["%s\t%s" % (function, expression) if function else expression for _, function, expression in questions]
    wrong = ["%s: %s gives %s" % (address, expression, got if isinstance(got, str) else hex(got))
             for (address, _, expression), got in zip(questions, graph.evaluate(lines)) if got != int(address, 16)]
    assert not wrong, "%d of %d\n%s" % (len(wrong), len(lines), "\n".join(wrong[:20]))


def test_why_names_the_way(cli, graph, tmp_path):
    marks = graph.told["marks"]
    path = ask(cli, graph, tmp_path, "why", hex(marks["store"]))["paths"][0]
    assert path["expression"] == "sys.modules['__main__'].Registry.store"
    path = ask(cli, graph, tmp_path, "why", hex(marks["generator"]))["paths"][0]
    assert (path["expression"], function_of(path)) == ("generator", "main")


def test_the_way_from_one_object_to_another(cli, graph, tmp_path):
    marks = graph.told["marks"]
    forward = ask(cli, graph, tmp_path, "why", hex(marks["here"]), "--to", marks["generator"])
    back = ask(cli, graph, tmp_path, "why", hex(marks["generator"]), "--to", marks["here"])
    addresses = [step["address"] for step in forward["paths"][0]["steps"]]
    assert addresses[0] == hex(marks["here"]) and addresses[-1] == hex(marks["generator"]) and len(addresses) == 3
    assert [step["address"] for step in back["paths"][0]["steps"]] == addresses


def test_why_of_a_type_counts_each_instance_once(cli, graph, tmp_path):
    document = ask(cli, graph, tmp_path, "why", "--type", "__main__.Node", "--limit", 0)
    top = ask(cli, graph, tmp_path, "top", "--type", "__main__.Node")["types"][0]
    assert (document["count"], document["bytes"]) == (top["count"], top["bytes"])
    assert sum(branch["count"] for branch in document["paths"]) == top["count"]


# ---- threads ----


def test_what_a_thread_keeps_alive(cli, graph, tmp_path):
    if graph.python.version < (3,):
        pytest.skip("no thread there")
    rows = ask(cli, graph, tmp_path, "top", "--group-by", "thread", "--sort", "retained", "--limit", 0)["types"]
    everything = ask(cli, graph, tmp_path, "top", "--limit", 1)["total"]
    assert len(rows) == 3
    assert sum(row["count"] for row in rows) == everything["count"]
    assert sum(row["bytes"] for row in rows) == everything["bytes"]
