"""The same truth from interpreters without symbols and debug info."""
import pytest
import targets
from test_sizes import check_list
from test_tracked import check_top


@pytest.fixture(scope="module")
def stripped_zoo(shared_python, tmp_path_factory):
    copy = targets.stripped_copy(shared_python, tmp_path_factory.mktemp("stripped"))
    process = targets.PythonProcess(copy, "zoo.py", tmp_path_factory.mktemp("zoo"), 20)
    yield process
    process.close()


def test_tracked(cli, stripped_zoo, tmp_path):
    check_top(cli, stripped_zoo, tmp_path)


def test_sizes(cli, stripped_zoo, tmp_path):
    check_list(cli, stripped_zoo, tmp_path)


def test_debuggers_agree(debugger, cli, stripped_zoo, tmp_path):
    lines = [["top"], ["top", "--json", "--limit", "0"], ["list", "dict", "--json"]]
    assert debugger.run(stripped_zoo, lines, tmp_path) == cli.run(stripped_zoo, lines, tmp_path)
