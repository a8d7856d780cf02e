"""Processes that stopped in the middle of something: a collection, a resize, an allocation, their start, their end."""
import array
import json
import os
import re

import differences
import pytest
import targets

# Functions at which each moment of tests/targets/moment.py is looked at, and how many hits of each go by before.
STOPS = [
    ("collection", "visit_decref", 0), ("collection", "visit_decref", 500),
    ("collection", "subtype_clear", 0),
    ("collection", "visit_reachable", 0), ("collection", "visit_reachable", 500),
    ("dict", "dictresize", 0), ("dict", "dictresize", 7), ("dict", "insertdict", 7), ("dict", "new_keys_object", 7),
    ("list", "list_resize", 7),
    ("objects", "new_arena", 0), ("objects", "_PyObject_GC_New", 7), ("objects", "PyType_GenericAlloc", 7),
]

# What the debugged kinds make between their telling and the stop, by name. Nothing that was there may be missing.
MADE_MEANWHILE = {"collection": set(), "dict": set(), "list": {"list"},
                  "objects": {"list", "dict", "tuple", "__main__.Node"}}

# From the first instruction to the last: functions at which an interpreter that starts or ends is looked at.
STARTING = ["main", "_PyGC_InitState", "PyType_Ready", "_PySys_Create", "_PyBuiltin_Init", "init_importlib"]
ENDING = ["_PyGC_CollectNoFail", "_PyGC_Fini", "PyInterpreterState_Delete", "_PyRuntimeState_Fini", "exit"]


def addresses(path):
    found = array.array("Q")
    with open(path, "rb") as f:
        found.frombytes(f.read())
    return set(found)


def tracked(document):
    return {int(row["address"], 16): row for row in document["objects"]}


def describe(rows):
    return lambda address: "%#x %s" % (address, rows[address]["type"]) if address in rows else "%#x" % address


class Moment(targets.PythonProcess):
    """tests/targets/moment.py, blocked."""

    def __init__(self, python, kind, directory):
        super().__init__(python, "moment.py", directory, kind)


LIST = ["list", "*", "--scope", "tracked", "--limit", "0", "--json"]


def require_exact(host, target, truth, collecting, directory):
    document, info = (json.loads(answer) for answer in host.run(target, [LIST, ["info", "--json"]], directory))
    rows = tracked(document)
    differences.require_none(differences.of_sets("tracked", truth, set(rows), describe(rows)))
    assert not document.get("skipped") and not info.get("skipped")
    gc = info["interpreters"][0]["gc"]
    assert gc["collecting"] == collecting
    assert (gc["collected"] > 4000) == collecting
    assert sum(generation["objects"] for generation in gc["generations"]) + gc["collected"] == len(truth)
    return info


@pytest.mark.parametrize("kind, state", [("finalizer", "running"), ("callback", "running"), ("atexit", "running"),
                                         ("teardown", "ending")])
def test_blocked(cli, some_python, kind, state, tmp_path):
    """In a finalizer or a callback of a collection, what is collected is found too; at the end, what is left."""
    process = Moment(some_python, kind, tmp_path)
    truth = addresses(process.truth_path)
    info = require_exact(cli, process, truth, kind in ("finalizer", "callback"), tmp_path)
    assert info["state"] == state
    targets.Process.close(process)


def test_collecting_in_debuggers(debugger, newest_python, tmp_path):
    process = Moment(newest_python, "finalizer", tmp_path)
    require_exact(debugger, process, addresses(process.truth_path), True, tmp_path)
    targets.Process.close(process)


def test_collecting_in_a_core(cli, some_python, tmp_path):
    process = Moment(some_python, "callback", tmp_path)
    truth = addresses(process.truth_path)
    process.truth = None  # it writes none of the kind that a core's tests use
    core = process.core()
    require_exact(cli, core, truth, True, tmp_path)
    core.close()


class Debugged:
    """A program that GDB starts itself, with arguments that need no quotes."""

    def __init__(self, python, *arguments):
        self.python, self.start = python, "run -W ignore %s" % " ".join(arguments)

    def gdb_arguments(self, host_root=""):
        return ["-iex", "set breakpoint pending on", "-iex", "set environment PYTHONDONTWRITEBYTECODE=1",
                self.python.path]


@pytest.mark.parametrize("kind, function, passes", STOPS)
def test_stopped(batch, some_python, kind, function, passes, tmp_path):
    truth_path, answer = str(tmp_path / "addresses"), str(tmp_path / "answer")
    program = Debugged(some_python, os.path.join(targets.PROGRAMS, "moment.py"), truth_path, kind)
    lines = [program.start, "tbreak " + function if not passes else "break " + function]
    lines += ["ignore $bpnum %d" % passes] if passes else []
    lines += ["continue", "py-heap info", "py-heap %s -o %s" % (" ".join(LIST), answer), "kill"]
    sections, outcome = batch.session(program, lines)
    with open(answer) as f:
        document = json.load(f)
    rows, truth = tracked(document), addresses(truth_path)
    assert function in sections[-4], outcome
    differences.require_none(differences.of_sets("tracked", truth, truth & set(rows), describe(rows)))
    assert {rows[address]["type"] for address in set(rows) - truth} <= MADE_MEANWHILE[kind]
    assert not document.get("skipped")
    assert ("COLLECTING NOW" in sections[-3]) == (kind == "collection")


def test_start_and_end(batch, some_python):
    """From the first instruction to the last: an answer that says that parts may be missing, or one line."""
    program = Debugged(some_python, "-c", "import\\ json,threading")
    functions = STARTING + ENDING
    stops = ["start"] + ["continue"] * (len(functions) - 1)
    lines = ["tbreak " + function for function in functions if function != "main"]
    for stop in stops:
        lines += [program.start.replace("run", "start", 1) if stop == "start" else stop, "py-heap info", "py-heap top"]
    sections, outcome = batch.session(program, [*lines, "kill"])
    seen = {}
    for stop, info, top in zip(*[iter(sections[len(functions) - 1:-1])] * 3):
        where = [function for function in functions if re.search(r"\b(__GI_)?%s \(" % function, stop)]
        if not where:
            break  # it has ended: some functions are not in each version
        seen[where[0]] = text = info.strip()
        if text.startswith("py-heap: "):
            assert re.fullmatch(".*(is loaded|is only starting|is ending).*", text), "%s: %s" % (where[0], outcome)
            assert top.strip() == text, outcome
        else:
            assert ("STARTING" in text) == (where[0] in STARTING), "%s: %s" % (where[0], outcome)
            assert re.search(r"^[\d,]+ objects? of [\d,]+ types?, ", top, re.MULTILINE), outcome
    assert seen.keys() >= {"main", "exit"} and len(seen) > 6, outcome
    assert "is loaded" in seen["main"] and "is loaded" in seen["exit"]
    assert any("STARTING" in text for text in seen.values()) and any("ENDING" in text for text in seen.values())
