"""layout tells the place of each field, and what told it: types and debug offsets of the interpreters say the same."""
import json
import pathlib
import re

import targets
import test_debug_offsets

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def fields(cli, target, directory):
    """{(struct, field): (offset, source)}"""
    document = json.loads(cli.run(target, [["layout", "--json", "--limit", "0"]], directory)[0])
    rows = {(row["struct"], row["field"]): (row["offset"], row["source"]) for row in document["fields"]}
    assert len(document["fields"]) == document["placed"] > 300
    return rows


def by_every_name(rows):
    """Structs and fields have one name or several: {"dequeobject.weakreflist": place}."""
    return {"%s.%s" % (struct, field): place for (structs, names), (place, _) in rows.items()
            for struct in structs.split("|") for field in names.split("|")}


def test_types_say_the_same_places(cli, python, tmp_path_factory, tmp_path):
    process = targets.PythonProcess(python, "places.py", tmp_path_factory.mktemp("places"))
    try:
        places = by_every_name(fields(cli, process, tmp_path))
        told = {name: int(place, 16) for name, place in process.truth.marks.items()}
        assert {name: places.get(name) for name in told} == told
    finally:
        process.close()


def test_debug_offsets_are_the_source_of_what_they_give(cli, python, small_core, tmp_path):
    rows = fields(cli, small_core, tmp_path)
    sources = {source for _, source in rows.values()}
    if python.version < (3, 13):
        assert sources == {"table"}
        return
    assert "debug-offsets" in sources and sources <= {"table", "debug-offsets", "moved"}
    core = test_debug_offsets.EditedCore(small_core, tmp_path / "read.core")
    try:
        block = [core.word(core.runtime + at) for at in range(0, test_debug_offsets.block_bytes(core), 8)]
    finally:
        core.close()
    listed = dict(re.findall(r"^PH_DEBUG_OFFSET\((\w+, \w+), (.*)\)$",
                             (CHECKOUT / "core/layout/debug_offsets.def").read_text(), re.MULTILINE))
    column = python.version[1] - 13
    expected = sorted(block[int(at) // 8] for name, ats in listed.items() for at in [ats.split(", ")[column]]
                      if at != "NOWHERE" and not name.endswith(", size"))
    assert sorted(place for place, source in rows.values() if source == "debug-offsets") == expected
