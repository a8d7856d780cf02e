"""trace says what tracemalloc itself says: sums by line, file and traceback, tracebacks of objects, its own size."""
import collections
import json

import differences
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


def check_all(host, process, truth, directory):
    documents = ask(host, process, QUESTIONS, directory)
    for group, document in zip(GROUPS, documents):
        check_sites(group, truth[group], document)
    check_state(truth, documents[0])
    check_types(truth, documents[0])


@pytest.fixture(scope="module")
def traced(python, tmp_path_factory):
    process = start(python, 10, tmp_path_factory)
    yield process
    process.close()


@pytest.mark.minor(*range(6, 16))
def test_sums(cli, python, traced, tmp_path):
    check_all(cli, traced, traced.truth.data, tmp_path)


@pytest.mark.minor(*range(6, 16))
def test_objects(batch, python, traced, tmp_path):
    objects = traced.truth.data["objects"][::7] + traced.truth.data["objects"][-3:]
    for (address, name, frames), document in zip(objects, ask(batch, traced, [["trace", o[0], "--json"] for o in objects], tmp_path)):
        assert (document["address"], document["type"]) == (address, name)
        site, = document["sites"]
        assert [[frame["file"], frame["line"]] for frame in site["traceback"]] == frames
        assert site["types"] == [{"type": name, "count": 1, "bytes": site["bytes"]}]
