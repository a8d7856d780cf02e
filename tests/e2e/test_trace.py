"""trace says what tracemalloc itself says: sums by line, file and traceback, tracebacks of objects, its own size."""
import collections
import json

import differences
import embedding
import pytest
import targets

GROUPS = ("lineno", "filename", "traceback")
# What the collector does not show: the str keys of dicts, the __slots__ of types, the frames of running functions.
HIDDEN = {"str", "tuple", "frame"}
QUESTIONS = [["trace", "--json", "--limit", "0", "--group-by", group] for group in GROUPS]


def start(python, how, tmp_path_factory):
    return targets.PythonProcess(python, "traced.py", tmp_path_factory.mktemp("traced"), how)


def ask(host, process, lines, directory):
    return [json.loads(answer) for answer in host.run(process, lines, directory)]


def key_of(group, site):
    """What a site stands for, as the oracle writes it."""
    if group == "filename":
        return ((site["file"], 0),)
    return tuple((frame["file"], frame["line"]) for frame in site["traceback"])


def check_sites(group, expected, document):
    want = {tuple(map(tuple, frames)): (size, count) for frames, size, count in expected}
    got = {key_of(group, site): (site["bytes"], site["count"]) for site in document["sites"]}
    assert len(got) == len(document["sites"]) and len(want) == len(expected)
    differences.require_none(differences.of_tables(want, got, "bytes, count"))
    assert document["group_by"] == group and "damaged" not in document
    assert document["total"] == {"sites": len(want), "count": sum(count for _, count in want.values()),
                                 "bytes": sum(size for size, _ in want.values())}
    order = [(-site["bytes"], -site["count"]) for site in document["sites"]]
    assert order == sorted(order)
    for site in document["sites"]:
        assert sum(row["bytes"] for row in site["types"]) == site["bytes"]
        assert sum(row["count"] for row in site["types"]) == site["count"]
        if group != "filename":
            assert site["traceback"][-1] == {"file": site["file"], "line": site["line"]}


def check_state(truth, document):
    assert document["tracing"] is True
    assert [[row["domain"], row["count"], row["bytes"]] for row in document["domains"]] == truth["domains"]
    assert document["tracemalloc"]["reported"] == truth["memory"]
    assert document["tracemalloc"]["allocated"] > truth["memory"]
    assert document["max_frames"] in (truth["limit"], None)
    if document["traced"]["current"] is not None:
        assert document["traced"] == {"current": document["total"]["bytes"], "peak": truth["peak"]}


def check_types(truth, document):
    """Of the program's own lines each type exactly; of others at least what the collector shows."""
    want, got = collections.Counter(), collections.Counter()
    for filename, line, name, count in truth["places"]:
        want[filename, line, name] += count
    for site in document["sites"]:
        for row in site["types"]:
            if not row["type"].startswith("("):
                got[site["file"], site["line"], row["type"]] += row["count"]
    assert any(name == "__main__.Node" for _, _, name in want)
    differences.require_none(["%s: %d, not %d" % (place, got[place], count)
                              for place, count in sorted(want.items()) if got[place] < count])
    own = {place: count for place, count in got.items() if place[0].endswith("traced.py") and place[2] not in HIDDEN}
    differences.require_none(["%s: %d, not %d" % (place, count, want[place])
                              for place, count in sorted(own.items()) if want[place] != count])


def check_sums(host, process, directory):
    documents = ask(host, process, QUESTIONS, directory)
    for group, document in zip(GROUPS, documents):
        check_sites(group, process.truth.data[group], document)
    check_state(process.truth.data, documents[0])
    return documents[0]


@pytest.fixture(scope="module")
def traced(python, tmp_path_factory):
    if python.version < (3,):
        pytest.skip("2.7 has no tracemalloc")
    process = start(python, 10, tmp_path_factory)
    yield process
    process.close()


def test_sums_and_types(cli, traced, tmp_path):
    check_types(traced.truth.data, check_sums(cli, traced, tmp_path))


def test_objects(batch, traced, tmp_path):
    objects = traced.truth.data["objects"][::7] + traced.truth.data["objects"][-3:]
    lines = [["trace", address, "--json"] for address, _, _ in objects]
    for (address, name, frames), document in zip(objects, ask(batch, traced, lines, tmp_path)):
        assert (document["address"], document["type"]) == (address, name)
        site, = document["sites"]
        assert [[frame["file"], frame["line"]] for frame in site["traceback"]] == frames
        assert site["types"] == [{"type": name, "count": 1, "bytes": site["bytes"]}]


def test_core(cli, some_python, tmp_path_factory, tmp_path):
    core = start(some_python, 10, tmp_path_factory).core()
    check_types(core.truth.data, check_sums(cli, core, tmp_path))
    core.close()


def test_from_the_start(cli, some_python, tmp_path_factory, tmp_path):
    """Everything is traced, the interpreter's own start too."""
    process = start(some_python.variant("traced", {"PYTHONTRACEMALLOC": "25"}), "environment", tmp_path_factory)
    check_types(process.truth.data, check_sums(cli, process, tmp_path))
    process.close()


def test_stripped(cli, some_python, tmp_path_factory, tmp_path):
    copy = targets.stripped_copy(some_python, tmp_path_factory.mktemp("stripped"))
    process = start(copy, 1, tmp_path_factory)
    check_types(process.truth.data, check_sums(cli, process, tmp_path))
    process.close()


def test_hidden_symbols(cli, some_python, tmp_path_factory, tmp_path):
    if not embedding.possible(some_python):
        pytest.skip("%s has no static library" % some_python.name)
    python = embedding.build(some_python, tmp_path_factory.mktemp("hidden"), "nameless")
    process = start(python, 10, tmp_path_factory)
    check_sums(cli, process, tmp_path)
    process.close()


@pytest.mark.parametrize("how", ["off", "stopped"])
def test_where_it_is_off(cli, some_python, how, tmp_path_factory, tmp_path):
    process = start(some_python, how, tmp_path_factory)
    document, = ask(cli, process, [["trace", "--json"]], tmp_path)
    assert document["sites"] is None and document["tracing"] is False
    for text in (document["reason"], cli.call(process, ["trace"]).out):
        assert "is off" in text and "-X tracemalloc=25" in text and "PYTHONTRACEMALLOC" in text and "tracemalloc.start" in text
    process.close()


def test_2_7_has_none(cli, tmp_path_factory, tmp_path):
    old = [p for p in targets.found_pythons() if p.version < (3,) and p.supported()]
    if not old:
        pytest.skip("no 2.7 here")
    process = targets.PythonProcess(old[0], "small.py", tmp_path_factory.mktemp("small"))
    document, = ask(cli, process, [["trace", "--json"]], tmp_path)
    assert document["sites"] is None and "no tracemalloc" in document["reason"]
    process.close()


@pytest.fixture(scope="module")
def newest(newest_python, tmp_path_factory):
    process = start(newest_python, 5, tmp_path_factory)
    yield process
    process.close()


def test_filters(cli, newest, tmp_path):
    whole, domain, nodes, none = ask(cli, newest, [
        ["trace", "--json", "--limit", "0"],
        ["trace", "--json", "--limit", "0", "--domain", "389047"],
        ["trace", "--json", "--limit", "0", "--type", "__main__.N*"],
        ["trace", "--json", "--domain", "12"]], tmp_path)
    assert domain["total"]["count"] == 20 and none["sites"] == [] and none["total"]["bytes"] == 0
    rows = {row["type"] for site in nodes["sites"] for row in site["types"]}
    assert "__main__.Node" in rows and rows <= {"__main__.Node", "(buffer of __main__.Node)"}
    for row in rows:
        of_whole, of_nodes = (sum(r["bytes"] for site in document["sites"] for r in site["types"] if r["type"] == row)
                              for document in (whole, nodes))
        assert of_whole == of_nodes
    assert whole["domains"] == domain["domains"] == none["domains"]


def test_large_buffers_are_found(cli, newest, tmp_path):
    """Where a buffer that belongs to an object was allocated, from the object and from inside the buffer."""
    truth = {name: address for address, name, _ in newest.truth.data["objects"]}
    document, = ask(cli, newest, [["trace", truth["bytearray"], "--json"]], tmp_path)
    buffer, = document["buffers"]
    assert buffer["bytes"] >= 1000 and buffer["file"] == document["sites"][0]["file"]
    inside = hex(int(buffer["block"], 16) + 500)
    document, = ask(cli, newest, [["trace", inside, "--json"]], tmp_path)
    assert document["sites"][0]["block"] == buffer["block"]


def test_hosts_agree(debugger, cli, newest, tmp_path):
    address = newest.truth.data["objects"][0][0]
    lines = [["trace"], ["trace", "--group-by", "filename"], ["trace", "--group-by", "traceback", "--limit", "100"],
             ["trace", address]]
    lines += [line + ["--json"] for line in lines]
    assert debugger.run(newest, lines, tmp_path) == cli.run(newest, lines, tmp_path)


@pytest.mark.parametrize("words", [["--group-by", "type"], ["0x10", "--group-by", "filename"], ["0x10", "--domain", "1"],
                                   ["--domain", "0x100000000"], ["0x10", "0x20"]])
def test_usage(cli, newest, words):
    outcome = cli.call(newest, ["trace", *words])
    assert outcome.status == 2 and outcome.out == "" and outcome.err.count("\n") == 1


def test_addresses_of_nothing(cli, newest):
    outcome = cli.call(newest, ["trace", "0x10"])
    assert outcome.status == 1 and outcome.out == "" and "not mapped" in outcome.err
    outcome = cli.call(newest, ["trace", newest.truth.data["untraced"]])
    assert outcome.status == 0 and "while tracemalloc was not on" in outcome.out
