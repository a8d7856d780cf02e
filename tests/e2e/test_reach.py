"""Cores of every kind that the kernel and the debuggers write, processes of other namespaces, what cannot be reached."""
import json
import os
import shutil
import signal
import subprocess
import time

import hosts
import pytest
import targets
from test_errors import require_one_line
from test_tracked import check_top

# What a core may hold (core(5)), each with anonymous private memory: alone, with shared memory, with file-backed private
# memory, without and with ELF headers, with huge pages, with all there is.
FILTERS = [0x01, 0x03, 0x05, 0x11, 0x21, 0x23, 0x31, 0x33, 0x7f, 0x1ff]


def small(python, tmp_path_factory):
    return targets.PythonProcess(python, "small.py", tmp_path_factory.mktemp("small"))


class Saved(targets.Core):
    def lldb_lines(self, host_root=""):
        return ["target create --core " + self.path]


def kernel_writes_cores():
    with open("/proc/sys/kernel/core_pattern") as f:
        return not f.read().startswith(("|", "/"))


# ---- cores ----


@pytest.mark.parametrize("bits", FILTERS, ids=hex)
def test_core_filters(cli, some_python, bits, tmp_path_factory, tmp_path):
    if not kernel_writes_cores():
        pytest.skip("the kernel hands cores to a program here")
    process = small(some_python, tmp_path_factory)
    with open("/proc/%d/coredump_filter" % process.pid, "w") as out:
        out.write("%#x" % bits)
    core = process.core()
    try:
        check_top(cli, core, tmp_path)
        document = json.loads(cli.run(core, [["info", "--json"]], tmp_path)[0])
        assert document["python"]["version"] == ".".join(map(str, some_python.version))
    finally:
        core.close()


def test_core_that_lldb_saved(cli, some_python, tmp_path_factory, tmp_path):
    lldb = shutil.which("lldb-19") or shutil.which("lldb")
    if not lldb:
        pytest.skip("no LLDB here")
    process = small(some_python, tmp_path_factory)
    path = os.path.join(process.directory, "saved")
    subprocess.run([lldb, "--no-lldbinit", "-b", "-p", str(process.pid), "-o", "process save-core --style full " + path],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, check=False)
    core = targets.Core(path, process)
    try:
        if not os.path.exists(path):
            pytest.skip("this LLDB saves no cores")
        with open(path, "rb") as f:
            kind = f.read(4)
        if kind == b"MDMP":
            require_one_line(cli.call(core, ["top"]), 1, path, "minidump")
            # LLDB opens it, and says which pages it did not save.
            command = ["top", "--scope", "tracked", "--json", "--limit", "1"]
            answer = hosts.Lldb("lldb", lldb).run(Saved(path, process), [command], tmp_path)[0]
            assert json.loads(answer)["total"]["count"] == process.truth.tracked_count
        else:
            check_top(cli, core, tmp_path)
    finally:
        process.close()


def test_core_without_its_files(cli, some_python, tmp_path_factory, tmp_path):
    """The executable and its libraries are elsewhere now: the line says what is missing, and --sysroot has it."""
    moved = tmp_path / "moved"
    moved.mkdir()
    copy = targets.stripped_copy(some_python, moved)
    process = targets.PythonProcess(copy, "small.py", tmp_path_factory.mktemp("moved"))
    with open("/proc/%d/coredump_filter" % process.pid, "w") as out:
        out.write("0x21")  # no ELF headers of files: nothing of them is left in the core
    core = process.core()
    root = tmp_path / "root"
    shutil.copytree(str(moved), str(root) + str(moved))
    shutil.rmtree(str(moved))
    try:
        outcome = cli.call(core, ["top", "--scope", "tracked", "--json", "--limit", "0"])
        if outcome.status == 0:  # the interpreter's own data was enough
            document = json.loads(outcome.out)
            assert document["total"]["count"] == core.truth.tracked_count
            assert any("files" in row["what"] for row in document["skipped"])
        else:
            require_one_line(outcome, 1, "--sysroot")
        helped = cli.call(core, ["--sysroot", str(root), "top", "--scope", "tracked", "--json", "--limit", "0"])
        assert helped.status == 0, helped
        assert json.loads(helped.out)["total"]["count"] == core.truth.tracked_count
    finally:
        core.close()


# ---- other namespaces, and no permission ----


class Unshared(targets.PythonProcess):
    prefix = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]

    def wait_until_parked(self):
        """The process is the one below unshare; here it goes by the id that it has outside."""
        children = "/proc/%d/task/%d/children" % (self.popen.pid, self.popen.pid)
        with open(children) as f:
            self.pid = int(f.read().split()[0])
        super().wait_until_parked()


def test_another_pid_namespace(cli, some_python, tmp_path_factory, tmp_path):
    if not shutil.which("unshare") or subprocess.run(["unshare", "--fork", "--pid", "true"], check=False).returncode:
        pytest.skip("no namespaces here")
    process = Unshared(some_python, "small.py", tmp_path_factory.mktemp("unshared"))
    try:
        check_top(cli, process, tmp_path)
        document = json.loads(cli.run(process, [["info", "--json"]], tmp_path)[0])
        threads = [thread for row in document["interpreters"] for thread in row["threads"]]
        assert document["target"]["pid"] == process.pid
        # From 3.11 on the thread's own number is in its state: that of its own namespace.
        assert threads[0]["native_id"] in (process.pid, 1)
    finally:
        process.close()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_no_permission(cli, some_python, tmp_path_factory):
    process = small(some_python, tmp_path_factory)
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    try:
        result = subprocess.run(nobody + [cli.path, "--pid", str(process.pid), "top"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        words = result.stderr.decode()
        if "Permission denied" in words and cli.path in words:
            pytest.skip("the build folder is not for everybody")
        assert result.returncode == 1 and result.stdout == b""
        assert words.startswith("py-heap: ") and words.count("\n") == 1 and str(process.pid) in words
    finally:
        process.close()


def test_processes_that_are_none(cli):
    require_one_line(cli.call(targets.Nothing(), ["--pid", "4000000", "top"]), 1, "4000000")
    kernel = next((int(name) for name in os.listdir("/proc") if name.isdigit() and kernel_thread(name)), None)
    if kernel:
        require_one_line(cli.call(targets.Nothing(), ["--pid", str(kernel), "top"]), 1, str(kernel))
    zombie = os.fork()
    if zombie == 0:
        os._exit(0)
    try:
        while state_of(zombie) != "Z":
            time.sleep(0.01)
        require_one_line(cli.call(targets.Nothing(), ["--pid", str(zombie), "top"]), 1, str(zombie))
    finally:
        os.waitpid(zombie, 0)


def state_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rpartition(")")[2].split()[0]


def kernel_thread(name):
    try:
        return os.readlink("/proc/%s/exe" % name) == ""
    except FileNotFoundError:
        return True
    except OSError:
        return False


def test_it_dies_while_it_is_read(cli, some_python, tmp_path_factory):
    """Killed at some instant of it: an answer, or one line."""
    for milliseconds in (1, 5, 20, 60):
        process = targets.PythonProcess(some_python, "small.py", tmp_path_factory.mktemp("dies"))
        reader = subprocess.Popen([cli.path, "--pid", str(process.pid), "top"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(milliseconds / 1000)
        os.kill(process.pid, signal.SIGKILL)
        out, err = reader.communicate(timeout=60)
        assert reader.returncode in (0, 1), (reader.returncode, err)
        assert reader.returncode == 0 or (err.startswith(b"py-heap: ") and err.count(b"\n") == 1 and not out), err
        process.close()
