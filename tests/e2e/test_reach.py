"""Cores of every kind that the kernel and the debuggers write, processes of other namespaces, what cannot be reached."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
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


def filtered_core(python, bits, directory):
    """small.py's core under a coredump_filter."""
    if not kernel_writes_cores():
        pytest.skip("the kernel hands cores to a program here")
    process = targets.PythonProcess(python, "small.py", directory)
    with open("/proc/%d/coredump_filter" % process.pid, "w") as out:
        out.write("%#x" % bits)
    return process.core()


@pytest.mark.parametrize("bits", FILTERS, ids=hex)
def test_core_filters(cli, linked_python, bits, tmp_path_factory, tmp_path):
    core = filtered_core(linked_python, bits, tmp_path_factory.mktemp("filtered"))
    try:
        check_top(cli, core, tmp_path)
        document = json.loads(cli.run(core, [["info", "--json"]], tmp_path)[0])
        assert document["python"]["version"] == ".".join(map(str, linked_python.version))
    finally:
        core.close()


@pytest.mark.parametrize("bits", [0x01, 0x33], ids=hex)
def test_core_filters_in_debuggers(debugger, newest_python, bits, tmp_path_factory, tmp_path):
    core = filtered_core(newest_python, bits, tmp_path_factory.mktemp("filtered"))
    check_top(debugger, core, tmp_path)
    core.close()


def test_core_that_gdb_saved(cli, linked_python, tmp_path_factory, tmp_path):
    """gcore, of a process that goes on."""
    process = small(linked_python, tmp_path_factory)
    path = os.path.join(process.directory, "saved")
    subprocess.run([shutil.which("gdb"), "-nx", "-batch", "-p", str(process.pid), "-ex", "generate-core-file " + path],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, check=True)
    check_top(cli, targets.Core(path, process), tmp_path)
    process.close()


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


class Moved:
    """A core whose program and libpython are elsewhere now: below `root`, where all else is as it is here.

    missing: their old paths, the program's first.
    """

    def __init__(self, python, bits, tmp_path):
        home = tmp_path / "home"
        home.mkdir()
        copy = targets.stripped_copy(python, home)
        (tmp_path / "run").mkdir()
        self.core = filtered_core(copy, bits, tmp_path / "run")
        self.root = str(tmp_path / "root")
        self.missing = [copy.path] + sorted(str(path) for path in home.iterdir() if str(path) != copy.path)
        shutil.copytree(str(home), self.root + str(home))
        shutil.rmtree(str(home))
        for name in set(os.listdir("/")) - set(os.listdir(self.root)):
            os.symlink("/" + name, os.path.join(self.root, name))

    def found(self, path):
        return self.root + path

    def call(self, cli, *options):
        return cli.call(self.core, [*options, "top", "--scope", "tracked", "--json", "--limit", "1"])

    def require_truth(self, outcome):
        assert outcome.status == 0, outcome
        document = json.loads(outcome.out)
        assert document["total"]["count"] == self.core.truth.tracked_count
        return document

    def require_missing(self, outcome, path, reason):
        """The line ends with what to give; a long path may be cut."""
        require_one_line(outcome, 1, "missing (" + path[:110], "--sysroot", "--exe")
        assert len(path) > 100 or path + ": " + reason in outcome.err, outcome


@pytest.fixture
def short_path():
    with tempfile.TemporaryDirectory(prefix="ph") as directory:
        yield pathlib.Path(directory)


@pytest.mark.parametrize("bits", [0x01, 0x33], ids=hex)
def test_core_without_its_files(cli, linked_python, bits, short_path):
    """Of its code and constants nothing is in the core."""
    moved = Moved(linked_python, bits, short_path)
    program, libraries = moved.missing[0], moved.missing[1:]
    moved.require_missing(moved.call(cli), program, "not found")
    moved.require_missing(moved.call(cli, "--exe", "/nonexistent"), program, "not found")
    with_program = moved.call(cli, "--exe", moved.found(program))
    if libraries:
        moved.require_missing(with_program, libraries[0], "not found")
    else:
        assert "skipped" not in moved.require_truth(with_program)
    assert "skipped" not in moved.require_truth(moved.call(cli, "--sysroot", moved.root))


@pytest.mark.parametrize("bits", [0x01, 0x33], ids=hex)
def test_core_with_files_of_another(cli, linked_python, bits, short_path):
    """Such as those of an upgrade. Under 0x01 the core holds no byte to compare them with."""
    moved = Moved(linked_python, bits, short_path)
    another = shutil.which("gdb")
    moved.require_missing(moved.call(cli, "--exe", another), moved.missing[0],
                          another + " is not the file that was mapped")
    vital = moved.missing[-1]
    shutil.copy(another, moved.found(vital))
    outcome = moved.call(cli, "--sysroot", moved.root)
    require_one_line(outcome, 1, "--sysroot", "missing (" + vital, moved.found(vital) + " is not the file")


def test_core_that_needs_no_files(cli, linked_python, short_path):
    """With 0x4, file-backed private memory: all that py-heap wants is in the core."""
    moved = Moved(linked_python, 0x37, short_path)
    document = moved.require_truth(moved.call(cli))
    assert document["skipped"] == [{"what": "files of the process that are missing or changed", "count": len(moved.missing)}]


# ---- other namespaces, and no permission ----


class Unshared(targets.PythonProcess):
    prefix = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]

    def wait_until_parked(self):
        """The process is the one below unshare; here it goes by the id that it has outside."""
        children = "/proc/%d/task/%d/children" % (self.popen.pid, self.popen.pid)
        with open(children) as f:
            self.pid = int(f.read().split()[0])
        super().wait_until_parked()


@pytest.fixture(scope="module")
def unshared(some_python, tmp_path_factory):
    """Five Python threads in a namespace of their own, where ids begin with 1."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "--fork", "--pid", "true"], check=False).returncode:
        pytest.skip("no namespaces here")
    process = Unshared(some_python, "crowd.py", tmp_path_factory.mktemp("unshared"), 4)
    yield process
    process.close()


def own_id(process, thread):
    """What a thread takes for its id."""
    return int(process.status(thread)["NSpid"].split()[-1])


def check_unshared(host, process, directory):
    """Objects, and the ids that ps and debuggers show out here."""
    check_top(host, process, directory)
    document = json.loads(host.run(process, [["info", "--json"]], directory)[0])
    threads = [thread for row in document["interpreters"] for thread in row["threads"]]
    assert document["target"]["pid"] == process.pid and own_id(process, process.pid) == 1
    assert threads[-1]["native_id"] == process.pid
    assert len(threads) == 5 and {thread["native_id"] for thread in threads} < set(process.threads())
    for thread in threads:
        with open("/proc/%d/task/%d/comm" % (process.pid, thread["native_id"])) as f:
            assert thread["name"] == f.read().strip()


def test_another_pid_namespace(cli, unshared, tmp_path):
    check_unshared(cli, unshared, tmp_path)


def test_debuggers_and_another_pid_namespace(debugger, newest_python, tmp_path_factory, tmp_path):
    if debugger.root:
        pytest.skip("a debugger in a root of its own")
    process = Unshared(newest_python, "crowd.py", tmp_path_factory.mktemp("unshared"), 4)
    check_unshared(debugger, process, tmp_path)
    process.close()


NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
NO_CAPABILITIES = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
as_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")


class Lesser(hosts.CommandLine):
    """The command line, started by a program that takes rights away."""

    def __init__(self, start, directory):
        self.path = str(shutil.copy(hosts.CommandLine.path, str(directory)))
        self.start = start

    def call(self, target, command, timeout=hosts.TIMEOUT_SECONDS):
        return hosts.run_process([*self.start, self.path, *target.arguments(), *command], timeout)


@pytest.fixture
def everybodys():
    """A folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


@as_root
def test_another_users_process(newest_python, everybodys, tmp_path_factory):
    process = small(newest_python, tmp_path_factory)
    require_one_line(Lesser(NOBODY, everybodys).call(process, ["top"]), 1, str(process.pid), "another user (uid 0)",
                     "run as root")
    process.close()


@as_root
def test_without_the_capability(newest_python, everybodys, tmp_path_factory):
    """root of a container: the user is the same, the kernel refuses."""
    process = small(newest_python, tmp_path_factory)
    require_one_line(Lesser(NO_CAPABILITIES, everybodys).call(process, ["top"]), 1, str(process.pid), "CAP_SYS_PTRACE")
    process.close()


class Nobodys(targets.PythonProcess):
    prefix = NOBODY


@as_root
def test_ones_own_process(everybodys):
    """A user without any rights reads what is the user's own."""
    programs = os.path.join(targets.PROGRAMS, "small.py")
    usable = [p for p in targets.found_pythons() if p.supported() and not p.root and not p.environment and not subprocess.run(
        [*NOBODY, p.path, "-c", "open(%r)" % programs], stderr=subprocess.DEVNULL, check=False).returncode]
    if not usable or ptrace_scope():
        pytest.skip("no interpreter, or no process, is for everybody here")
    run = everybodys / "run"
    run.mkdir()
    run.chmod(0o777)
    process = Nobodys(usable[-1], "small.py", run)
    check_top(Lesser(NOBODY, everybodys), process, run)
    process.close()


def ptrace_scope():
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as f:
            return int(f.read())
    except FileNotFoundError:
        return 0


def test_no_such_process(cli):
    require_one_line(cli.call(targets.Nothing(), ["--pid", "4000000", "top"]), 1, "no process 4000000")


def test_ended_process(cli):
    zombie = os.fork()
    if zombie == 0:
        os._exit(0)
    try:
        while state_of(zombie) != "Z":
            time.sleep(0.01)
        require_one_line(cli.call(targets.Nothing(), ["--pid", str(zombie), "top"]), 1, "%d has ended" % zombie)
    finally:
        os.waitpid(zombie, 0)


def test_kernel_thread(cli):
    kernel = next((name for name in os.listdir("/proc") if name.isdigit() and is_of_kernel(name)), None)
    if not kernel:
        pytest.skip("none is seen from here")
    require_one_line(cli.call(targets.Nothing(), ["--pid", kernel, "top"]), 1, kernel, "part of the kernel")


def state_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rpartition(")")[2].split()[0]


def is_of_kernel(name):
    """PF_KTHREAD of include/linux/sched.h among the flags."""
    with open("/proc/%s/stat" % name) as f:
        return bool(int(f.read().rpartition(")")[2].split()[6]) & 0x00200000)


# ---- what changes under one's hands ----

MOMENTS = [0.002, 0.01, 0.02, 0.03, 0.05, 0.08]  # seconds; the zoo takes longer to read


def answer_meanwhile(cli, process, seconds, act):
    """py-heap's Outcome, `act` done so many seconds after its start; what it says must be true, or be one line."""
    command = [cli.path, "--pid", str(process.pid), "top", "--scope", "tracked", "--json", "--limit", "1"]
    reader = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(seconds)
    act()
    reader.stdout, reader.stderr = reader.communicate(timeout=60)
    outcome = hosts.Outcome(reader)
    if outcome.status == 0:
        assert json.loads(outcome.out)["total"]["count"] == process.truth.tracked_count, outcome
    else:
        require_one_line(outcome, 1, str(process.pid))
    return outcome.err


def test_it_dies_while_it_is_read(cli, newest_python, tmp_path_factory):
    said = []
    for seconds in MOMENTS:
        process = targets.PythonProcess(newest_python, "zoo.py", tmp_path_factory.mktemp("dies"), 1)
        process.truth  # before the folder is gone
        said.append(answer_meanwhile(cli, process, seconds, process.popen.kill))
        process.close()
    assert all(not line or "ended" in line for line in said), said
    assert any("ended while it was read" in line for line in said), said


def test_it_runs_on_while_it_is_read(cli, newest_python, tmp_path_factory):
    """Somebody had stopped it, so that py-heap did not, and lets it go."""
    process = targets.PythonProcess(newest_python, "zoo.py", tmp_path_factory.mktemp("runs"), 1)
    said = []
    for seconds in MOMENTS:
        os.kill(process.pid, signal.SIGSTOP)
        while state_of(process.pid) != "T":
            time.sleep(0.001)
        said.append(answer_meanwhile(cli, process, seconds, lambda: os.kill(process.pid, signal.SIGCONT)))
        process.wait_until_parked()
    assert all(not line or "ran on while it was read" in line for line in said), said
    assert any(said), said
    process.close()
