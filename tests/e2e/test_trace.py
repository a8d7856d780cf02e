"""trace says what tracemalloc itself says: sums by line, file and traceback, tracebacks of objects, its own size."""
import collections
import json
import os
import struct
import subprocess

import differences
import embedding
import pytest
import targets
from test_debug_offsets import COOKIE, EditedCore
from test_verify import Patient

pytestmark = pytest.mark.each_build

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
    assert document["group_by"] == group and skipped(document) == 0 and "incomplete" not in document
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


def test_objects(cli, traced, tmp_path):
    assert sum(frames is not None for _, _, frames in traced.truth.data["objects"]) > 400
    objects = traced.truth.data["objects"][::7] + traced.truth.data["objects"][-3:]
    lines = [["trace", address, "--json"] for address, _, _ in objects]
    for (address, name, frames), document in zip(objects, ask(cli, traced, lines, tmp_path)):
        assert (document["address"], document["type"]) == (address, name)
        if frames is None:  # in memory that was kept for reuse since before tracemalloc was on
            assert document["sites"] is None and "not on" in document["reason"]
            continue
        site, = document["sites"]
        assert [[frame["file"], frame["line"]] for frame in site["traceback"]] == frames
        assert site["types"] == [{"type": name, "count": 1, "bytes": site["bytes"]}]


@pytest.mark.each_minor
@pytest.mark.last
def test_core(cli, traced, tmp_path):
    check_types(traced.truth.data, check_sums(cli, traced.core(), tmp_path))


def test_from_the_start(cli, some_python, tmp_path_factory, tmp_path):
    """Everything is traced, the interpreter's own start too."""
    process = start(some_python.variant("traced", {"PYTHONTRACEMALLOC": "25"}), "environment", tmp_path_factory)
    check_types(process.truth.data, check_sums(cli, process, tmp_path))
    trace, memory = ask(cli, process, [["trace", "--json"], ["memory", "--json", "--limit", "0"]], tmp_path)
    own = {row["name"]: row["bytes"] for row in memory["categories"]}["tracemalloc: tables and tracebacks"]
    assert trace["tracemalloc"]["reported"] < own < trace["tracemalloc"]["allocated"]
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
    process = start(python, "off", tmp_path_factory)
    document, = ask(cli, process, [["trace", "--json"]], tmp_path)
    assert document["sites"] is None
    assert document["reason"].startswith("tracemalloc is off" if python.version >= (3, 12) else "Nothing traced")
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


def test_sorted(cli, newest, tmp_path):
    by_count, by_site = ask(cli, newest, [["trace", "--json", "--limit", "0", "--sort", key] for key in ("count", "site")], tmp_path)
    counts = [site["count"] for site in by_count["sites"]]
    places = [(site["file"].encode(), site["line"]) for site in by_site["sites"]]
    assert counts == sorted(counts, reverse=True) and places == sorted(places) and len(counts) == len(places) > 10


def test_large_buffers_are_found(cli, newest, tmp_path):
    """Where a buffer that belongs to an object was allocated, from the object and from inside the buffer."""
    truth = {name: address for address, name, _ in newest.truth.data["objects"]}
    document, = ask(cli, newest, [["trace", truth["bytearray"], "--json"]], tmp_path)
    buffer, = document["buffers"]
    assert buffer["bytes"] >= 1000 and buffer["file"] == document["sites"][0]["file"]
    inside = hex(int(buffer["block"], 16) + 500)
    document, = ask(cli, newest, [["trace", inside, "--json"]], tmp_path)
    assert document["sites"][0]["block"] == buffer["block"]


@pytest.fixture(scope="module", params=["live", pytest.param("core", marks=pytest.mark.last)])
def newest_target(request, newest):
    return newest if request.param == "live" else newest.core()


def test_hosts_agree(debugger, cli, newest, newest_target, tmp_path):
    address = newest.truth.data["objects"][0][0]
    lines = [["trace"], ["trace", "--group-by", "filename"], ["trace", "--group-by", "traceback", "--limit", "100"],
             ["trace", address]]
    lines += [line + ["--json"] for line in lines]
    assert debugger.run(newest_target, lines, tmp_path) == cli.run(newest_target, lines, tmp_path)


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


# ---- damage ----


class TracedCore(Patient):
    """A core of traced.py whose tables can be damaged, at one block's entry."""

    def entry_of(self, block, size):
        """The address of the entry that has the block for its key, and of the trace_t that it leads to."""
        sizeof = self.layout["_Py_hashtable_entry_t", "sizeof"]
        inline = self.python.version < (3, 9)
        key = sizeof if inline else self.layout["_Py_hashtable_entry_t", "key"]
        for start, place, length in self.segments:
            self.file.seek(place)
            data = self.file.read(length)
            at = data.find(struct.pack("<Q", block))
            while at >= 0:
                entry = start + at - key
                try:
                    if self.python.version < (3, 9):
                        traces = [entry + key + more for more in (8, 12)]
                    else:
                        traces = [self.field(entry, "_Py_hashtable_entry_t", "value")]
                    for trace in traces:
                        if self.field(trace, "trace_t", "size") == size:
                            return entry, trace
                except StopIteration:  # leads nowhere
                    pass
                at = data.find(struct.pack("<Q", block), at + 1)
        raise AssertionError("no entry of %#x" % block)


def misplace_entry(core, entry, trace):
    core.set_word(core.at(entry, "_Py_hashtable_entry_t", "key_hash"), core.field(entry, "_Py_hashtable_entry_t", "key_hash") ^ 1)


def make_a_circle(core, entry, trace):
    core.set_word(core.at(entry, "_Py_hashtable_entry_t", "_Py_slist_item.next"), entry)


def end_nowhere(core, entry, trace):
    core.set_word(core.at(entry, "_Py_hashtable_entry_t", "_Py_slist_item.next"), 0x10)


def lose_the_traceback(core, entry, trace):
    core.set_word(core.at(trace, "trace_t", "traceback"), 0x10)


def break_the_traceback(core, entry, trace):
    traceback = core.field(trace, "trace_t", "traceback")
    core.set_u32(core.at(traceback, "traceback_t", "nframe"), 0)


DAMAGES = [misplace_entry, make_a_circle, end_nowhere, lose_the_traceback, break_the_traceback]


@pytest.fixture(scope="module")
def patient(some_python, tmp_path_factory):
    core = start(some_python, 3, tmp_path_factory).core()
    patient = TracedCore(core, tmp_path_factory.mktemp("damaged") / "core")
    yield patient
    core.close()


def skipped(document):
    """How many traces were left out."""
    return sum(row["count"] for row in document.get("skipped", []) if "traces" in row["what"])


def test_damage_is_counted(cli, patient, tmp_path):
    question = ["trace", "--json", "--limit", "0"]
    address = patient.truth.data["objects"][0][0]
    whole, block = ask(cli, patient, [question, ["trace", address, "--json"]], tmp_path)
    site, = block["sites"]
    entry, trace = patient.entry_of(int(site["block"], 16), site["bytes"])
    for damage in DAMAGES:
        damage(patient, entry, trace)
        document, = ask(cli, patient, [question], tmp_path)
        patient.heal()
        lost = whole["total"]["count"] - document["total"]["count"]
        if damage is end_nowhere:
            assert lost == skipped(document), damage.__name__
        else:
            assert lost == skipped(document) > 0, damage.__name__
    assert ask(cli, patient, [question], tmp_path) == [whole]


def test_a_lost_table_is_told(cli, patient, tmp_path):
    if patient.python.version < (3, 13):
        pytest.skip("its tables are found by what they hold")
    state = patient.at(EditedCore.find(patient, COOKIE), "_PyRuntimeState", "tracemalloc")
    patient.set_word(patient.at(state, "_tracemalloc_runtime_state", "traces"), 0x10)
    document, = ask(cli, patient, [["trace", "--json"]], tmp_path)
    text = cli.call(patient, ["trace"]).out
    patient.heal()
    assert document["tracing"] and document["incomplete"]
    assert [row["domain"] for row in document["domains"]] == [7, 389047]
    assert "damaged" in text


class Busy(targets.Process):
    """traced.py while it makes and frees objects all the time."""

    def __init__(self, python):
        self.python = python
        super().__init__(subprocess.Popen([*python.argv, "-E", "-s", os.path.join(targets.PROGRAMS, "traced.py"), "", "busy"],
                                          stdout=subprocess.PIPE, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                          env={**os.environ, **python.environment}))
        assert self.popen.stdout.readline() == b"ready\n"


def test_a_process_that_never_rests(cli, some_python, tmp_path):
    """Stopped at whatever instant: most answers are whole but for one change, and those in the middle of a table's
    move to more buckets say that they are not."""
    process = Busy(some_python)
    answers = [cli.try_all(process, [["trace", "--json"]], tmp_path)[0][0] for _ in range(20)]
    process.close()
    whole = 0
    for document in map(json.loads, filter(None, answers)):
        left_out = skipped(document)
        assert document["tracing"] and (document["total"]["count"] + left_out > 1000 or document["incomplete"])
        whole += left_out <= 1 and "incomplete" not in document
    assert whole > 15
