"""Processes with something odd about them: forked, crowded, crashed, gone."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import targets
from test_sizes import check_list
from test_tracked import check_top

THREADS = 200
FOREIGN_THREADS = 3  # as in tests/targets/crowd.py


class Forked(targets.PythonProcess):
    """tests/targets/forked.py, both processes parked; `child` is the other."""

    def __init__(self, python, where, directory):
        super().__init__(python, "forked.py", directory, where)
        assert self.popen.stdout.readline() == b"ready\n"
        self.child = Child(self)


class Child(targets.Process):
    def __init__(self, parent):
        self.python = parent.python
        with open(parent.truth_path + ".child") as f:
            self.truth = targets.Truth(json.load(f))
        self.pid = self.truth.data["pid"]
        while not self.status()["State"].startswith("S"):
            time.sleep(0.01)


@pytest.fixture(params=["main", "thread"])
def forked(request, some_python, tmp_path):
    process = Forked(some_python, request.param, tmp_path)
    yield process
    os.kill(process.child.pid, signal.SIGKILL)
    process.close()


def info(host, target, directory):
    return json.loads(host.run(target, [["info", "--json"]], directory)[0])


def thread_ids(document):
    return sorted(thread["native_id"] for i in document["interpreters"] for thread in i["threads"])


def test_forked(cli, forked, tmp_path):
    """The child while its parent lives, with one thread, whichever forked; and the parent."""
    for process in (forked.child, forked):
        check_top(cli, process, tmp_path)
        check_list(cli, process, tmp_path)
    assert forked.child.pid != forked.pid
    assert thread_ids(info(cli, forked, tmp_path)) == forked.threads()
    assert thread_ids(info(cli, forked.child, tmp_path)) == forked.child.threads() == [forked.child.pid]


def test_parent_and_child_in_one_debugger(batch, forked, tmp_path):
    """GDB with both: each command answers for the inferior that is selected."""
    answers = {pid: str(tmp_path / str(pid)) for pid in (forked.pid, forked.child.pid)}
    lines = ["py-heap top --scope tracked --json -o %s" % answers[forked.pid], "add-inferior", "inferior 2",
             "attach %d" % forked.child.pid, "py-heap top --scope tracked --json -o %s" % answers[forked.child.pid],
             "inferior 1", "py-heap info"]
    sections, outcome = batch.session(forked, lines)
    for process in (forked, forked.child):
        with open(answers[process.pid]) as f:
            assert json.load(f)["total"]["count"] == process.truth.tracked_count, outcome
    assert "process %d" % forked.pid in sections[-1], outcome


@pytest.fixture(scope="module")
def crowd(some_python, tmp_path_factory):
    process = targets.PythonProcess(some_python, "crowd.py", tmp_path_factory.mktemp("crowd"), THREADS)
    yield process
    process.close()


def test_threads_that_python_does_not_know(cli, crowd, tmp_path):
    """The threads with a Python state are listed, each with its kernel thread; those without are not."""
    listed = thread_ids(info(cli, crowd, tmp_path))
    assert len(listed) == len(set(listed)) == THREADS + 1
    assert set(listed) < set(crowd.threads())
    assert len(crowd.threads()) == THREADS + 1 + FOREIGN_THREADS


def test_frozen_objects(cli, crowd, some_python, tmp_path):
    """Not tracked, as for gc.get_objects(); counted as the permanent generation, and found."""
    check_top(cli, crowd, tmp_path)
    check_list(cli, crowd, tmp_path)
    marks = crowd.truth.marks
    assert info(cli, crowd, tmp_path)["interpreters"][0]["gc"]["permanent"] == int(marks["freeze_count"], 16)
    document = json.loads(cli.run(crowd, [["list", "dict", "--gen", "3", "--limit", "0", "--json"]], tmp_path)[0])
    assert marks["frozen"] in [row["address"] for row in document["objects"]]


def test_crowd_in_debuggers(debugger, cli, newest_python, tmp_path):
    process = targets.PythonProcess(newest_python, "crowd.py", tmp_path, 20)
    assert len(thread_ids(info(debugger, process, tmp_path))) == 21
    check_top(debugger, process, tmp_path)
    process.close()


def test_crashed(cli, some_python, tmp_path):
    """The core of a process that read where nothing is."""
    process = targets.PythonProcess(some_python, "small.py", tmp_path)
    core = process.core(signal.SIGSEGV)
    check_top(cli, core, tmp_path)
    assert info(cli, core, tmp_path)["interpreters"][0]["threads"][0]["frames"] >= 3
    core.close()


def test_ended(cli):
    """A process that has ended and is still in the list, and one that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    while True:
        with open("/proc/%d/stat" % process.pid) as f:
            if f.read().rpartition(")")[2].split()[0] == "Z":
                break
        time.sleep(0.01)
    for words in ("has ended", "no process"):
        target = targets.Nothing()
        outcome = cli.call(target, ["--pid", str(process.pid), "info"])
        assert outcome.status == 1 and outcome.out == "" and outcome.err.count("\n") == 1, outcome
        assert words in outcome.err, outcome
        process.wait()
