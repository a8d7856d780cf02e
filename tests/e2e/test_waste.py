"""`waste` and `top --group-by value` say what the process itself says of its values, tables, lists and dicts."""
import json
import random

import differences
import pytest
import targets
from test_verify import OF_ALL, Patient

pytestmark = pytest.mark.each_build

TRACKED = ["over-allocated-lists", "sparse-dicts", "sparse-sets", "empty-containers"]


def ask(host, target, directory, *lines):
    return [json.loads(answer) for answer in host.run(target, [[*line, "--json"] for line in lines], directory)]


def only_kind(document):
    kind, = document["kinds"]
    assert kind["matched"] == len(kind["examples"])
    assert sum(row["bytes"] for row in kind["examples"]) == kind["bytes"]
    assert kind["examples"] == sorted(kind["examples"], key=lambda row: (-row["bytes"], int(row["address"], 16)))
    assert "skipped" not in document or all("lengths" not in row["what"] for row in document["skipped"])
    return kind


def check_kept(host, target, directory):
    """What the program itself wastes, exactly; kind by kind, whole lists."""
    kinds = sorted(target.truth.data["kept"])
    documents = ask(host, target, directory, *(["waste", "--kind", kind, "--limit", "0"] for kind in kinds))
    ours = {address for rows in target.truth.data["kept"].values() for address in rows}
    ours.update(target.truth.data["containers"])
    lines = []
    for kind, document in zip(kinds, documents):
        got = {row["address"]: [row["count"], row["bytes"]] for row in only_kind(document)["examples"]}
        assert document["kinds"][0]["kind"] == kind
        lines += differences.of_tables(target.truth.data["kept"][kind], {a: got[a] for a in got if a in ours}, kind)
    differences.require_none(lines)
    kept = target.truth.data["kept"]
    assert len(kept["duplicate-numbers"]) > 10 and len(kept["sparse-dicts"]) > 20 and len(kept["empty-containers"]) > 30


def check_tracked(host, target, directory):
    """All containers of the process that the collector tracks, but for the dicts of instances."""
    documents = ask(host, target, directory, *(["waste", "--scope", "tracked", "--kind", kind, "--limit", "0"]
                                               for kind in TRACKED))
    left_out, lines = set(target.truth.data["instance_dicts"]), []
    for kind, document in zip(TRACKED, documents):
        got = {row["address"]: row["bytes"] for row in only_kind(document)["examples"] if row["address"] not in left_out}
        lines += differences.of_tables(target.truth.data["tracked_waste"][kind], got, kind)
        assert len(got) > 3
    differences.require_none(lines)


def check_values(host, target, directory):
    document, top = ask(host, target, directory, ["top", "--group-by", "value", "--limit", "0"], ["top", "--limit", "0"])
    got = {(row["type"], row["address"]): [row["count"], row["bytes"]] for row in document["types"]}
    want = {(name, address): figures for name, address, *figures in target.truth.data["values"]}
    differences.require_none(differences.of_tables(want, {key: got.get(key) for key in want}, "count, bytes"))
    # Each object is in one group: the groups of a type add up to the type.
    of_types = {row["type"]: [row["count"], row["bytes"], row["allocated"]] for row in top["types"]}
    sums = {}
    for row in document["types"]:
        sums.setdefault(row["type"], [0, 0, 0])
        for i, key in enumerate(("count", "bytes", "allocated")):
            sums[row["type"]][i] += row[key]
    assert {"int", "str", "float", "complex"} <= set(sums)
    differences.require_none(differences.of_tables({name: of_types[name] for name in sums}, sums, "count, bytes, allocated"))
    assert document["total"]["types"] == len(got) == len(document["types"])
    assert document["total"]["count"] == sum(row["count"] for row in document["types"])


def test_kept(cli, wasteful, tmp_path):
    check_kept(cli, wasteful, tmp_path)


def test_tracked(cli, wasteful, tmp_path):
    check_tracked(cli, wasteful, tmp_path)


def test_values(cli, wasteful, tmp_path):
    check_values(cli, wasteful, tmp_path)


def test_all_kinds_and_pages(cli, wasteful, tmp_path):
    """The overview shows the beginning of what --kind shows in full; pages make up the whole."""
    overview, = ask(cli, wasteful, tmp_path, ["waste"])
    names = [kind["kind"] for kind in overview["kinds"]]
    assert len(names) == len(set(names)) == 11
    assert [kind["bytes"] for kind in overview["kinds"]] == sorted((k["bytes"] for k in overview["kinds"]), reverse=True)
    full = ask(cli, wasteful, tmp_path, *(["waste", "--limit", "0", "--kind", name] for name in names))
    for few, document in zip(overview["kinds"], full):
        kind = only_kind(document)
        assert {**few, "examples": None} == {**kind, "examples": None}
        assert few["examples"] == kind["examples"][:3]
    objects = sum(kind["bytes"] for kind in overview["kinds"] if kind["kind"] != "half-empty-pools")
    pools = sum(kind["bytes"] for kind in overview["kinds"]) - objects
    top, = ask(cli, wasteful, tmp_path, ["top"])
    assert overview["total"] == {"bytes": objects + pools, "objects": objects, "pools": pools, "of": top["total"]["bytes"]}
    line = ["waste", "--kind", "sparse-dicts", "--limit", "7", "--offset"]
    whole = full[names.index("sparse-dicts")]["kinds"][0]
    pages = ask(cli, wasteful, tmp_path, *(line + [str(offset)] for offset in range(0, whole["matched"] + 7, 7)))
    assert sum((page["kinds"][0]["examples"] for page in pages), []) == whole["examples"]


def test_types(cli, wasteful, tmp_path):
    whole, some = ask(cli, wasteful, tmp_path, ["waste", "--limit", "0"], ["waste", "--limit", "0", "--type", "__main__.Sub*"])
    assert not [kind for kind in some["kinds"] if kind["kind"] == "half-empty-pools" and kind["count"]]
    for kind in some["kinds"]:
        all_rows = next(k for k in whole["kinds"] if k["kind"] == kind["kind"])["examples"]
        if kind["kind"] != "half-empty-pools":
            assert kind["examples"] == [row for row in all_rows if row["type"].startswith("__main__.Sub")]


def read_word(memory, address, size):
    memory.seek(address)
    return int.from_bytes(memory.read(size), "little")


def test_half_empty_pools(cli, wasteful, tmp_path):
    """Of pymalloc: a pool's header says how many of its blocks are in use, and how large they are."""
    if not wasteful.python.allocator().startswith("pymalloc") or "i386" in wasteful.python.name:
        pytest.skip("no pools of pymalloc")
    document, memory_answer = ask(cli, wasteful, tmp_path, ["waste", "--kind", "half-empty-pools", "--limit", "0"],
                                  ["memory", "--limit", "0"])
    pool_bytes = 16384 if wasteful.python.version >= (3, 10) else 4096
    kind = only_kind(document)
    assert 0 < kind["count"] <= sum(row["pools"] for row in memory_answer["arenas"]["by_size_class"])
    with open("/proc/%d/mem" % wasteful.pid, "rb") as memory:
        for row in kind["examples"]:
            pool = int(row["address"], 16) & -pool_bytes
            block = pool_bytes - read_word(memory, pool + 44, 4)
            blocks, used = (pool_bytes - 48) // block, read_word(memory, pool, 4)
            assert (row["count"], row["bytes"]) == (used, (blocks - used) * block) and 2 * used < blocks
            assert row["type"] is None and int(row["address"], 16) == pool + 48


# ---- damage ----

QUESTIONS = [["waste", "--limit", "0"], ["top", "--group-by", "value", "--limit", "0"], ["find", "e", "--limit", "0"],
             ["find", "--regex", "(e+)+$", "--limit", "0"], ["find", "--attribute", "value", "item", "--limit", "0"]]


@pytest.fixture
def patient(some_python, tmp_path_factory):
    """A core that can be damaged."""
    core = targets.PythonProcess(some_python, "sound.py", tmp_path_factory.mktemp("sound")).core()
    edited = Patient(core, core.path + ".edited")
    yield edited
    edited.close()
    core.close()


def require_answers(cli, patient):
    """An answer, or one line that says why there is none; the same every time."""
    answers = []
    for line in QUESTIONS:
        outcome = cli.call(patient, [*line, "--json"])
        assert outcome.status in (0, 1) and outcome.err.count("\n") == outcome.status, outcome
        answers.append(json.loads(outcome.out) if outcome.status == 0 else None)
    again = cli.call(patient, [*QUESTIONS[0], "--json"])
    assert again.status == 1 or json.loads(again.out) == answers[0]
    return answers


def lengthen_text(patient):
    """Of a str, to what no memory holds."""
    first = patient.word(patient.field(patient.mark("list"), "PyListObject", "ob_item"))
    patient.set_word(patient.at(first, "PyASCIIObject", "length"), 1 << 62)


def change_kind_of_text(patient):
    first = patient.word(patient.field(patient.mark("list"), "PyListObject", "ob_item"))
    patient.add(patient.at(first, "PyASCIIObject", "state"), 0xc)


def enlarge_set(patient):
    patient.set_word(patient.at(patient.mark("set"), "PySetObject", "mask"), (1 << 62) - 1)


def shrink_list(patient):
    patient.set_word(patient.at(patient.mark("list"), "PyListObject", "allocated"), 2 ** 64 - 5)


def test_damaged_objects(cli, patient):
    for damage in OF_ALL + [lengthen_text, change_kind_of_text, enlarge_set, shrink_list]:
        damage(patient)
        waste = require_answers(cli, patient)[0]
        if damage.__name__ in ("lengthen_list", "shrink_list"):
            skipped = {row["what"]: row["count"] for row in waste["skipped"]}
            assert skipped["containers whose lengths make no sense"] == 1
            listed = {row["address"] for kind in waste["kinds"] for row in kind["examples"]}
            assert hex(patient.mark("list")) not in listed
        patient.heal()


@pytest.mark.parametrize("seed", range(3))
def test_damaged_anywhere(cli, patient, seed):
    """Thousands of bytes of the objects' pools."""
    dice = random.Random(seed)
    known = [address for address in patient.truth.address if address > 1 << 40]
    for _ in range(3000):
        address = dice.choice(known) + dice.randrange(64)
        try:
            patient.write(address, bytes([dice.randrange(256)]))
        except StopIteration:
            pass  # not in the core
    require_answers(cli, patient)


@pytest.mark.each_minor
@pytest.mark.last
def test_core(cli, wasteful_core, tmp_path):
    for check in (check_kept, check_tracked, check_values):
        check(cli, wasteful_core, tmp_path)


def test_debuggers(debugger, newest_python, tmp_path_factory, tmp_path):
    process = targets.PythonProcess(newest_python, "wasteful.py", tmp_path_factory.mktemp("wasteful"))
    for check in (check_kept, check_tracked, check_values):
        check(debugger, process, tmp_path)
    process.close()


def test_text(cli, wasteful, tmp_path):
    """A person sees the kinds, the worst of each, and the sum."""
    answer, one, document = cli.run(wasteful, [["waste"], ["waste", "--kind", "duplicate-strings", "--limit", "2"],
                                               ["waste", "--json"]], tmp_path)
    lines, document = answer.decode().splitlines(), json.loads(document)
    told = [kind for kind in document["kinds"] if kind["bytes"]]
    assert lines[0].split() == ["BYTES", "COUNT", "KIND", "WHAT", "COULD", "BE", "SAVED"]
    assert [line.split()[3] for line in lines[1:1 + len(told)]] == [kind["kind"] for kind in told]
    assert any("of the" in line and "could be saved." in line for line in lines)
    strings = next(kind for kind in document["kinds"] if kind["kind"] == "duplicate-strings")
    one = one.decode()
    assert "2 of {:,} values; --offset 2 for the next, --limit 0 for all".format(strings["matched"]) in one
    assert "{:,}".format(strings["examples"][0]["bytes"]) in one


def test_mistakes(cli, newest_python, tmp_path_factory):
    process = targets.PythonProcess(newest_python, "small.py", tmp_path_factory.mktemp("small"))
    for line, words in ((["--kind", "dups"], "--kind takes duplicate-strings, "), (["--offset", "3"], "--offset needs --kind")):
        outcome = cli.call(process, ["waste", *line])
        assert outcome.status == 2 and words in outcome.err and outcome.err.count("\n") == 1, outcome
    outcome = cli.call(process, ["top", "--group-by", "value", "--sort", "retained"])
    assert outcome.status == 2 and "no retained" in outcome.err
    process.close()
