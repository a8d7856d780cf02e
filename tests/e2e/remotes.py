"""Processes that a debugger reaches through a server only: gdbserver, lldb-server, the stub in qemu.

Each session has a server of its own, which goes when the debugger does. The debugger is given no files, so that
what it and py-heap know comes over the wire.
"""
import os
import re
import shutil
import socket
import subprocess
import tempfile

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
