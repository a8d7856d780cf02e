"""arrays says what the interpreter says of every object that shows memory to others; sizes count a buffer once."""
import json
import pathlib
import re
import subprocess

import differences
import hosts
import pytest
import targets

pytestmark = pytest.mark.each_build

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "LAYOUTS.md"

COLUMNS = "type, nbytes, owns, base, shape, dtype"
WHOLE = ["--json", "--limit", "0"]


def ask(host, process, directory, *lines):
    return [json.loads(answer) for answer in host.run(process, list(lines), directory)]


def in_one(row):
    return (row["type"], row["nbytes"], row["owns"], row["base"], row["shape"], row["dtype"])


def check_rows(truth, document, narrow):
    """Each object that the interpreter shows, exactly."""
    got = {row["address"]: in_one(row) for row in document["arrays"]}
    types = {row["address"]: row["type"] for row in document["arrays"]}
    assert len(got) == len(document["arrays"]) == document["matched"]
    lines = []
    for address, name, *told in truth["arrays"]:
        row = got.get(address)
        if name.endswith("CThunkObject") and narrow:
            continue  # how large libffi's closures are there is not known
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
    constants) or whose holder does not show them: kinds of locals in code (3.11 on), what a BytesIO has,
    the format of a Struct."""
    known = {row[0] for row in process.truth.data["arrays"]}
    others = [row for row in document["arrays"] if row["address"] not in known]
    unknown = [row for row in others if row["type"] not in ("bytes", "str")]
    assert len(unknown) < 5
    lines = [["referrers", row["address"], "--json"] for row in others[:15] + unknown]
    for answer in ask(host, process, directory, *lines):
        holders = {row["type"] for row in answer["referrers"] if row["strong"] and row["kind"] == "object"}
        assert holders <= {"code", "_io.BytesIO", "Struct", "_struct.Struct"} and (answer["found"] or answer["refcount"] is None or answer["native"] > 0)


def check_sizes(truth, document):
    """sys.getsizeof() of every object of the types at hand, numpy's own too."""
    want = {address: (name, size) for address, name, size in truth["size"] if interesting(name)}
    got = {row["address"]: (row["type"], row["bytes"]) for row in document["objects"]}
    differences.require_none(["%s: expected %s, got %s" % (address, row, got.get(address))
                              for address, row in sorted(want.items()) if got.get(address) != row])
    return want


def interesting(name):
    return name.split(".")[0] in ("numpy", "array", "mmap", "ctypes", "_ctypes", "bytes", "bytearray", "memoryview", "__main__", "grids")


def check(host, process, directory, *options):
    truth = process.truth.data
    arrays, objects = ask(host, process, directory, ["arrays", *WHOLE, *options], ["list", "*", *WHOLE, *options])
    got = check_rows(truth, arrays, "i386" in process.python.name)
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
    assert types >= {"bytearray", "array.array", "memoryview", "mmap.mmap", "__main__.Point"}


@pytest.mark.last
def test_core(cli, process, tmp_path):
    check(cli, process.core(), tmp_path)


# ---- numpy ----


@pytest.fixture(scope="module")
def numpy_process(numpy_python, tmp_path_factory):
    process = start(numpy_python, tmp_path_factory, "numpy", "pandas")
    yield process
    process.close()


def check_numpy(host, process, directory):
    arrays, got = check(host, process, directory)
    shown = [row for row in process.truth.data["arrays"] if row[1] in ("numpy.ndarray", "numpy.memmap", "numpy.matrix")]
    assert len(shown) > 70 and len({row[6] for row in shown}) > 15


def test_numpy(cli, numpy_process, tmp_path):
    check_numpy(cli, numpy_process, tmp_path)


@pytest.mark.last
def test_numpy_core(cli, numpy_process, tmp_path):
    check_numpy(cli, numpy_process.core(), tmp_path)


def test_objects_in_arrays(cli, numpy_process, tmp_path):
    """What an array of objects holds is held by it."""
    held = numpy_process.truth.data["held"]
    answers = ask(cli, numpy_process, tmp_path, *[["referrers", target, "--json", "--limit", "0"] for _, target in held[:8]])
    assert len(held) > 5
    for (array, _), document in zip(held, answers):
        assert array in [row["address"] for row in document["referrers"] if row["strong"]]


# ---- pandas ----


def test_columns(cli, numpy_process, tmp_path):
    """Each block's array bears the names of its columns, whose memory_usage() adds up to its nbytes."""
    document, = ask(cli, numpy_process, tmp_path, ["arrays", *WHOLE])
    whole, numbered, series, *labelled = numpy_process.truth.data["frames"]
    for frame, split in ((whole, {"maybe": 2}), (numbered, {}), *((frame, {}) for frame in labelled)):
        usage = dict(map(tuple, frame["columns"]))
        named = [row for row in document["arrays"] if row.get("frame") == frame["address"] and row["owns"]]
        columns = [name for row in named for name in row["columns"]]
        assert sorted(columns) == sorted(name for name in usage for _ in range(split.get(name, 1)))
        for row in named:
            assert row["summary"].startswith("column") and all(name in row["summary"] for name in row["columns"])
            if not set(row["columns"]) & {"maybe", "kind"}:  # which have a mask, and categories, beside their values
                assert row["nbytes"] == sum(usage[name] for name in row["columns"])
        masked = [row["nbytes"] for row in named if row["columns"] == ["maybe"]]
        assert not masked or sum(masked) == usage["maybe"]
    assert any(row.get("columns") == ["price", "volume"] for row in document["arrays"])
    (name, bytes_), = series["columns"]
    assert [bytes_] == [row["nbytes"] for row in document["arrays"]
                        if row.get("frame") == series["address"] and row["summary"].startswith("Series %s " % name)]


# ---- .layout files ----


def blocks(language):
    return re.findall("^```%s\n(.*?)^```" % language, DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def compiled(python, tmp_path_factory):
    """The document's module on an interpreter that has headers, and the document's file that describes it."""
    folder = tmp_path_factory.mktemp("grids")
    headers = subprocess.run([*python.argv, "-c", "import sysconfig; print(sysconfig.get_paths()['include'])"],
                             stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    if python.version < (3,) or not (pathlib.Path(python.root + headers) / "Python.h").exists():
        pytest.skip("no headers of it for a module")
    (folder / "grids.c").write_text(blocks("c")[0])
    (folder / "grids.layout").write_text(blocks("layout")[0])
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-I", python.root + headers,
                    "-idirafter", python.root + "/usr/include", "-o", folder / "grids.so",
                    folder / "grids.c"], check=True)
    process = targets.PythonProcess(python, "arrays.py", tmp_path_factory.mktemp("arrays"), "compiled", folder)
    process.layout = str(folder / "grids.layout")
    yield process
    process.close()


def test_described_type(cli, compiled, tmp_path):
    arrays, _ = check(cli, compiled, tmp_path, "--layout", compiled.layout)
    grids = [row for row in arrays["arrays"] if row["type"] == "grids.Grid"]
    assert sorted((row["nbytes"], row["owns"]) for row in grids) == [(64, False)] * 3 + [(6400, True), (160000, True)]
    owner = next(row["address"] for row in grids if row["nbytes"] == 6400)
    assert {row["base"] for row in grids if not row["owns"]} == {owner}
    assert [row["summary"] for row in grids if row["owns"]] == ["grid 'second' of 100x200", "grid 'first' of 100x8"]
    show, = ask(cli, compiled, tmp_path, ["show", owner, "--json", "--layout", compiled.layout])
    listed, = ask(cli, compiled, tmp_path, ["arrays", *WHOLE])  # by itself: a session keeps what was loaded
    assert {row["label"]: row["type"] for row in show["references"]} == {"name": "str"}
    assert [row for row in listed["arrays"] if row["type"] == "grids.Grid"] == []


def test_layout_is_kept(compiled, gdb, tmp_path):
    """What one command loads, the next ones know; whatis too."""
    grid = next(row for row in compiled.truth.data["arrays"] if row[1] == "grids.Grid" and row[3])
    out = tmp_path / "out.json"
    said, _ = gdb.session(compiled, ["py-heap arrays --type grids.*", "py-heap layout load " + compiled.layout,
                                     "py-heap arrays --type grids.* --json -o %s" % out, "py-heap sizeof %s" % grid[0],
                                     "py-heap layout load /nonexistent",
                                     *["py-heap sizeof %s --layout %s" % (grid[0], compiled.layout)] * 3])
    assert "0 arrays" in said[0] and "grids.Grid is a Grid of" in said[1]
    assert len(json.loads(out.read_text())["arrays"]) == 5
    assert "grids.Grid" in said[3] and "cannot open /nonexistent: No such file or directory" in said[4]
    assert said[5] == said[6] == said[7] == said[3]


BAD_FILES = {
    "struct S { PyObject ob_base; char *data; };\ntype a.B S {\n    buffer dota { bytes 8; }\n}": "3: dota is no field of the struct",
    "struct S { PyObject ob_base; char *data; };\ntype a.B S {\n    buffer data { bytes 8; counted }\n}":
        "3: expected ';' after the statement, found \"}\"",
    "struct S { PyObject ob_base; char *data; };\ntype a.B S { buffer data { counted; } }":
        "2: expected how many bytes the buffer has, as \"bytes length * 8;\", found \"}\"",
    "struct S { PyObject ob_base; char *data; };\n\ntype a.B S {\n bytes 5;\n}":
        "4: expected buffer, reference, weak, base, shape, dtype, counted, summary or '}', found \"bytes\"",
    "type a.B S { }": "1: there is no struct S",
    "struct S { PyObject ob_base; int n; };\ntype a.B S { reference n; }": "2: n is no pointer",
    "struct S { PyObject ob_base; float n; char *p; };\ntype a.B S { buffer p { bytes n; } }": "2: n is no integer",
    "struct S { PyObject ob_base; int n; };\ntype a.B S { buffer n { bytes 8; } }": "2: n is neither a pointer nor an array",
    "struct S { PyObject ob_base; other *n; char *p; };\ntype a.B S { buffer p { bytes n.length; } }":
        "2: n.length leads through a pointer to a struct that is not declared",
    "struct S { PyObject ob_base; int n; };\ntype a.B S {\n\n summary \"of {rows}\";\n}": "4: the summary's {rows} is no field",
    "struct S { PyObject ob_base; unknown n; };": "1: the type unknown of n is not declared",
    "version 3.11": "1: expected struct, union or type, found \"version\"",
    "struct S { S s; };": "1: S contains itself",
    "type": "1: expected the type's name, or a glob in quotes, found the end",
    "type a.B PyObject { counted 99999999999; }": "1: 99999999999 is too large",
}


@pytest.mark.parametrize("text", BAD_FILES, ids=lambda text: str(list(BAD_FILES).index(text)))
def test_mistakes(text, cli, tmp_path):
    path = tmp_path / "bad.layout"
    path.write_text(text)
    outcome = cli.call(targets.Nothing(), ["layout", "load", str(path)])
    assert (outcome.status, outcome.out, outcome.err) == (1, "", "py-heap: %s:%s\n" % (path, BAD_FILES[text]))


def test_layout_command(cli, tmp_path):
    """A file is checked without any process."""
    path = tmp_path / "a file.layout"
    path.write_text(blocks("layout")[0])
    outcome = cli.call(targets.Nothing(), ["layout", "load", str(path), "--json"])
    document = json.loads(outcome.out)
    assert document["types"] == [{"type": "grids.Grid", "struct": "Grid", "bytes": 56}] and document["file"] == str(path)
    outcome = cli.call(targets.Nothing(), ["layout", "lode", str(path)])
    assert outcome.status == 2 and outcome.err.count("\n") == 1 and "load FILE" in outcome.err
    path.write_bytes(b"x" * ((1 << 20) + 1))
    outcome = cli.call(targets.Nothing(), ["layout", "load", str(path)])
    assert outcome.status == 1 and outcome.err == "py-heap: %s is larger than 1048576 bytes\n" % path


@pytest.mark.each_minor
@pytest.mark.minor(13)
def test_layout_before_the_process(debugger, cli, compiled, tmp_path):
    """A debugger reads the file before it has a process, and knows the types when it has one."""
    nothing = targets.Nothing()
    line = ["layout", "load", compiled.layout]
    assert debugger.run(nothing, [line, [*line, "--json"]], tmp_path) == cli.run(nothing, [line, [*line, "--json"]], tmp_path)
    attach = ("attach %d" if isinstance(debugger, hosts.Gdb) else "process attach -p %d") % compiled.pid
    said, _ = debugger.session(nothing, ["pymem layout", "pymem layout lode x", "pymem layout load " + compiled.layout, attach,
                                         "pymem arrays --type grids.*", "detach"])
    assert "no process" in said[0] and "no process" in said[1] and "grids.Grid is a Grid of 56 bytes" in said[2]
    assert "2 arrays that own their memory; 3 views" in said[4]


def test_tensors(cli, system_python, tmp_path_factory, tmp_path):
    """PyTorch's, by the file that docs/LAYOUTS.md names: each tensor's storage, and whether nobody shares it."""
    if not system_python.imports("torch"):
        pytest.skip("no PyTorch: install python3-torch")
    process = targets.PythonProcess(system_python, "tensors.py", tmp_path_factory.mktemp("tensors"))
    layout = str(DOCUMENT.parents[1] / "examples" / "torch.layout")
    for target in (lambda: process, process.core):
        target = target()
        arrays, = ask(cli, target, tmp_path, ["arrays", *WHOLE, "--type", "torch*", "--layout", layout])
        found = sorted([row["address"], row["type"], row["nbytes"], row["owns"], row["shape"]] for row in arrays["arrays"] if row["nbytes"])
        assert found == sorted(target.truth.data["tensors"])


# ---- whose memory ----


def test_memory_and_whatis(cli, process, tmp_path):
    """The maps of mmap objects and malloc's buffers are their objects', in memory and by any address inside."""
    arrays, memory = ask(cli, process, tmp_path, ["arrays", *WHOLE], ["memory", *WHOLE])
    bytes_of = {row["name"]: row["bytes"] for row in memory["categories"]}
    maps = [row for row in arrays["arrays"] if row["type"] == "mmap.mmap"]
    assert sorted(row["nbytes"] for row in maps) == [8192, 40000, 122880, 300000]
    rounded = {row["nbytes"]: (row["nbytes"] + 4095) // 4096 * 4096 for row in maps}
    assert bytes_of["files: buffers of objects"] >= rounded[8192] + rounded[40000]
    assert bytes_of["shared memory: buffers of objects"] == rounded[122880]
    assert bytes_of["mappings: buffers of objects"] >= rounded[300000]
    biggest = next(row for row in arrays["arrays"] if row["type"].endswith("_Array_5000"))
    summaries = {row["nbytes"]: int(row["summary"].split(" at ")[1].rstrip(">"), 16) for row in maps}
    for nbytes, start in summaries.items():
        what, = ask(cli, process, tmp_path, ["whatis", hex(start + nbytes - 1), "--json"])
        assert what["kind"] == "buffer" and what["object"]["type"] == "mmap.mmap" and what["object"]["offset"] == nbytes - 1
    sizes, = ask(cli, process, tmp_path, ["sizeof", biggest["address"], "--json"])
    assert sizes["objects"][0]["allocated"] >= 20000 > sizes["objects"][0]["shallow"]


def test_paging(cli, process, tmp_path):
    """Pages follow each other; filters are of nbytes."""
    whole, page, small, owned = ask(
        cli, process, tmp_path, ["arrays", *WHOLE], ["arrays", "--json", "--offset", "5", "--limit", "7"],
        ["arrays", *WHOLE, "--min-bytes", "100", "--max-bytes", "900", "--sort", "address"],
        ["arrays", *WHOLE, "--type", "bytearray", "--scope", "reachable"])
    assert page["arrays"] == whole["arrays"][5:12] and page["matched"] == whole["matched"]
    expected = [row for row in whole["arrays"] if 100 <= row["nbytes"] <= 900]
    assert small["arrays"] == sorted(expected, key=lambda row: int(row["address"], 16)) and expected
    assert {row["type"] for row in owned["arrays"]} == {"bytearray"} and owned["total"] == sum(r["nbytes"] for r in owned["arrays"])
    outcome = cli.call(process, ["arrays", "--limit", "3"])
    assert "3 of %s arrays; --offset 3 for the next" % format(whole["matched"], ",") in outcome.out
