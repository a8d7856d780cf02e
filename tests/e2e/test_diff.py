"""save and diff: what grew between two stops is what the interpreter itself says of both."""
import collections
import json
import os

import differences
import pytest
import targets

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
