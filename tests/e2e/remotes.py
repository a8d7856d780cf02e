"""Processes that a debugger reaches through a server only: gdbserver, lldb-server, the stub in qemu.

Each session has a server of its own, which goes when the debugger does. The debugger is given no files, so that
what it and py-heap know comes over the wire.
"""
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile

import hosts
import targets

GDBSERVER = shutil.which("gdbserver")
LLDB_SERVER = next(filter(None, (shutil.which(name) for name in ("lldb-server-19", "lldb-server"))), None)


class Served:
    """A process as a debugger sees it through a server."""

    def __init__(self, process):
        self.process, self.python, self.truth = process, process.python, process.truth
        self.servers = []

    def gdb_arguments(self, host_root=""):
        server = subprocess.Popen([GDBSERVER, "--once", "--attach", "127.0.0.1:0", str(self.process.pid)],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.servers.append(server)
        for line in server.stderr:
            port = re.search(rb"Listening on port (\d+)", line)
            if port:
                return ["-iex", "set sysroot /nonexistent", "-ex", "target remote 127.0.0.1:" + port.group(1).decode()]
        raise AssertionError("gdbserver does not listen")

    def lldb_lines(self, host_root=""):
        return ["process connect connect://127.0.0.1:%d" % self.start_lldb_server()]

    def start_lldb_server(self):
        """Inside the process's own namespaces, where its id is another than here."""
        with tempfile.TemporaryDirectory() as directory:
            pipe = os.path.join(directory, "port")
            os.mkfifo(pipe)
            self.servers.append(subprocess.Popen(
                ["nsenter", "--target", str(self.process.pid), "--pid", "--mount", "--wd=/", LLDB_SERVER, "gdbserver",
                 "--named-pipe", pipe, "127.0.0.1:0", "--attach", "1"], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            with open(pipe) as port:
                return int(port.read().rstrip("\0\n"))

    def lldb_end(self):
        return ["process detach"]

    def close(self):
        for server in self.servers:
            if server.poll() is None:
                server.kill()
            server.wait()
            if server.stderr:
                server.stderr.close()


class SecludedProcess(targets.PythonProcess):
    """A parked program that is process 1 of a namespace, so that its id there says nothing here."""

    prefix = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]

    def wait_until_parked(self):
        with open("/proc/%d/task/%d/children" % (self.popen.pid, self.popen.pid)) as children:
            self.pid = int(children.read().split()[0])
        super().wait_until_parked()


def can_seclude():
    return subprocess.run([*SecludedProcess.prefix, "true"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Emulated:
    """A program of tests/targets on an interpreter in qemu, whose GDB stub knows of no regions, in one session of GDB.

    qemu cannot be stopped in a system call, so GDB waits at libc's read() for the read that parks the program.
    """

    START_SECONDS = 300

    def __init__(self, gdb, emulator, argv, sysroot, register, directory):
        self.directory = str(directory)
        self.truth_path, self.script, self.go = (os.path.join(self.directory, name)
                                                 for name in ("truth.json", "commands.gdb", "go"))
        self.port = free_port()
        program = [*argv, "-W", "ignore", os.path.join(targets.PROGRAMS, "zoo.py"), self.truth_path, "40"]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
                       "PYTHONHASHSEED": "0"}
        self.emulator = subprocess.Popen([*emulator, "-g", str(self.port), *program], env=environment,
                                         cwd=self.directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL)
        self.gdb = gdb
        lines = ["set sysroot " + sysroot, "file " + argv[-1], "target remote 127.0.0.1:%d" % self.port,
                 "set breakpoint pending on", "break read if $%s == 0" % register, "continue",
                 "source " + hosts.Gdb.script, "shell while ! test -e %s; do sleep 0.1; done" % self.go,
                 "source " + self.script, "kill"]
        words = [word for line in lines for word in ("-ex", line)]
        self.session = subprocess.Popen(
            [*gdb, "-nx", "-batch", "-iex", "set confirm off", "-iex", "set debuginfod enabled off",
             "-iex", "set auto-load off", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=hosts.DEBUGGER_ENVIRONMENT)

    def truth(self):
        line = self.emulator.stdout.readline()
        assert line == b"ready\n", line
        with open(self.truth_path) as f:
            return targets.Truth(json.load(f))

    def answers(self, commands):
        """The document that each command, with --json, gives; to be called once."""
        paths = [os.path.join(self.directory, "%d.json" % i) for i in range(len(commands))]
        with open(self.script, "w") as script:
            for command, path in zip(commands, paths):
                script.write("py-heap %s --json -o %s\n" % (" ".join(map(shlex.quote, command)), path))
        with open(self.go, "w"):
            pass
        said = self.session.communicate(timeout=self.START_SECONDS)[0].decode("utf-8", "replace")
        documents = {}
        for command, path in zip(commands, paths):
            assert os.path.exists(path), "no answer to %s: %s" % (command, said[-2000:])
            with open(path) as f:
                documents[tuple(command)] = json.load(f)
        return documents

    def close(self):
        for process in (self.session, self.emulator):
            if process.poll() is None:
                process.kill()
            process.communicate()
