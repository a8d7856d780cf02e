"""Interpreters inside other programs, in each way in which they get there."""
import json

import embedding
import pytest
import targets
from test_sizes import check_list
from test_tracked import check_top


def start(python, directory):
    return targets.PythonProcess(python, "small.py", directory)


@pytest.fixture(params=embedding.KINDS)
def embedded(request, some_python, tmp_path):
    if not embedding.possible(some_python):
        pytest.skip("%s has no headers or no static library" % some_python.name)
    process = start(embedding.build(some_python, tmp_path, request.param), tmp_path)
    yield process
    process.close()


def test_tracked_and_sizes(cli, embedded, tmp_path):
    check_top(cli, embedded, tmp_path)
    check_list(cli, embedded, tmp_path)


def test_core(cli, embedded, tmp_path):
    core = embedded.core()
    check_top(cli, core, tmp_path)
    core.close()


@pytest.fixture(scope="module", params=["opened", "static"])
def newest_embedded(request, tmp_path_factory):
    """The newest interpreter that programs can be built with."""
    pythons = [p for p in targets.representatives(targets.found_pythons()) if p.supported() and embedding.possible(p)]
    directory = tmp_path_factory.mktemp("embedded")
    process = start(embedding.build(pythons[-1], directory, request.param), directory)
    yield process
    process.close()


def test_debuggers_agree(debugger, cli, newest_embedded, tmp_path):
    lines = [["info", "--json"], ["top", "--json", "--limit", "0"], ["list", "dict", "--json"]]
    assert debugger.run(newest_embedded, lines, tmp_path) == cli.run(newest_embedded, lines, tmp_path)


def info(cli, target, directory):
    return json.loads(cli.run(target, [["info", "--json"]], directory)[0])


def test_two_libraries_of_which_one_runs(cli, some_python, tmp_path):
    """Whichever lies first, the one that runs is looked at, and the other is mentioned."""
    others = [p for p in targets.representatives(targets.found_pythons())
              if p.supported() and p.version != some_python.version and embedding.possible(p)]
    for other in others[:1] + others[-1:]:
        python = embedding.build(some_python, tmp_path, "opened", ["-l", other.libpython()])
        process = start(python, tmp_path)
        document = info(cli, process, tmp_path)
        assert document["python"]["version"] == ".".join(map(str, some_python.version))
        assert [row["runs"] for row in document["others"]] == [False]
        if other.version >= (3, 11):  # those before make their version's text when they start
            assert document["others"][0]["version"] == ".".join(map(str, other.version))
        check_top(cli, process, tmp_path)
        targets.Process.close(process)


def test_two_libraries_that_run(cli, some_python, tmp_path):
    """One of them is looked at, and the other is mentioned."""
    others = [p for p in targets.representatives(targets.found_pythons())
              if p.supported() and p.version != some_python.version and embedding.possible(p)]
    other = others[-1]
    process = start(embedding.build(some_python, tmp_path, "opened", ["-r", other.libpython(), other.prefix]), tmp_path)
    document = info(cli, process, tmp_path)
    assert [row["runs"] for row in document["others"]] == [True]
    versions = [document["python"]["version"], document["others"][0]["version"]]
    assert sorted(versions) == sorted(".".join(map(str, p.version)) for p in (some_python, other))
    if versions[0] == ".".join(map(str, some_python.version)):
        check_top(cli, process, tmp_path)
    targets.Process.close(process)


def test_loaded_and_not_started(cli, some_python, tmp_path):
    """A library with an interpreter that nobody started: one line that says so."""
    if not embedding.possible(some_python):
        pytest.skip("%s has no headers" % some_python.name)
    python = embedding.build(some_python, tmp_path, "opened")
    process = targets.Sleeper(*python.argv)
    outcome = cli.call(process, ["info"])
    assert outcome.status == 1 and outcome.out == "" and outcome.err.count("\n") == 1, outcome
    assert "not been started" in outcome.err and "libpython" in outcome.err, outcome
    process.close()
