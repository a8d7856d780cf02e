"""Cores as handlers keep them: compressed; and what is damaged or finds no room gives one line."""
import json
import os
import shutil
import subprocess

import pytest
import targets
from test_errors import require_one_line
from test_sizes import check_list

PACKERS = {"zstd": ["zstd", "-q", "-c"], "lz4": ["lz4", "-q", "-c"], "xz": ["xz", "-0", "-c"], "gzip": ["gzip", "-1", "-c"]}


class Packed(targets.Core):
    """A core that a program has compressed; its name tells nothing."""

    def __init__(self, core, packer, directory):
        self.__dict__.update(core.__dict__)
        self.path = os.path.join(str(directory), "core.packed")
        with open(self.path, "wb") as out:
            subprocess.run(PACKERS[packer] + [core.path], stdout=out, check=True)


@pytest.fixture(scope="module")
def newest_core(newest_python, tmp_path_factory):
    core = targets.PythonProcess(newest_python, "zoo.py", tmp_path_factory.mktemp("core"), 20).core()
    yield core
    core.close()


@pytest.fixture(scope="module", params=sorted(PACKERS))
def packed(request, newest_core, tmp_path_factory):
    if not shutil.which(PACKERS[request.param][0]):
        pytest.skip("no %s here" % request.param)
    return Packed(newest_core, request.param, tmp_path_factory.mktemp(request.param))


def test_objects_and_sizes(cli, packed, tmp_path):
    check_list(cli, packed, tmp_path)


def test_it_is_named_as_it_lies(cli, packed, tmp_path):
    document = json.loads(cli.run(packed, [["info", "--json"]], tmp_path)[0])
    assert document["target"]["path"] == packed.path


def test_nothing_is_left_behind(cli, packed, tmp_path, monkeypatch):
    monkeypatch.setitem(hosts_environment(), "TMPDIR", str(tmp_path))
    assert cli.call(packed, ["top"]).status == 0
    assert os.listdir(tmp_path) == []


def hosts_environment():
    import hosts
    return hosts.DEBUGGER_ENVIRONMENT


@pytest.mark.parametrize("damage", ["cut", "garbled"])
def test_damaged(cli, packed, tmp_path, damage):
    path = str(tmp_path / "core")
    with open(packed.path, "rb") as whole:
        start = whole.read(os.path.getsize(packed.path) // 2)
    with open(path, "wb") as out:
        out.write(start + (b"" if damage == "cut" else b"\xff" * 100000))
    require_one_line(cli.call(targets.Nothing(), ["--core", path, "top"]), 1, "cannot be unpacked", path)


def test_no_room(cli, packed, monkeypatch):
    monkeypatch.setitem(hosts_environment(), "TMPDIR", "/nonexistent")
    require_one_line(cli.call(packed, ["top"]), 1, "/nonexistent", "TMPDIR")
