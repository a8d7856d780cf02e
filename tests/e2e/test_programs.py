"""Four everyday programs, and what a person who asks about them would accept as the explanation (tests/targets/program_*.py).

Each number is held against what the forked child, tracemalloc in it, or the kernel says.
"""
import json

import pytest
import targets
from test_trace import check_sites

QUESTIONS = [["top", "--json", "--limit", "0"], ["memory", "--json"], ["suspects", "--json"], ["trace", "--json", "--limit", "0"]]


class Answers:
    """What a process or a core says to the questions that a person begins with."""

    def __init__(self, cli, target, directory):
        self.cli, self.target, self.directory = cli, target, directory
        self.top, self.memory, self.suspects, self.trace = (json.loads(words) for words in cli.run(target, QUESTIONS, directory))
        self.types = {row["type"]: row for row in self.top["types"]}
        self.truth = target.truth.data
        self.marks = self.truth["marks"]

    def ask(self, *command):
        return json.loads(self.cli.run(self.target, [[*command, "--json"]], self.directory)[0])

    def line(self, text):
        """The site of the line of the program that has this text."""
        path = self.truth["marks"]["program"]
        with open(path) as source:
            number = next(n for n, line in enumerate(source, 1) if text in line)
        return next(site for site in self.trace["sites"] if (site["file"], site["line"]) == (path, number))

    def check_sizes(self, *names):
        """sizeof: shallow is sys.getsizeof, deep counts each part once."""
        for name in names:
            address, shallow, deep, objects = self.marks[name]
            row, = self.ask("sizeof", address)["objects"]
            assert (row["shallow"], row["deep"], row["deep_objects"]) == (shallow, deep, objects), name

    def check_trace(self):
        for group in ("lineno", "filename", "traceback"):
            check_sites(group, self.truth[group], self.trace if group == "lineno" else self.ask("trace", "--limit", "0", "--group-by", group))


def plain(python):
    """Of each release one, as most have it."""
    return python.version >= (3, 6) and not python.flavours and not python.environment


@pytest.fixture(scope="session")
def start(python, tmp_path_factory):
    """start(program, how): the process, or its core; each once."""
    if not plain(python):
        pytest.skip("one build of each release of 3 is enough")
    found = {}

    def get(program, how):
        if (program, how) not in found:
            process = targets.PythonProcess(python, "program_%s.py" % program, tmp_path_factory.mktemp(program))
            found[program, how] = process if how == "live" else process.core()
        return found[program, how]

    yield get
    for thing in found.values():
        thing.close()


@pytest.fixture(params=["live", "core"])
def answers(request, cli, start, tmp_path):
    return lambda program: Answers(cli, start(program, request.param), tmp_path)


def resident(target):
    return int(target.status()["VmRSS"].split()[0]) * 1024


def test_text_that_is_kept_twice(answers):
    """Why does it use four times what the file has? Each line is a str of its own, with a head, twice."""
    found = answers("text")
    lines = 10000
    found.check_sizes("lines", "upper")
    found.check_trace()
    for text, name in (("line.rstrip", "lines"), ("line.upper()", "upper")):
        address, shallow, deep, _ = found.marks[name]
        site = found.line(text)
        of_str, = [row for row in site["types"] if row["type"] == "str"]
        assert of_str["count"] == lines and of_str["bytes"] == deep - shallow
    of_str = found.types["str"]
    both = sum(found.marks[name][2] - found.marks[name][1] for name in ("lines", "upper"))
    assert of_str == found.top["types"][0] and of_str["bytes"] > both > 0.4 * of_str["bytes"]
    holders = [row for row in found.suspects["suspects"] if row["holder"]["address"] in (found.marks["lines"][0], found.marks["upper"][0])]
    assert sorted(row["holder"]["path"].split(" (")[0] for row in holders) == ["lines in main", "upper in main"]
    for row in holders:
        assert (row["accumulated"]["type"], row["accumulated"]["count"]) == ("str", lines)
        assert row["holder"]["path"] in row["sentence"]


def test_objects_that_were_released(answers):
    """Why does the memory not go back? A few that are left keep each arena."""
    found = answers("released")
    assert found.types["__main__.Point"]["count"] == found.marks["counts"]["__main__.Point"] == 1000
    found.check_sizes("kept")
    found.check_trace()
    site = found.line("return [Point(")
    by_type = {row["type"]: row["count"] for row in site["types"]}
    assert by_type["__main__.Point"] == 1000
    arenas = found.memory["arenas"]
    assert arenas["used"] < 0.5 * arenas["bytes"]
    assert any("cannot be returned because each of" in line and "Point" in line for line in found.memory["answers"])


def test_released_memory_stays(cli, start, tmp_path):
    process = start("released", "live")
    found = Answers(cli, process, tmp_path)
    assert found.memory["resident"] > 0.6 * found.marks["peak"]
    free = sum(row["resident"] for row in found.memory["categories"] if ": free" in row["name"])
    assert free > 0.4 * found.marks["peak"]


def test_a_child_is_watched(cli, python, tmp_path_factory, tmp_path):
    """The parent is small and names its child; the child's own answer says what it collects."""
    if not plain(python):
        pytest.skip("one build of each release of 3 is enough")
    process = targets.PythonProcess(python, "program_children.py", tmp_path_factory.mktemp("children"))
    try:
        parent = Answers(cli, process, tmp_path)
        pid = child_of(process, parent)
        with open("/proc/%d/status" % pid) as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
        row, = [row for row in parent.memory["children"] if row["pid"] == pid]
        assert (row["parent"], row["name"], row["resident"]) == (process.pid, status["Name"], int(status["VmRSS"].split()[0]) * 1024)
        assert "__main__.Record" not in parent.types
        with open(process.truth_path + ".child") as f:
            truth = targets.Truth(json.load(f))
        child = Answers(cli, Child(pid, truth), tmp_path)
        assert child.types["__main__.Record"]["count"] == truth.marks["counts"]["__main__.Record"] == 10000
        child.check_sizes("backlog")
        child.check_trace()
        first = child.suspects["suspects"][0]
        assert first["holder"]["address"] == truth.marks["backlog"][0]
        assert first["holder"]["path"].startswith("backlog in collect (")
        assert first["accumulated"]["type"] == "__main__.Record" and first["share"] > 0.2
    finally:
        process.close()


class Child:
    """A process that another one started."""

    def __init__(self, pid, truth):
        self.pid, self.truth = pid, truth

    def arguments(self):
        return ["--pid", str(self.pid)]


def child_of(process, parent):
    """As the kernel of this machine calls it: a suite's processes have other numbers, which they tell."""
    with open("/proc/%d/task/%d/children" % (process.pid, process.pid)) as f:
        children = [int(word) for word in f.read().split()]
    assert parent.marks["child"] in children
    return parent.marks["child"]


def test_nested_data(answers):
    """sys.getsizeof tells of the outermost alone; shared parts count once."""
    found = answers("nested")
    found.check_sizes("everything", "people", "matrix", "address")
    everything, people, matrix, address = (found.marks[name] for name in ("everything", "people", "matrix", "address"))
    assert everything[1] < 1000 < 200 * everything[1] < everything[2]
    assert everything[2] < people[2] + matrix[2] + everything[1] + 1000  # `again`, `first` and `itself` add nothing
    own, = found.ask("sizeof", people[0])["objects"]
    assert own["deep"] - address[2] < people[2] and own["by_type"][0]["type"] == "dict"
    holders = [row for row in found.ask("referrers", address[0], "--limit", "0")["referrers"] if row["type"] == "dict"]
    assert len(holders) == 500 and {row["label"] for row in holders} == {"['address']"}
