"""suspects names the right holder first, and native code's references by their exact number."""
import json

import pytest
import targets

pytestmark = pytest.mark.each_build

SHAPES = {"class_level": "tuple", "closure": "__main__.Record", "logging_handler": "logging.LogRecord",
          "traceback": "__main__.Record", "thread_local": "__main__.Record"}


def suspects(cli, python, shape, tmp_path_factory, tmp_path):
    process = targets.PythonProcess(python, "leaks.py", tmp_path_factory.mktemp("leaks"), shape)
    try:
        answer = cli.run(process, [["suspects", "--json", "--limit", "0"]], tmp_path)[0]
        return json.loads(answer)["suspects"], int(process.truth.marks["holder"], 16)
    finally:
        process.close()


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_the_holder_comes_first(cli, some_python, shape, tmp_path_factory, tmp_path):
    found, holder = suspects(cli, some_python, shape, tmp_path_factory, tmp_path)
    first = found[0]
    assert int(first["holder"]["address"], 16) == holder, first
    assert first["accumulated"]["type"] == SHAPES[shape]
    assert first["accumulated"]["count"] == (5000 if shape == "logging_handler" else 20000)
    assert 0.2 < first["share"] <= 1 and first["holder"]["path"] in first["sentence"]


def test_references_of_native_code_are_counted(cli, some_python, tmp_path_factory, tmp_path):
    found, _ = suspects(cli, some_python, "native", tmp_path_factory, tmp_path)
    native = {row["accumulated"]["type"]: (row["native"], row["accumulated"]["count"]) for row in found if row["kind"] == "native"}
    assert native == {"dict": (5000, 1), "list": (3000, 3000)}


def test_a_sound_program_has_none(cli, some_python, tmp_path_factory, tmp_path):
    found, _ = suspects(cli, some_python, "sound", tmp_path_factory, tmp_path)
    assert [row for row in found if row["kind"] == "native"] == []
