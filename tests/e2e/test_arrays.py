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


def check_nothing_else(host, process, directory, document):
    """What is there beyond what the collector shows is bytes that C code alone holds (single characters, names, Cython's
    constants) or whose holder does not show them: kinds of locals in code (3.11 on), what a BytesIO has."""
    known = {row[0] for row in process.truth.data["arrays"]}
    others = [row for row in document["arrays"] if row["address"] not in known]
    unknown = [row for row in others if row["type"] not in ("bytes", "str")]
    assert len(unknown) < 5
    lines = [["referrers", row["address"], "--json"] for row in others[:15] + unknown]
    for answer in ask(host, process, directory, *lines):
        holders = {row["type"] for row in answer["referrers"] if row["strong"]}
        assert holders <= {"code", "_io.BytesIO"} and (holders or answer["refcount"] is None or answer["native"] > 0)


def check_sizes(truth, document):
    """sys.getsizeof() of every object of the types at hand, numpy's own too."""
    want = {address: (name, size) for address, name, size in truth["size"] if interesting(name)}
    got = {row["address"]: (row["type"], row["bytes"]) for row in document["objects"]}
    differences.require_none(["%s: expected %s, got %s" % (address, row, got.get(address))
                              for address, row in sorted(want.items()) if got.get(address) != row])
    return want


def interesting(name):
    """Not the dtypes' classes: their metaclass tells the collector otherwise than type does."""
    return name != "numpy._DTypeMeta" and name.split(".")[0] in ("numpy", "array", "mmap", "ctypes", "_ctypes", "bytes", "bytearray", "memoryview", "__main__",
                                  "grids")


def check(host, process, directory, *options):
    truth = process.truth.data
    arrays, objects = ask(host, process, directory, ["arrays", *WHOLE, *options], ["list", "*", *WHOLE, *options])
    got = check_rows(truth, arrays)
    check_total(arrays)
    check_nothing_else(host, process, directory, arrays)
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


# ---- numpy ----


@pytest.fixture(scope="module")
def numpy_process(numpy_python, tmp_path_factory):
    process = start(numpy_python, tmp_path_factory, "numpy", "pandas")
    yield process
    process.close()


def check_numpy(host, process, directory):
    arrays, got = check(host, process, directory)
    shown = [row for row in process.truth.data["arrays"] if row[1] in ("numpy.ndarray", "numpy.memmap", "numpy.matrix")]
    assert len(shown) > 100 and len({row[6] for row in shown}) > 15


def test_numpy(cli, numpy_process, tmp_path):
    check_numpy(cli, numpy_process, tmp_path)


def test_numpy_core(cli, numpy_python, tmp_path_factory, tmp_path):
    core = start(numpy_python, tmp_path_factory, "numpy", "pandas").core()
    check_numpy(cli, core, tmp_path)
    core.close()


def test_objects_in_arrays(cli, numpy_process, tmp_path):
    """What an array of objects holds is held by it."""
    held = numpy_process.truth.data["held"]
    answers = ask(cli, numpy_process, tmp_path, *[["referrers", target, "--json", "--limit", "0"] for _, target in held[:8]])
    assert len(held) > 5
    for (array, _), document in zip(held, answers):
        assert array in [row["address"] for row in document["referrers"] if row["strong"]]
