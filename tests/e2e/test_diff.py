"""save and diff: what grew between two stops is what the interpreter itself says of both."""
import collections
import json
import os
import subprocess

import differences
import hosts
import pytest
import targets

pytestmark = pytest.mark.each_build

# Types of which the collector shows every object, so that the truth has them all.
SEEN = {"list", "set", "dict", "generator", "collections.deque", "function", "type", "module", "method",
        "__main__.Node", "__main__.Slotted", "__main__.Text", "__main__.Dropped", "__main__.Server"}
# And all but those that are part of the interpreter itself.
WHOLE = SEEN - {"dict", "type"}
# What the second stop has more of, as the program is written.
GROWN = {"__main__.Node": 740, "__main__.Slotted": 700, "__main__.Text": 700, "__main__.Dropped": -40, "set": 300,
         "generator": 50, "__main__.Server": 0}


class Growing(targets.PythonProcess):
    """growing.py, which goes on to its second stop when it is told to."""

    def __init__(self, python, how, directory):
        super().__init__(python, "growing.py", directory, how)
        with open(self.truth_path + ".before") as f:
            self.before = json.load(f)

    def go_on(self):
        self.popen.stdin.write(b"\n")
        self.popen.stdin.flush()
        assert self.popen.stdout.readline() == b"ready\n", self.popen.stderr.read()
        self.wait_until_parked()


def ask(host, target, directory, *lines):
    return [json.loads(answer) for answer in host.run(target, [[*line, "--json"] for line in lines], directory)]


def save(host, target, path, directory):
    document, = ask(host, target, directory, ["save", str(path)])
    assert document["file"] == str(path) and document["bytes"] == os.path.getsize(path)
    return document


@pytest.fixture(scope="module")
def grown(python, cli, tmp_path_factory):
    """(process at its second stop, snapshot of the first)."""
    if python.version < (3,):
        pytest.skip("2.7 cannot wait without making objects")
    folder = tmp_path_factory.mktemp("snapshots")
    process = Growing(python, "types", tmp_path_factory.mktemp("growing"))
    save(cli, process, folder / "before", folder)
    process.go_on()
    yield process, folder / "before"
    process.close()


def sums(truth):
    counts, sizes = collections.Counter(), collections.Counter()
    for _, name, size in truth.rows():
        counts[name] += 1
        sizes[name] += size
    return counts, sizes


def check_types(process, document):
    """Counts and sizes of both stops."""
    (count, size), (count2, size2) = sums(targets.Truth(process.before)), sums(process.truth)
    names = {name for name in SEEN if count[name] or count2[name]}
    rows = {row["type"]: row for row in document["types"]}
    assert len(rows) == len(document["types"])
    for keys, want in ((("d_count", "d_bytes"), {name: (count2[name] - count[name], size2[name] - size[name])
                                                 for name in names}),
                       (("count", "bytes"), {name: (count2[name], size2[name]) for name in names & WHOLE})):
        got = {name: tuple(rows[name][key] for key in keys) for name in want}
        differences.require_none(differences.of_tables(want, got, ", ".join(keys)))
    for name, change in GROWN.items():
        assert rows[name]["d_count"] == change, name
    order = [-row["d_bytes"] for row in document["types"]]
    assert order == sorted(order)
    for key in ("count", "bytes", "d_count", "d_bytes"):
        assert document["total"][key] == sum(row[key] for row in document["types"])
    assert document["total"]["d_count"] == document["total"]["new"] - document["total"]["gone"]


def new_by_type(process):
    """The addresses of each type that the second stop has and the first had not."""
    before = set(zip(process.before["address"], (process.before["types"][i] for i in process.before["type"])))
    found = collections.defaultdict(set)
    for address, name, _ in process.truth.rows():
        if (address, name) not in before:
            found[name].add(address)
    return found


def test_types(cli, grown, tmp_path):
    process, before = grown
    document, = ask(cli, process, tmp_path, ["diff", str(before), "--limit", "0"])
    assert document["same_process"] is True
    check_types(process, document)
    want = new_by_type(process)
    for row in document["types"]:
        if row["type"] in SEEN:
            assert row["new"] == len(want[row["type"]]), row["type"]


def test_new_objects(cli, grown, tmp_path):
    process, before = grown
    want = new_by_type(process)
    for name in sorted(SEEN - {"method"}):
        document, = ask(cli, process, tmp_path, ["diff", str(before), "--new", "--type", name, "--limit", "0"])
        got = {int(row["address"], 16) for row in document["objects"]}
        assert document["matched"] == len(document["objects"]) == len(got)
        differences.require_none(differences.of_sets(name, want[name], got, hex))
        if name == "__main__.Node":
            assert all(row["summary"].startswith("<__main__.Node at") for row in document["objects"])
    bare = cli.call(process, ["diff", str(before), "--new", "--type", "__main__.Node", "--limit", "0", "--addresses"]).out
    assert {int(line, 16) for line in bare.split()} == want["__main__.Node"]


def test_reused_places(cli, grown, tmp_path):
    """Floats that came where others were are new, and those that stayed are not."""
    process, before = grown
    address = {name: int(value, 16) for name, value in process.truth.marks.items()}
    old = {name: int(value, 16) for name, value in process.before["marks"].items()}
    document, = ask(cli, process, tmp_path, ["diff", str(before), "--new", "--type", "float", "--limit", "0"])
    got = {int(row["address"], 16) for row in document["objects"]}
    made = {address["float %d" % number] for number in range(100)}
    assert made <= got
    assert not got & {address["float %d" % number] for number in range(100, 200)}
    assert made & set(old.values()), "none came to lie where another was, so this proves nothing"


def by_holder(document):
    rows = {row["holder"]: row for row in document["holders"]}
    assert len(rows) == len(document["holders"])
    return rows


def test_holders(cli, grown, tmp_path):
    """What only a global, an attribute or a local keeps alive, by its name."""
    process, before = grown
    document, = ask(cli, process, tmp_path, ["diff", str(before), "--group-by", "holder", "--limit", "0"])
    rows = by_holder(document)
    with_dicts = process.python.version < (3, 11)  # of instances
    local = "local local in main (%s)" % os.path.join(targets.PROGRAMS, "growing.py")
    # The ints are of several holders, or static.
    for name, objects in (("__main__.CACHE", 700 * (2 + with_dicts)), (local, 40 * (2 + with_dicts)),
                          ("__main__.SERVER.sessions", 2100), ("__main__.SERVER.log", 700), ("__main__.DROPPED", -40)):
        assert (rows[name]["d_count"], rows[name]["new"] - rows[name]["gone"]) == (objects, objects), name
    log, size = int(process.truth.marks["log"], 16), dict(zip(process.before["address"], process.before["size"]))
    texts = new_by_type(process)["__main__.Text"]
    size2 = dict(zip(process.truth.address, process.truth.size))
    assert rows["__main__.SERVER.log"]["d_bytes"] == sum(size2[text] for text in texts) + size2[log] - size[log]
    assert sum(row["count"] for row in rows.values()) == document["total"]["count"]


# ---- cores, and snapshots alone ----


@pytest.mark.each_minor
@pytest.mark.last
def test_core_and_two_files(cli, grown, tmp_path):
    process, before = grown
    core = process.core()
    core.before = process.before
    question = ["diff", str(before), "--limit", "0"]
    document, new, holders = ask(cli, core, tmp_path, question, [*question, "--new"], [*question, "--group-by", "holder"])
    check_types(core, document)
    assert document["same_process"] is True
    save(cli, core, tmp_path / "after", tmp_path)
    os.unlink(core.path)
    nothing = targets.Nothing()
    for more in ([], ["--new"], ["--group-by", "holder"], ["--type", "__main__.*", "--sort", "count"]):
        line = ["diff", str(before), str(tmp_path / "after"), "--limit", "0", *more]
        outcome = cli.call(nothing, [*line, "--json"])
        assert outcome.status == 0 and outcome.err == "", outcome
        alone = json.loads(outcome.out)
        if not more:
            assert (alone["types"], alone["total"]) == (document["types"], document["total"])
        elif more == ["--new"]:
            assert alone["matched"] == document["total"]["new"] and "summary" not in alone["objects"][0]
            assert [row["address"] for row in alone["objects"]] == [row["address"] for row in new["objects"]]
        elif "holder" in more:
            assert alone["holders"] == holders["holders"]
        assert cli.call(nothing, line).out.count("\n") > 5
    core.close()


def test_unchanged(cli, newest_zoo, tmp_path):
    save(cli, newest_zoo, tmp_path / "one", tmp_path)
    document, = ask(cli, newest_zoo, tmp_path, ["diff", str(tmp_path / "one"), "--limit", "0"])
    assert all(row["d_count"] == row["d_bytes"] == row["new"] == row["gone"] == 0 for row in document["types"])
    assert "Nothing changed." in cli.call(newest_zoo, ["diff", str(tmp_path / "one")]).out
    top, = ask(cli, newest_zoo, tmp_path, ["top", "--limit", "0"])
    sums = collections.Counter()
    for row in top["types"]:  # of one name there may be several types
        sums[row["type"]] += row["bytes"]
    assert {row["type"]: row["bytes"] for row in document["types"]} == dict(sums)


@pytest.mark.each_minor
def test_two_processes(cli, grown, tmp_path_factory, tmp_path):
    """By name they can be compared, by address not."""
    process, first = grown
    save(cli, process, tmp_path / "second", tmp_path)
    other = Growing(process.python, "types", tmp_path_factory.mktemp("growing"))
    other.go_on()
    document, = ask(cli, other, tmp_path, ["diff", str(first), "--limit", "0"])
    rows = {row["type"]: row for row in document["types"]}
    assert document["same_process"] is False and all(rows[name]["d_count"] == change for name, change in GROWN.items())
    assert "new" not in rows["list"] and "not the same process" in cli.call(other, ["diff", str(first)]).out
    by_name, = ask(cli, other, tmp_path, ["diff", str(tmp_path / "second"), "--group-by", "holder", "--limit", "0"])
    holders = by_holder(by_name)
    assert all(holders[name]["d_count"] == 0 for name in ("__main__.CACHE", "__main__.SERVER.sessions"))
    outcome = cli.call(other, ["diff", str(first), "--new"])
    assert outcome.status == 1 and outcome.out == "" and outcome.err.count("\n") == 1 and "same process" in outcome.err
    other.close()


# ---- by the line that allocated it ----


def test_sites(cli, python, tmp_path_factory, tmp_path):
    """What tracemalloc's own compare_to() says of the two stops."""
    if python.version < (3,):
        pytest.skip("2.7 has no tracemalloc")
    process = Growing(python, "traced", tmp_path_factory.mktemp("growing"))
    save(cli, process, tmp_path / "before", tmp_path)
    process.go_on()
    check_sites(cli, process, tmp_path)
    core = process.core()
    check_sites(cli, core, tmp_path)
    core.close()


def check_sites(cli, target, tmp_path):
    lines, files, also, nodes = ask(cli, target, tmp_path, *(
        ["diff", str(tmp_path / "before"), "--limit", "0", *more] for more in
        (["--group-by", "lineno"], ["--group-by", "filename"], ["--group-by", "site"],
         ["--group-by", "site", "--type", "__main__.Node"])))
    truth = target.truth.data["since"]
    own = os.path.join(targets.PROGRAMS, "traced_truth.py")  # keeps process ids, which 3.15 does not allocate up to 1024
    for key, document in (("lineno", lines), ("filename", files)):
        want = {(row[0], row[1] if key == "lineno" else None): tuple(row[2:]) for row in truth[key]
                if row[0] != own}
        got = {(row["file"], row["line"]): (row["bytes"], row["d_bytes"], row["count"], row["d_count"])
               for row in document["sites"] if row["file"] != own}
        assert len({(row["file"], row["line"]) for row in document["sites"]}) == len(document["sites"])
        differences.require_none(differences.of_tables(want, got, "bytes, d_bytes, count, d_count"))
        order = [-row["d_bytes"] for row in document["sites"]]
        assert order == sorted(order) and document["group_by"] == key
    assert also == lines
    assert sum(row["d_count"] for row in nodes["sites"]) >= 740
    objects, = ask(cli, target, tmp_path, ["diff", str(tmp_path / "before"), "--new", "--type", "__main__.Node",
                                           "--limit", "0"])
    assert objects["matched"] == 740 and all(row["file"].endswith("growing.py") for row in objects["objects"])


def test_where_tracemalloc_is_off(cli, newest_zoo, tmp_path):
    save(cli, newest_zoo, tmp_path / "one", tmp_path)
    document, = ask(cli, newest_zoo, tmp_path, ["diff", str(tmp_path / "one"), "--group-by", "site"])
    assert document["sites"] is None and "tracemalloc was off" in document["reason"]
    assert "tracemalloc was off" in cli.call(newest_zoo, ["diff", str(tmp_path / "one"), "--group-by", "site"]).out


# ---- debuggers ----


def test_debuggers(debugger, cli, newest_python, tmp_path_factory, tmp_path):
    """Saved and compared in a debugger, it is what the command line says; and it needs no process for two files."""
    process = Growing(newest_python, "types", tmp_path_factory.mktemp("growing"))
    path, second = str(tmp_path / "before"), str(tmp_path / "second")
    assert ask(debugger, process, tmp_path, ["save", path])[0]["bytes"] == os.path.getsize(path)
    process.go_on()
    lines = [["diff", path], ["diff", path, "--new", "--limit", "10"], ["diff", path, "--group-by", "holder"]]
    lines += [line + ["--json", "--limit", "0"] for line in lines]
    answers = debugger.run(process, lines, tmp_path)
    assert answers == cli.run(process, lines, tmp_path)
    check_types(process, json.loads(answers[3]))
    save(debugger, process, second, tmp_path)
    process.close()
    lines = [["diff", path, second], ["diff", path, second, "--new", "--json"]]
    assert debugger.run(targets.Nothing(), lines, tmp_path) == cli.run(targets.Nothing(), lines, tmp_path)
    said, _ = debugger.session(targets.Nothing(), ["pymem diff " + path, "pymem diff %s %s" % (path, second)])
    assert "no process" in said[0] and "NEW" in said[1]


class Requests:
    """requests.py, to be started by a debugger."""

    words = "-X tracemalloc %s 4" % os.path.join(targets.PROGRAMS, "requests.py")

    def __init__(self, python):
        self.python = python

    def gdb_arguments(self, host_root=""):
        return [self.python.path]

    def lldb_lines(self, host_root=""):
        return ["target create " + self.python.path]

    def lldb_end(self):
        return []


def check_rounds(said):
    """The lines that grew in each of the last three rounds, and by how much."""
    with open(os.path.join(targets.PROGRAMS, "requests.py")) as f:
        log, cache = (n for n, line in enumerate(f, 1) if "  # " in line)
    for line, blocks, size in ((log, "+100", "+105.7 KiB"), (cache, "+2", "+48.9 KiB")):
        rows = [row.split() for row in said.split("\n") if row.endswith("requests.py:%d" % line)]
        assert len(rows) == 3, said
        for row in rows:
            assert row[1] == blocks and " ".join(row[4:6]) == size, said


def recipe(language, path):
    """The lines of docs/RECIPES.md, for requests.py and a file of ours."""
    with open(os.path.join(targets.PROGRAMS, "..", "..", "docs", "RECIPES.md")) as f:
        text = f.read().split("```%s\n" % language)[1].split("```")[0]
    for written, here in (("/tmp/last.snapshot", str(path)), ("-X tracemalloc app.py", Requests.words)):
        assert written in text
        text = text.replace(written, here)
    return text


def test_recipes(debugger, tmp_path):
    """What each line added since the stop before."""
    if debugger.root:
        pytest.skip("%s starts no program of this machine" % debugger.name)
    python = [p for p in targets.representatives(targets.found_pythons()) if p.supported() and not p.environment][-1]
    is_gdb = isinstance(debugger, hosts.Gdb)
    text = recipe("gdb" if is_gdb else "lldb", tmp_path / "last")
    script = tmp_path / "recipe"
    script.write_text(text)
    _, outcome = debugger.session(Requests(python), ["source %s" % script] if is_gdb else text.splitlines())
    assert outcome.out.count("Saved ") == 4, outcome
    check_rounds(outcome.out)


# ---- what cannot work ----


def require_one_line(outcome, status, *words):
    assert outcome.status == status and outcome.out == "" and outcome.err.count("\n") == 1, outcome
    assert outcome.err.startswith("py-heap: ") and all(word in outcome.err for word in words), outcome


def test_bad_files(cli, newest_zoo, tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    save(cli, newest_zoo, good, tmp_path)
    whole = good.read_bytes()
    for content, words in ((b"", ["no snapshot"]), (b"#!/bin/sh\n" * 100, ["no snapshot"]),
                           (whole[:len(whole) // 2], ["cut short"]), (whole[:-1], ["cut short"]),
                           (whole[:8] + b"\2" + whole[9:], ["format 2", "newer"]),
                           (whole[:5000] + bytes([whole[5000] ^ 4]) + whole[5001:], ["damaged"]),
                           (whole[:-200] + bytes([whole[-200] ^ 4]) + whole[-199:], ["damaged"])):
        bad.write_bytes(content)
        require_one_line(cli.call(newest_zoo, ["diff", str(bad)]), 1, *words)
        require_one_line(cli.call(targets.Nothing(), ["diff", str(good), str(bad)]), 1, *words)
    require_one_line(cli.call(newest_zoo, ["diff", str(tmp_path)]), 1, "no file")
    require_one_line(cli.call(newest_zoo, ["diff", str(tmp_path / "none")]), 1, "No such file")


@pytest.mark.parametrize("line", [["save"], ["save", "a", "b"], ["diff"], ["diff", "a", "b", "c"], ["diff", "a", "--addresses"],
                                  ["diff", "a", "--offset", "3"], ["diff", "a", "--new", "--group-by", "type"],
                                  ["diff", "a", "--group-by", "traceback"], ["diff", "a", "--sort", "type"]])
def test_usage(cli, newest_zoo, line):
    require_one_line(cli.call(newest_zoo, line), 2)


def test_failed_writes_leave_nothing(cli, newest_zoo, tmp_path):
    """And what was there stays."""
    path = tmp_path / "kept"
    save(cli, newest_zoo, path, tmp_path)
    content = path.read_bytes()
    command = "trap '' XFSZ; ulimit -f 8; exec \"$@\""
    limited = subprocess.run(["bash", "-c", command, "bash", cli.path, *newest_zoo.arguments(), "save", str(path)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert limited.returncode == 1 and b"cannot write" in limited.stderr
    require_one_line(cli.call(newest_zoo, ["save", str(tmp_path / "no" / "folder")]), 1, "cannot write")
    require_one_line(cli.call(newest_zoo, ["save", "/dev/full"]), 1, "cannot write", "No space left")
    assert os.listdir(tmp_path) == ["kept"] and path.read_bytes() == content
    assert cli.call(newest_zoo, ["save", str(path)]).status == 0 and os.listdir(tmp_path) == ["kept"]
    assert cli.call(newest_zoo, ["save", "/dev/null"]).status == 0


def test_holders_left_out(cli, newest_zoo, tmp_path):
    path = tmp_path / "small"
    assert cli.call(newest_zoo, ["save", str(path), "--no-holders"]).status == 0
    document, = ask(cli, newest_zoo, tmp_path, ["diff", str(path), "--group-by", "holder"])
    assert document["holders"] is None and "--no-holders" in document["reason"]
