"""py-heap is at home in GDB: help, completion, frames, expressions, logging, pipes."""
import os

import targets

NAMES = ["info", "top", "list", "show", "sizeof", "referrers", "referents", "suspects", "why", "dominators", "cycles", "find", "waste",
         "frames", "whatis", "trace", "memory", "save", "diff", "verify", "layout"]


def test_help(gdb, newest_zoo):
    (everything, top, alias), _ = gdb.session(newest_zoo, ["help py-heap", "help py-heap top", "help pymem top"])
    for name in NAMES:
        assert "py-heap %s" % name in everything
    assert "--scope" in top and "--limit" in top
    assert "--scope" in alias


def test_own_help(gdb, newest_zoo):
    (everything, top), _ = gdb.session(newest_zoo, ["py-heap help", "py-heap top --help"])
    assert all(name in everything for name in NAMES)
    assert "--scope" in top


def test_completion(gdb, newest_zoo):
    (commands, prefix), _ = gdb.session(newest_zoo, ["complete py-heap to", "complete py-hea"])
    assert commands.split() == ["py-heap", "top"]
    assert "py-heap" in prefix.split()


def test_selected_frame_is_kept(gdb, newest_zoo):
    lines = ["frame 2", "py-heap top", "frame", "py-heap show " + newest_zoo.truth.one_of("dict"), "frame"]
    (chosen, _, after_top, _, after_show), outcome = gdb.session(newest_zoo, lines)
    assert chosen.startswith("#2"), outcome
    frame, frame_after_top, frame_after_show = (text.split("\n")[0] for text in (chosen, after_top, after_show))
    assert frame_after_top == frame_after_show == frame


def test_selected_thread_is_kept(gdb, newest_zoo):
    (_, before, _, after), outcome = gdb.session(newest_zoo, ["thread 3", "p $_thread", "py-heap top", "p $_thread"])
    assert before.split("= ")[1] == after.split("= ")[1] == "3\n", outcome


def test_expressions(gdb, newest_zoo):
    """An address may be whatever GDB can evaluate; spaces are no matter."""
    address = newest_zoo.truth.one_of("dict")
    lines = ["set $a = (char *) %s" % address, "py-heap show %s" % address, "py-heap show $a",
             "py-heap show $a + 8 - 8", "py-heap show (long) $a + 16 - 2 * 8 --length 30", "py-heap show $rsp - $rsp"]
    sections, outcome = gdb.session(newest_zoo, lines)
    assert address in sections[1], outcome
    assert sections[1] == sections[2] == sections[3], outcome
    assert address in sections[4], outcome
    assert len([line for line in sections[5].split("\n") if line]) == 1, outcome


def test_expressions_in_another_language(gdb, newest_zoo):
    address = newest_zoo.truth.one_of("dict")
    lines = ["py-heap show " + address, "set language pascal", "py-heap show " + address, "show language"]
    (in_c, _, in_pascal, language), outcome = gdb.session(newest_zoo, lines)
    assert in_c == in_pascal and "pascal" in language, outcome


def test_logging(gdb, newest_zoo, tmp_path):
    log = tmp_path / "log"
    lines = ["set logging file %s" % log, "set logging enabled on", "py-heap top", "set logging enabled off"]
    (_, _, shown, _), outcome = gdb.session(newest_zoo, lines)
    assert shown.strip() and shown in log.read_text(), outcome


def test_pipe(gdb, newest_zoo):
    (top, piped), outcome = gdb.session(newest_zoo, ["py-heap top", "pipe py-heap top | head -3"])
    assert piped.rstrip("\n").split("\n") == top.split("\n")[:3], outcome


def test_sourced_before_a_program_exists(gdb, newest_zoo):
    lines = ["py-heap top", "attach %d" % newest_zoo.pid, "py-heap top", "detach", "py-heap top"]
    sections, outcome = gdb.session(targets.Nothing(), lines)
    assert "dict" not in sections[0] and "dict" in sections[2] and "dict" not in sections[4], outcome


def test_sourced_twice(gdb, newest_zoo):
    (_, top), outcome = gdb.session(newest_zoo, ["source " + gdb.script, "py-heap top"])
    assert "dict" in top, outcome


def test_two_processes_in_one_session(gdb, newest_zoo, newest_python, tmp_path):
    other = targets.PythonProcess(newest_python, "zoo.py", tmp_path, 10)
    lines = ["py-heap show " + newest_zoo.truth.marks["text"], "detach", "attach %d" % other.pid,
             "py-heap show " + other.truth.marks["text"]]
    first, _, _, second = gdb.session(newest_zoo, lines)[0]
    assert "hidden text %d" % newest_zoo.pid in first
    assert "hidden text %d" % other.pid in second
    other.close()


def test_output_file(gdb, newest_zoo, tmp_path):
    path = str(tmp_path / "top.json")
    (told,), _ = gdb.session(newest_zoo, ["py-heap top --json -o " + path])
    assert os.path.getsize(path) > 0
    assert "top.json" in told and len(told.strip().split("\n")) == 1


def test_hostile_text_stays_text(gdb, newest_zoo):
    """A string with escapes and GDB's own syntax is shown, not obeyed."""
    address = newest_zoo.truth.marks["hostile"]
    (shown, after), outcome = gdb.session(newest_zoo, ["py-heap show %s --full" % address, "p $hostile"])
    assert "\x1b" not in shown and "%s%n" in shown, outcome
    assert "void" in after, outcome
