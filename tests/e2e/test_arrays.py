"""arrays says what the interpreter says of every object that shows memory to others; sizes count a buffer once."""
import json
import os

import differences
import pytest
import targets

COLUMNS = "type, nbytes, owns, base, shape, dtype"
WHOLE = ["--json", "--limit", "0"]


def ask(host, process, directory, *lines):
    return [json.loads(answer) for answer in host.run(process, list(lines), directory)]


def in_one(row):
    return (row["type"], row["nbytes"], row["owns"], row["base"], row["shape"], row["dtype"])


def check_rows(truth, document):
    """Each object that the interpreter shows, exactly."""
    got = {row["address"]: in_one(row) for row in document["arrays"]}
    types = {row["address"]: row["type"] for row in document["arrays"]}
    assert len(got) == len(document["arrays"]) == document["matched"]
    lines = []
    for address, name, *told in truth["arrays"]:
        row = got.get(address)
        if name.endswith("CThunkObject") and row:
            assert row[2] and row[3] is None and 40 <= row[1] <= 80
        elif name == "memoryview" and row and types.get(row[3]) == "bytes" and told[2] not in (None, row[3]):
            # of a BytesIO: the exporter hides the bytes that it shows
            assert row[:3] + row[4:] == (name, *told[:2], *told[3:])
        elif row != (name, *told):
            lines.append("%s: expected %s, got %s (%s)" % (address, (name, *told), row, COLUMNS))
    differences.require_none(lines)
    return got


def check_total(document):
    rows = document["arrays"]
    assert document["total"] == sum(row["nbytes"] for row in rows if row["owns"])
    assert document["owners"] == sum(row["owns"] for row in rows)
    assert document["views"] == sum(not row["owns"] for row in rows)
    assert all(row["base"] is None for row in rows if row["owns"])
    assert [row["nbytes"] for row in rows] == sorted((row["nbytes"] for row in rows), reverse=True)


def check_nothing_else(truth, document):
    """What is there beyond what the collector shows is nothing but bytes that C code holds."""
    known = {row[0] for row in truth["arrays"]}
    others = [row for row in document["arrays"] if row["address"] not in known]
    hidden = {"bytes", "str"}
    assert [row for row in others if row["type"] not in hidden] == []
    print(len(others), len(known), sorted(row["nbytes"] for row in others)[-10:])
    assert len(others) < len(known) / 10


def check_sizes(truth, document):
    """sys.getsizeof() of every object of the types at hand, numpy's own too."""
    want = {address: (name, size) for address, name, size in truth["size"] if interesting(name)}
    got = {row["address"]: (row["type"], row["bytes"]) for row in document["objects"]}
    differences.require_none(["%s: expected %s, got %s" % (address, row, got.get(address))
                              for address, row in sorted(want.items()) if got.get(address) != row])
    return want


def interesting(name):
    return name.split(".")[0] in ("numpy", "array", "mmap", "ctypes", "_ctypes", "bytes", "bytearray", "memoryview", "__main__",
                                  "grids")


def check(host, process, directory, *options):
    truth = process.truth.data
    arrays, objects = ask(host, process, directory, ["arrays", *WHOLE, *options], ["list", "*", *WHOLE, *options])
    got = check_rows(truth, arrays)
    check_total(arrays)
    check_nothing_else(truth, arrays)
    check_sizes(truth, objects)
    return arrays, got


def start(python, tmp_path_factory, *words):
    return targets.PythonProcess(python, "arrays.py", tmp_path_factory.mktemp("arrays"), *words)


@pytest.fixture(scope="module")
def process(python, tmp_path_factory):
    process = start(python, tmp_path_factory)
    yield process
    process.close()


def test_standard_types(cli, process, tmp_path):
    arrays, _ = check(cli, process, tmp_path)
    types = {row["type"] for row in arrays["arrays"]}
    assert types >= {"bytearray", "array.array", "memoryview", "mmap.mmap", "_ctypes.CThunkObject", "__main__.Point"}


def test_core(cli, python, tmp_path_factory, tmp_path):
    core = start(python, tmp_path_factory).core()
    check(cli, core, tmp_path)
    core.close()
