"""The ways to run py-heap: the command line, GDB with and without Python, LLDB.

    answers = host.run(target, [["top", "--json"], ["show", "0x7f..."]])

runs the commands in one go (in a debugger: one session, one stop) and gives what each wrote, as bytes. It goes
through `-o FILE`, so that a debugger's own chatter is no part of it. session() gives the chatter too.
"""
import os
import re
import shlex
import subprocess
import tempfile

import supply

BUILD_DIR = os.path.abspath(os.environ.get("PH_BUILD_DIR", "build"))
TIMEOUT_SECONDS = 120
DEBUGGER_ENVIRONMENT = {**os.environ, "DEBUGINFOD_URLS": "", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "TERM": "dumb"}


class Failed(AssertionError):
    """A command that should have answered did not."""


class Outcome:
    """What a process printed, as text, and its exit status."""

    def __init__(self, process):
        self.status = process.returncode
        self.out = process.stdout.decode("utf-8", "replace")
        self.err = (process.stderr or b"").decode("utf-8", "replace")

    def __str__(self):
        return "status %s\n%s\n%s" % (self.status, self.out[-3000:], self.err[-3000:])


def run_process(argv, timeout=TIMEOUT_SECONDS, stderr=subprocess.PIPE):
    return Outcome(subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
                                  env=DEBUGGER_ENVIRONMENT, timeout=timeout, check=False))


class Host:
    """name: for test ids; root: where its files lie ("", or the folder of a suite); available(): whether it is here.

    common: whether it is what users of this machine have, and so looks at every interpreter in every run.
    """

    root = ""
    common = True

    def sees(self, python):
        """Whether what that interpreter runs lies in the host's reach: from within a suite only the suite is."""
        return self.root in ("", python.root)

    def run(self, target, commands, directory):
        """The bytes that each command writes; Failed, with what was said instead, if one writes none."""
        answers, said = self.try_all(target, commands, directory)
        for command, answer, words in zip(commands, answers, said):
            if answer is None:
                raise Failed("%s: no answer to %s: %s" % (self.name, " ".join(command), words.strip()[-2000:]))
        return answers

    def try_all(self, target, commands, directory):
        """For each command the bytes that it writes, or None, and what the host said."""
        paths = [os.path.join(str(directory), "%s-%d.out" % (self.name, i)) for i in range(len(commands))]
        said = self.say_all(target, [command + ["-o", path] for command, path in zip(commands, paths)])
        answers = []
        for path in paths:
            if os.path.exists(path):
                with open(path, "rb") as f:
                    answers.append(f.read())
                os.unlink(path)
            else:
                answers.append(None)
        return answers, said


class CommandLine(Host):
    name = "cli"
    path = os.path.join(BUILD_DIR, "cli", "py-heap")

    def available(self):
        return os.path.exists(self.path)

    def call(self, target, command, timeout=TIMEOUT_SECONDS):
        """One command with its real stdout, stderr and status."""
        return run_process([self.path] + target.arguments() + command, timeout)

    def say_all(self, target, commands):
        if len(commands) == 1:
            return [str(self.call(target, commands[0]))]
        with tempfile.NamedTemporaryFile("w", suffix=".commands") as script:
            script.write("".join(shlex.join(command) + "\n" for command in commands))
            script.flush()
            outcome = run_process([self.path] + target.arguments() + ["-x", script.name], TIMEOUT_SECONDS)
            said = ["status %s" % outcome.status] * len(commands)
            for line in outcome.err.splitlines():
                number, _, words = line.partition("py-heap: %s:" % script.name)[2].partition(": ")
                if number:
                    said[int(number) - 1] = "py-heap: " + words
        return said


class Gdb(Host):
    script = os.path.join(BUILD_DIR, "gdb-plugin", "py-heap.gdb")

    def __init__(self, name, path, data_directory=None, suite=None):
        self.name, self.path, self.data_directory = name, path, data_directory
        self.root, self.start = in_suite(suite, path)

    def available(self):
        return bool(self.path) and os.path.exists(self.root + self.path)

    def argv(self, target):
        argv = [*self.start, "-nx", "-batch"]
        if self.data_directory:
            argv += ["-data-directory", self.data_directory]
        for setting in ("confirm off", "width 0", "height 0", "auto-load off", "debuginfod enabled off"):
            argv += ["-iex", "set " + setting]
        return argv + target.gdb_arguments(self.root)

    def session(self, target, lines, timeout=TIMEOUT_SECONDS):
        """GDB's output (errors too) for each line, and the Outcome. A line that fails does not stop the next."""
        argv = self.argv(target) + ["-ex", "source " + self.script]
        for i, line in enumerate(lines):
            argv += ["-ex", r"echo \n@@%d@@\n" % i, "-ex", line]
        outcome = run_process(argv + ["-ex", r"echo \n@@end@@\n"], timeout, subprocess.STDOUT)
        return re.split(r"\n@@(?:\d+|end)@@\n", outcome.out)[1:-1], outcome

    def say_all(self, target, commands):
        return self.session(target, ["py-heap " + " ".join(map(shlex.quote, command)) for command in commands])[0]


class Lldb(Host):
    plugin = os.path.join(BUILD_DIR, "lldb-plugin", "libpymem.so")

    def __init__(self, name, path, suite=None, start=None):
        self.name, self.path = name, path
        self.root, self.start = in_suite(suite, path)
        self.start = start or self.start

    def available(self):
        return bool(self.path) and os.path.exists(self.root + self.path)

    def session(self, target, lines, timeout=TIMEOUT_SECONDS):
        """LLDB's output (errors too) for each line, and the Outcome. A line that fails does not stop the next."""
        before = target.lldb_lines(self.root)
        lines = ["plugin load " + self.plugin, *before, *lines, *target.lldb_end()]
        with tempfile.NamedTemporaryFile("w", suffix=".lldb") as script:
            script.write("\n".join(lines) + "\n")
            script.flush()
            outcome = run_process([*self.start, "--no-lldbinit", "-b",
                                   "-o", "settings set symbols.enable-external-lookup false",
                                   "-o", "command source -e false " + script.name], timeout, subprocess.STDOUT)
        after = outcome.out
        sections = []
        for line in lines:
            after = after.partition("(lldb) %s\n" % line)[2]
            sections.append(after.partition("(lldb) ")[0])
        return sections[1 + len(before):len(lines) - len(target.lldb_end())], outcome

    def say_all(self, target, commands):
        return self.session(target, ["pymem " + " ".join(map(shlex.quote, command)) for command in commands])[0]


def in_suite(suite, path):
    """(root, argv) of a program that lies in a suite, or (None) on this machine."""
    return (supply.suite_folder(suite), supply.inside(suite, [path])) if suite else ("", [path])


def first_existing(*candidates):
    return next((path for path in candidates if path and os.path.exists(path)), None)


def unpacked_lldb(version):
    name = "lldb-%d" % version
    path = os.path.join(supply.unpacked_folder(name), "usr/lib/llvm-%d/bin/lldb" % version)
    library_path = supply.library_path(name)
    modules = ":".join(folder + "/python3.11/dist-packages" for folder in library_path.split(":"))
    return Lldb(name, path, start=["env", "LD_LIBRARY_PATH=" + library_path, "PYTHONPATH=" + modules, path])


def find_hosts():
    """All hosts that py-heap is built for, whether the machine has them or not."""
    unpacked = os.path.join(supply.unpacked_folder("gdb-minimal"), "usr")
    minimal = os.environ.get("PH_GDB_MINIMAL") or os.path.join(unpacked, "bin", "gdb")
    others = [
        unpacked_lldb(14),
        unpacked_lldb(16),
        Gdb("gdb-trixie", "/usr/bin/gdb", suite="trixie"),
        Gdb("gdb-sid", "/usr/bin/gdb", suite="sid"),
        Lldb("lldb-sid", "/usr/bin/lldb-22", suite="sid"),
    ]
    for host in others:
        host.common = False
    return [
        CommandLine(),
        Gdb("gdb", first_existing(os.environ.get("PH_GDB"), "/usr/bin/gdb")),
        Gdb("gdb-minimal", minimal, first_existing(os.path.join(os.path.dirname(minimal), "..", "share", "gdb"))),
        Lldb("lldb", first_existing(os.environ.get("PH_LLDB"), "/usr/bin/lldb-19", "/usr/bin/lldb")),
        *others,
    ]
