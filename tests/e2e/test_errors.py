"""What cannot work gives one clear line, and the debugger goes on."""
import os
import shutil
import subprocess

import hosts
import pytest
import targets

# Exports what says "Python" and its version, of a version that nobody knows.
UNKNOWN_PYTHON = """
#include <unistd.h>
const unsigned long Py_Version = 0x036300f0;
char _PyRuntime[400000] = {1};
int main(void) { pause(); return 0; }
"""


@pytest.fixture(scope="module")
def not_python():
    process = targets.Sleeper(shutil.which("sleep"), "1000")
    yield process
    process.close()


@pytest.fixture(scope="module")
def unknown_python(tmp_path_factory):
    program = str(tmp_path_factory.mktemp("unknown") / "unknown-python")
    subprocess.run([shutil.which("cc"), "-x", "c", "-", "-rdynamic", "-o", program], input=UNKNOWN_PYTHON.encode(), check=True)
    process = targets.Sleeper(program)
    yield process
    process.close()


def require_one_line(outcome, status, *words):
    assert outcome.status == status, outcome
    assert outcome.out == "", outcome
    lines = outcome.err.rstrip("\n").split("\n")
    assert len(lines) == 1 and lines[0].startswith("py-heap: "), outcome
    assert all(word in outcome.err for word in words), outcome


def require_line_and_life(debugger, target, command, *words):
    """In a debugger: the line, no more, and the next command still works."""
    (section, after), outcome = debugger.session(target, [command, "p 40 + 2"])
    lines = [line for line in section.split("\n") if line.strip()]
    assert len(lines) == 1, outcome
    assert all(word in section for word in words), outcome
    assert "42" in after, outcome
    assert outcome.status == 0, outcome


# ---- the command line ----


COMMANDS = """top --limit 3

# not a command
  list "dict" --limit 2
show 0x10
nonsense
top --limit 0 --json -o "%s"
info
"""


def run_commands(target, file, text=None):
    argv = [hosts.CommandLine.path, *target.arguments(), "-x", file]
    return subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=60,
                          universal_newlines=True)


def test_commands_from_a_file(cli, newest_zoo, tmp_path):
    """Each line is answered as the command alone is, whatever becomes of others."""
    script, output = tmp_path / "commands", tmp_path / "the answer"
    script.write_text(COMMANDS % output)
    outcome = run_commands(newest_zoo, str(script))
    top, dicts, info = (cli.call(newest_zoo, words).out
                        for words in (["top", "--limit", "3"], ["list", "dict", "--limit", "2"], ["info"]))
    assert top and dicts and info and outcome.stdout == top + dicts + "wrote %s\n" % output + info
    assert output.read_text() == cli.call(newest_zoo, ["top", "--limit", "0", "--json"]).out
    where = "py-heap: %s:" % script
    lines = outcome.stderr.splitlines()
    assert len(lines) == 2 and lines[0].startswith(where + "5: ") and lines[1].startswith(where + "6: "), lines
    assert "not mapped" in lines[0] and "nonsense" in lines[1] and outcome.returncode == 2
    piped = run_commands(newest_zoo, "-", COMMANDS % output)
    assert (piped.stdout, piped.returncode) == (outcome.stdout, 2)
    assert [line.replace("<stdin>", str(script)) for line in piped.stderr.splitlines()] == lines


def test_no_commands(cli, newest_zoo, tmp_path):
    empty = run_commands(newest_zoo, "-", "")
    assert (empty.stdout, empty.stderr, empty.returncode) == ("", "", 0)
    for outcome in (run_commands(newest_zoo, str(tmp_path / "absent")), run_commands(newest_zoo, str(tmp_path))):
        assert outcome.returncode == 1 and outcome.stdout == "" and outcome.stderr.count("\n") == 1, outcome
    outcome = hosts.run_process([hosts.CommandLine.path, "-x", "-", "top"])
    assert outcome.status == 2 and "exclude each other" in outcome.err


def test_no_target(cli):
    outcome = cli.call(targets.Nothing(), ["top"])
    assert outcome.status in (1, 2) and outcome.out == "", outcome
    assert "--pid" in outcome.err and "--core" in outcome.err, outcome


def test_no_such_process(cli):
    with open("/proc/sys/kernel/pid_max") as f:
        beyond = f.read().strip()
    require_one_line(cli_call(cli, ["--pid", beyond, "top"]), 1, beyond)


def cli_call(cli, words):
    return cli.call(targets.Nothing(), words)


@pytest.mark.parametrize("words", [["--pid", "zero", "top"], ["--pid", "-5", "top"], ["--pid"], ["--core"]])
def test_bad_target(cli, words):
    assert cli_call(cli, words).status == 2


def test_not_python(cli, not_python):
    require_one_line(cli.call(not_python, ["top"]), 1, "Python")


def test_unsupported_version(cli, unknown_python):
    require_one_line(cli.call(unknown_python, ["top"]), 1, "3.99")


def test_old_pythons(cli, tmp_path):
    """Real interpreters that are too old, where the machine has some."""
    old = [p for p in targets.found_pythons() if p.cpython and p.version[:2] not in targets.SUPPORTED and p.version < (3, 8)]
    for python in old:
        process = targets.Sleeper(python.path, "-c", "import time; time.sleep(1000)")
        require_one_line(cli.call(process, ["top"]), 1, ".".join(map(str, python.version[:2])))
        process.close()


@pytest.mark.parametrize("words", [
    ["tpo"], ["top", "--nope"], ["top", "--limit", "many"], ["top", "--limit"], ["top", "--scope", "nowhere"],
    ["top", "--sort", "colour"], ["show"], ["list"], ["sizeof"], ["info", "superfluous"], ["show", "dict"],
    ["top", "--depth", "2"]])
def test_usage(cli, newest_zoo, words):
    require_one_line(cli.call(newest_zoo, words), 2)


def test_nearest_word(cli, newest_zoo):
    assert "did you mean 'top'" in cli.call(newest_zoo, ["tpo"]).err
    assert "--limit" in cli.call(newest_zoo, ["top", "--limti", "3"]).err


def test_address_that_is_no_object(zoo):
    asked = [(command, address) for command in ("show", "referrers", "referents", "sizeof")
             for address in ("0x10", "0xdeadbeef000", "0xffffffffffffffff", zoo.truth.one_of("dict")[:-1] + "9")]
    outcome = run_commands(zoo, "-", "".join("%s %s\n" % words for words in asked))
    lines = outcome.stderr.splitlines()
    assert outcome.stdout == "" and outcome.returncode == 1 and len(lines) == len(asked), lines
    for number, (line, (_, address)) in enumerate(zip(lines, asked), 1):
        assert line.startswith("py-heap: <stdin>:%d: " % number) and address in line, line


def test_output_that_cannot_be_written(cli, newest_zoo):
    require_one_line(cli.call(newest_zoo, ["top", "-o", "/nonexistent/file"]), 1, "/nonexistent/file")


@pytest.mark.parametrize("content", [b"", b"not a core", b"\x7fELF", b"\x7fELF" + bytes(60)])
def test_not_a_core(cli, tmp_path, content):
    path = tmp_path / "core"
    path.write_bytes(content)
    require_one_line(cli_call(cli, ["--core", str(path), "top"]), 1, str(path))


def test_no_core(cli, tmp_path):
    require_one_line(cli_call(cli, ["--core", str(tmp_path / "none"), "top"]), 1, "none")
    require_one_line(cli_call(cli, ["--core", str(tmp_path), "top"]), 1)


# ---- cut cores ----


@pytest.fixture(scope="module")
def cut_core(newest_python, tmp_path_factory):
    """cut(share): the zoo's core with only that share of its bytes."""
    process = targets.PythonProcess(newest_python, "zoo.py", tmp_path_factory.mktemp("cut"), 10)
    core = process.core()
    whole = os.path.getsize(core.path)

    def cut(share):
        os.truncate(core.path, int(whole * share))
        return core

    yield cut
    core.close()


def test_cut_core(cli, cut_core, request):
    """From long to short, for a file cannot grow back: an answer that owns up, or one line."""
    for share in (0.95, 0.5, 0.2, 0.05, 0.001):
        core = cut_core(share)
        for command in (["top"], ["info"], ["list", "dict"]):
            outcome = cli.call(core, command)
            if outcome.status == 0:
                assert "cut" in outcome.out or "skipped" in outcome.out or "missing" in outcome.out or (
                    "unread" in outcome.out), outcome
            else:
                require_one_line(outcome, 1)


# ---- in the debuggers ----


def test_debugger_without_a_process(debugger):
    require_line_and_life(debugger, targets.Nothing(), "py-heap top")


def test_debugger_on_another_program(debugger, not_python):
    require_line_and_life(debugger, not_python, "py-heap top", "Python")


def test_debugger_on_an_unknown_version(debugger, unknown_python):
    require_line_and_life(debugger, unknown_python, "py-heap top", "3.99")


@pytest.mark.parametrize("line", ["show 0x10", "top --nope", "top --scope nowhere", "top --limit many",
                                  "top -o /nonexistent/file"])
def test_debugger_on_a_bad_line(debugger, newest_zoo, line):
    require_line_and_life(debugger, newest_zoo, "py-heap " + line)


def test_debugger_without_the_command(debugger, newest_zoo):
    section, after = debugger.session(newest_zoo, ["py-heap tpo", "p 40 + 2"])[0]
    assert section.strip() and "42" in after
