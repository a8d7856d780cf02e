"""The tables of core/layout/cpython against real interpreters.

layout-dump prints each place that the tables give. Two oracles say where the fields are:

* JSON files of struct offsets from DWARF, in PH_OFFSETS_DIR or in ../shared/offsets beside the
  checkout;
* the debug information of the interpreters at hand, asked through GDB. PH_PYTHONS names them,
  separated by colons; without it, those of pyenv are taken.

A version with neither is skipped, and said so. Places are those of one micro release each: what is
known to move between micro releases is confirmed in the target at run time, not here.
"""

import functools
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import supply  # noqa: E402

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

# The JSON files know some structs by their tags only.
TAGS = {
    "BLOCK": "struct BLOCK",
    "PyDictKeysObject": "struct _dictkeysobject",
    "PyDictValues": "struct _dictvalues",
    "PyFrameObject": "struct _frame",
    "PyInterpreterState": "struct _is",
    "PyLongObject": "struct _longobject",
    "PyThreadState": "struct _ts",
    "_ODictNode": "struct _odictnode",
    "_PyRuntimeState": "struct pyruntimestate",
    "_PyStackChunk": "struct _stack_chunk",
}

# Extension modules whose structs the tables have, where they are files of their own.
EXTENSIONS = ("_asyncio", "_collections", "_csv", "_ctypes", "_datetime", "_decimal", "_elementtree", "_functools", "_io", "_pickle",
              "_queue", "_sqlite3", "_struct", "_zoneinfo", "array", "datetime", "itertools", "mmap", "parser", "pyexpat", "select",
              "zlib")

# What micro releases and distributions move, where debug offsets, or pointers to it, tell the place at run time, or
# where nothing is read by it.
MOVING = {
    "3.13.18": {"_gc_runtime_state.generations", "_PyRuntimeState.sizeof", "_PyRuntimeState.tracemalloc",
                "_PyRuntimeState.cached_objects.interned_strings", "PyInterpreterState.sizeof", "PyThreadState.sizeof",
                "_PyThreadStateImpl.sizeof", "_PyThreadStateImpl.asyncio_running_loop",
                "_PyThreadStateImpl.mem_free_queue"},
}

# Structs that are declared as far as they are read: libffi's parts follow, or what later releases added.
OPEN_ENDED = {"CThunkObject.sizeof", "mmap_object.sizeof"}

# schema.def lists the names that versions give to one thing: "threads.head|tstate_head".
SEPARATOR = "|"


@functools.cache
def table(version, *flavours):
    """{(ctype, field): place or None} as the library has them for 3.11, for 3.14.10, or for its debug build."""
    dump = os.environ.get("PH_LAYOUT_DUMP")
    if not dump:
        pytest.skip("PH_LAYOUT_DUMP does not name the program layout-dump")
    output = subprocess.run([dump, version, *flavours], check=True, capture_output=True, text=True).stdout
    result = {}
    for line in output.splitlines():
        _, ctype, field, value = line.split(" ")
        result[ctype, field] = None if value == "absent" else int(value)
    return result


def versions():
    path = CHECKOUT / "core/layout/versions.def"
    found = re.findall(r"^PH_LAYOUT_VERSION\((\d+), (\d+)\)", path.read_text(), re.MULTILINE)
    return [f"{major}.{minor}" for major, minor in found]


def alternatives(ctype, field):
    """The (ctype, field) pairs that one entry may mean, in order."""
    for name in ctype.split(SEPARATOR):
        for path in field.split(SEPARATOR):
            yield name, path


# ---- JSON files ----


def offsets_dir():
    named = os.environ.get("PH_OFFSETS_DIR")
    return pathlib.Path(named) if named else CHECKOUT.parent / "shared" / "offsets"


def json_files(version):
    """Those of plain builds: 3.11.7.json and 3.13.18-debian.json, but not 3.13.15t.json."""
    pattern = re.compile(re.escape(version) + r"\.\d+(-debian)?\.json")
    folder = offsets_dir()
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return [folder / name for name in names if pattern.fullmatch(name)]


def json_place(structs, name, path):
    for key in (name, f"struct {name}", TAGS.get(name)):
        struct = structs.get(key)
        if struct and struct.get("size") is not None:
            if path == "sizeof":
                return struct["size"]
            if path in struct["f"]:
                return struct["f"][path][0]
    return None


def compare(entries, place_of):
    """[(entry, table's place, true place)] that differ, and how many agree."""
    wrong, agreed = [], 0
    for (ctype, field), place in entries.items():
        found = (place_of(*alternative) for alternative in alternatives(ctype, field))
        true = next((p for p in found if p is not None), None)
        if true is None or entries.get((ctype, "sizeof"), place) is None:
            continue  # a struct that the version's table leaves out is not used
        if place == true or (f"{ctype}.{field}" in OPEN_ENDED and place is not None and place < true):
            agreed += 1
        else:
            wrong.append((f"{ctype}.{field}", place, true))
    return wrong, agreed


@pytest.mark.parametrize("version", versions())
def test_tables_agree_with_recorded_offsets(version):
    files = json_files(version)
    if not files:
        pytest.skip(f"no recorded offsets of {version} in {offsets_dir()}")
    for file in files:
        structs = json.loads(file.read_text())
        release = file.stem.split("-")[0]
        wrong, agreed = compare(table(release), functools.partial(json_place, structs))
        assert [difference for difference in wrong if difference[0] not in MOVING.get(release, ())] == []
        assert agreed > (400 if version > "3" else 250)


# The runtime ends with an interpreter, and is as much longer as that; no field lies behind it.
RUNTIME_SIZE = ("_PyRuntimeState", "sizeof")
# In debug builds mimalloc's free lists are encoded with keys, which py-heap does not undo.
ENCODED = ("mi_segment_s", "mi_page_s", "mi_heap_s")


def place_of_any(place_of, entry):
    found = (place_of(*alternative) for alternative in alternatives(*entry))
    return next((place for place in found if place is not None), None)


def compare_shifts(version, flavours, plain_place_of, place_of):
    """What a kind of build moves, by the overlays and in truth, field by field: (what differs, how many moved)."""
    plain, other = table(version), table(version, *flavours)
    wrong, moved = [], 0
    for entry, place in other.items():
        true, plain_true = place_of_any(place_of, entry), place_of_any(plain_place_of, entry)
        if None in (place, true, plain_true) or entry[0] in ENCODED or entry == RUNTIME_SIZE:
            continue
        if place - plain[entry] != true - plain_true:
            wrong.append((".".join(entry), place - plain[entry], true - plain_true))
        moved += true != plain_true
    return wrong, moved


def test_debug_overlays_agree_with_recorded_offsets():
    folder = offsets_dir()
    pairs = sorted(folder.glob("*-debian-debug.json")) if folder.is_dir() else []
    if not pairs:
        pytest.skip(f"no recorded offsets of debug builds in {folder}")
    for path in pairs:
        structs = json.loads(path.read_text())
        plain = json.loads((folder / path.name.replace("-debug", "")).read_text())
        wrong, moved = compare_shifts(path.name.split("-")[0], ["debug"], functools.partial(json_place, plain),
                                      functools.partial(json_place, structs))
        assert wrong == []
        assert moved > 10


def test_free_threaded_tables_agree_with_recorded_offsets():
    """3.14 and 3.15, of which only headers, compiled, were recorded."""
    folder = offsets_dir()
    paths = sorted(folder.glob("3.*t-headers.json")) if folder.is_dir() else []
    paths = [path for path in paths if not path.name.startswith("3.13.")]
    if not paths:
        pytest.skip(f"no recorded offsets of free-threaded builds in {folder}")
    for path in paths:
        entries = table(path.name.split("t-")[0], "free-threaded")
        structs = json.loads(path.read_text())
        wrong, agreed = compare(entries, functools.partial(json_place, structs))
        assert [row for row in wrong if row[2]] == []  # a size of 0: the header does not define the struct
        assert agreed > 450


# ---- headers, compiled ----

HEADERS = ("interp", "interpframe", "runtime", "tstate", "frame", "gc", "dict", "typeobject", "genobject", "context", "code",
           "moduleobject", "hamt", "unicodeobject", "hashtable", "obmalloc")


@pytest.mark.skipif(not shutil.which("gdb") or not shutil.which("gcc"), reason="needs gdb and gcc")
@pytest.mark.parametrize("version", ["3.14", "3.15"])
def test_free_threaded_tables_agree_with_headers(version, tmp_path):
    folders = [path for root in map(supply.suite_folder, supply.found_suites())
               for path in glob.glob(f"{root}/usr/include/python{version}/internal/mimalloc")]
    if not folders:
        pytest.skip(f"no headers of CPython {version} at hand")
    include = os.path.dirname(os.path.dirname(folders[0]))
    patch = pathlib.Path(include, "patchlevel.h").read_text()
    release = re.search(r'PY_VERSION +"([\d.]+)', patch)[1]
    present = [name for name in HEADERS if os.path.exists(f"{include}/internal/pycore_{name}.h")]
    source = tmp_path / "headers.c"
    source.write_text("#include <Python.h>\n" + "".join(f"#include <internal/pycore_{name}.h>\n" for name in present))
    compiled = str(tmp_path / "headers.o")
    subprocess.run(["gcc", "-g", "-c", "-w", "-fno-eliminate-unused-debug-types", "-DPy_GIL_DISABLED=1", "-DPy_BUILD_CORE=1",
                    f"-I{include}", f"-I{include}/internal", f"-I{include}/internal/mimalloc", "-idirafter",
                    os.path.dirname(include), "-o", compiled, str(source)], check=True)
    entries = table(release, "free-threaded")
    places = ask_gdb(compiled, [a for entry in entries for a in alternatives(*entry)])
    wrong, agreed = compare(entries, lambda *a: places.get(a))
    assert [row for row in wrong if row[2]] == []  # a size of 0: the header does not define the struct
    assert agreed > 350


# ---- interpreters, through GDB ----


def pythons():
    named = os.environ.get("PH_PYTHONS")
    if named:
        return named.split(":")
    return sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python[23]")))


def debug_file(root, path):
    """Where a suite keeps the debug information of one of its files, if it does."""
    notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True).stdout
    build_id = re.search(r"Build ID: (\w\w)(\w+)", notes)
    return os.path.join(root, "usr/lib/debug/.build-id", build_id[1], build_id[2] + ".debug") if build_id else ""


def suite_binaries():
    """The same of the interpreters that supply.py got."""
    found = {}
    for root in map(supply.suite_folder, supply.found_suites()):
        for path in glob.glob(root + "/usr/bin/python3.*[0-9]"):
            library = "%s/usr/lib/%s/lib-dynload" % (root, os.path.basename(path))
            files = [path] + [file for name in EXTENSIONS for file in glob.glob("%s/%s.cpython-*[0-9]-*.so" % (library, name))]
            files = [file for file in (debug_file(root, file) for file in files) if os.path.exists(file)]
            release = subprocess.run(["strings", "-n", "5", path], capture_output=True, text=True).stdout
            release = re.search(r"^3\.\d+\.\d+$", release, re.MULTILINE)
            if files and release:
                found[release[0].rpartition(".")[0]] = release[0], files
    return found


@functools.cache
def binaries():
    """{version: (release, files with the code of an interpreter at hand, its own first, then extension modules)}"""
    ask = (
        "from __future__ import print_function; import os, sys, sysconfig as s; lib = s.get_config_var('INSTSONAME') or '';"
        "path = os.path.join(s.get_config_var('LIBDIR') or '', lib);"
        "shared = s.get_config_var('Py_ENABLE_SHARED') and os.path.exists(path);"
        "exe = os.path.realpath(sys.executable);"
        "print('%d.%d.%d' % sys.version_info[:3], path if shared else exe, s.get_path('stdlib'), sep='|')"
    )
    found = {} if os.environ.get("PH_PYTHONS") else suite_binaries()
    for python in pythons():
        answer = subprocess.run([python, "-c", ask], capture_output=True, text=True)
        if answer.returncode == 0:
            release, path, library = answer.stdout.strip().split("|")
            modules = (glob.glob("%s/lib-dynload/%s%s.so" % (library, name, tag)) for name in EXTENSIONS
                       for tag in ("", ".cpython-*"))
            found[release.rpartition(".")[0]] = release, [path] + [file for files in modules for file in files]
    return found


def gdb_expression(name, path):
    return f"sizeof({name})" if path == "sizeof" else f"&(({name} *) 0)->{path}"


def ask_gdb(binary, questions):
    """{(name, path): place} of the fields that the binary's debug information has."""
    command = ["gdb", "-nx", "-batch", "-ex", "set language c"]
    for number, (name, path) in enumerate(questions):
        for spelled in (name, f"struct {name}"):
            expression = gdb_expression(spelled, path)
            for step in (f"echo {number}=", f"output/d {expression}", "echo \\n"):
                command += ["-ex", step]
    output = subprocess.run(command + [binary], capture_output=True, text=True).stdout
    places = {}
    for number, place in re.findall(r"^(\d+)=(\d+)$", output, re.MULTILINE):
        places.setdefault(questions[int(number)], int(place))
    return places


@pytest.mark.skipif(not shutil.which("gdb"), reason="needs gdb")
@pytest.mark.parametrize("version", versions())
def test_tables_agree_with_debug_information(version):
    if version not in binaries():
        pytest.skip(f"no CPython {version} at hand")
    release, files = binaries()[version]
    entries = table(release)
    questions = [a for entry in entries for a in alternatives(*entry)]
    places = {}
    for binary in files:
        places.update(ask_gdb(binary, [q for q in questions if q not in places]))
    if ("PyObject", "ob_type") not in places:
        pytest.skip(f"CPython {version} has no debug information")
    wrong, agreed = compare(entries, lambda name, path: places.get((name, path)))
    assert wrong == []
    unconfirmed = [
        f"{ctype}.{field}"
        for (ctype, field), place in entries.items()
        if place is not None and not any(a in places for a in alternatives(ctype, field))
    ]
    assert unconfirmed == []
    assert agreed > (500 if version > "3" else 400)


FLAVOURS = ("debug", "trace-refs")
# Sizes that other releases have, before which no field lies.
OF_OTHER_RELEASES = {"3.9": {"PyInterpreterState.sizeof", "PyHamtIterator.sizeof"}}


def flavoured_builds():
    """(name, version, flavours, its executable, that of a plain build of the same release or None)"""
    built = {name: path for name, path in supply.found_builds().items() if "free-threaded" not in name}
    plain = {supply.BUILDS[name][:2]: path for name, path in built.items() if not any(f in name for f in FLAVOURS)}
    for name, path in built.items():
        flavours = [flavour for flavour in FLAVOURS if flavour in name]
        if flavours:
            ask = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
            version = subprocess.run([path, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()
            yield name, version, flavours, path, plain.get(supply.BUILDS[name][:2])


@pytest.mark.skipif(not shutil.which("gdb"), reason="needs gdb")
@pytest.mark.parametrize("build", [pytest.param(build, id=build[0]) for build in flavoured_builds()])
def test_overlays_agree_with_debug_information(build):
    """To the byte where the build is of the table's own release or the release has no plain build here."""
    _, version, flavours, path, plain = build
    entries = table(version, *flavours)
    questions = [a for entry in entries for a in alternatives(*entry)]
    places = ask_gdb(path, questions)
    if plain:
        plain_places = ask_gdb(plain, questions)
        wrong, moved = compare_shifts(version, flavours, lambda *a: plain_places.get(a), lambda *a: places.get(a))
        assert moved > 10
    else:
        entries = {entry: place for entry, place in entries.items() if entry != RUNTIME_SIZE}
        wrong, agreed = compare(entries, lambda *a: places.get(a))
        assert agreed > 500
        wrong = [row for row in wrong if row[0] not in OF_OTHER_RELEASES.get(version.rpartition(".")[0], ())]
    assert wrong == []
