"""Programs to look at: Python interpreters of this machine, running processes, core files."""
import functools
import glob
import json
import os
import resource
import shutil
import signal
import subprocess
import time

import supply

PROGRAMS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "targets")
START_SECONDS = 120
SUPPORTED = [(2, 7)] + [(3, minor) for minor in range(6, 16)]
REPRESENTATIONS = {(3, 8), (3, 11), (3, 12), (3, 13)}
SUPPORTED_FLAVOURS = {"debug", "free-threaded", "malloc", "mimalloc", "trace-refs"}

# Interpreters with another allocator: its name as PYTHONMALLOC has it, and on which versions it is tried: on the first
# plain interpreter of each, None being the newest.
VARIANTS = [("malloc", [(3, 8), (3, 11), (3, 13)]), ("pymalloc_debug", [(3, 8), None]), ("malloc_debug", [(3, 11), (3, 13)]),
            ("mimalloc", [(3, 13), (3, 14), (3, 15)])]

PROBE = """
import json, platform, sys, sysconfig
print(json.dumps([platform.python_implementation(), list(sys.version_info[:3]), sys.prefix, [flavour for flavour, yes in [
    ("free-threaded", sysconfig.get_config_var("Py_GIL_DISABLED")), ("debug", hasattr(sys, "gettotalrefcount")),
    ("trace-refs", hasattr(sys, "getobjects")), ("malloc", sysconfig.get_config_var("WITH_PYMALLOC") == 0)] if yes]]))
"""


class Python:
    """An interpreter.

    name for test ids; argv starts it, before options; root is where its files lie ("", or the folder of a suite), path its file
    as itself sees it; version, prefix; flavours, of those in SUPPORTED_FLAVOURS; environment that it needs.
    """

    def __init__(self, path, suite=None, label=None):
        self.root = supply.root_folder(suite) if suite else ""
        self.path = path if suite else os.path.realpath(path)
        self.argv = supply.inside(suite, [path]) if suite else [self.path]
        implementation, version, self.prefix, self.flavours = json.loads(
            subprocess.run([*self.argv, "-E", "-s", "-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           check=True, timeout=30).stdout.decode())
        self.version = tuple(version)
        self.cpython = implementation == "CPython"
        self.environment = {}
        self.options = ["-W", "ignore"]
        words = [".".join(map(str, version)), suite, label or ("system" if self.path.startswith("/usr/bin/") and not suite
                                                               else None)]
        if not label:
            words += self.flavours
        self.name = "-".join(filter(None, words))

    def supported(self):
        return self.cpython and self.version[:2] in SUPPORTED and SUPPORTED_FLAVOURS.issuperset(self.flavours)

    def patched(self):
        """Why gc says otherwise than in the release that this claims to be; "" where it does not."""
        if self.name.startswith("3.13.5-trixie"):
            return "Debian 13 gave its 3.13.5 the traverse function of 3.13.13: a dict shows the values in its instance"
        return ""

    def libpython(self):
        """The shared library that the interpreter lives in, or None where it is all in the executable."""
        if self.root:
            return None
        listing = subprocess.run(["ldd", self.path], stdout=subprocess.PIPE, check=False).stdout.decode()
        for line in listing.splitlines():
            if "libpython" in line and "=>" in line:
                return line.split("=>")[1].split()[0]
        return None

    @functools.lru_cache(maxsize=None)
    def imports(self, *modules):
        """Whether it has these modules. Debian's packages are for Debian's interpreters."""
        if not self.path.startswith("/usr/bin/"):
            return False
        code = "import " + ", ".join(modules)  # what is found may be built for another version
        return subprocess.run([*self.argv, "-E", "-s", "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False, timeout=START_SECONDS).returncode == 0

    def variant(self, name, environment):
        """The same interpreter with more in its environment."""
        copy = Python.__new__(Python)
        copy.__dict__.update(self.__dict__)
        copy.name = "%s-%s" % (self.name, name)
        copy.environment = {**self.environment, **environment}
        return copy

    def with_allocator(self, name):
        copy = self.variant(name, {"PYTHONMALLOC": name})
        copy.flavours = self.flavours + [flavour for flavour in ("malloc", "mimalloc") if name.startswith(flavour)]
        return copy

    def allocator(self):
        """What its objects' memory comes from, in the words of PYTHONMALLOC."""
        name = "malloc" if "malloc" in self.flavours else "mimalloc" if "free-threaded" in self.flavours else "pymalloc"
        return self.environment.get("PYTHONMALLOC") or name + ("_debug" if "debug" in self.flavours else "")


def representatives(pythons):
    """Of this machine's plain interpreters, the newest, and one of each version that brought other representations."""
    plain = [p for p in pythons if not p.root and not p.flavours and p.libpython()]
    kinds = {p.version[:2]: p for p in plain}
    return [p for version, p in sorted(kinds.items()) if version in REPRESENTATIONS or version == max(kinds)]


def of_each_minor(pythons):
    """A plain interpreter of each minor version: this machine's own, or else a suite's."""
    plain = [p for p in pythons if not p.flavours and not p.environment]
    found = {}
    for python in sorted(plain, key=lambda p: (bool(p.root), not p.libpython())):
        found.setdefault(python.version[:2], python)
    return [found[version] for version in sorted(found)]


def of_each_linking(pythons):
    """Those, and this machine's plain interpreters that are all in the executable."""
    static = [p for p in pythons if not p.root and not p.flavours and not p.environment and not p.libpython()
              and not any(name in p.name for name in supply.FOREIGN)]
    return representatives(pythons) + static


def stripped_copy(python, directory):
    """The same interpreter without symbols and debug info, in `directory`."""
    copy = python.variant("stripped", {"PYTHONHOME": python.prefix, "LD_LIBRARY_PATH": str(directory)})
    copy.path = os.path.join(str(directory), os.path.basename(python.path))
    copy.argv = [copy.path]
    for source in filter(None, (python.path, python.libpython())):
        destination = os.path.join(str(directory), os.path.basename(source))
        shutil.copy(os.path.realpath(source), destination)
        subprocess.run(["strip", "--strip-all", destination], check=True)
    return copy


def candidates():
    """(path, suite, label) of whatever may be an interpreter; PH_PYTHONS (paths with colons between) names others."""
    if os.environ.get("PH_PYTHONS"):
        return [(path, None, None) for path in os.environ["PH_PYTHONS"].split(":")]
    paths = glob.glob("/usr/bin/python[23]*") + glob.glob("/usr/local/bin/python[23]*")
    for root in (os.environ.get("PYENV_ROOT"), os.path.expanduser("~/.pyenv")):
        paths += glob.glob("%s/versions/*/bin/python[23]" % root) if root else []
    found = [(path, None, None) for path in paths]
    found += [(path, None, name.split("-", 1)[1]) for name, path in supply.found_builds().items()]
    for suite in supply.found_roots():
        root = supply.root_folder(suite)
        found += [(path[len(root):], suite, None) for path in glob.glob(root + "/usr/bin/python3.*[0-9d]")]
    return found


@functools.lru_cache(maxsize=None)
def found_pythons():
    """Every CPython here, supported or not, oldest first."""
    pythons = {}
    for path, suite, label in candidates():
        try:
            python = Python(path, suite, label)
        except (OSError, ValueError, subprocess.SubprocessError):
            continue  # a script beside it (python3-config), or an interpreter that does not start
        pythons.setdefault((python.root, python.path), python)
    found = sorted(pythons.values(), key=lambda p: (p.version, p.name))
    return sorted(found + allocator_variants(found), key=lambda p: (p.version, p.name))


def allocator_variants(pythons):
    """Of the machine's own kind."""
    plain = [p for p in pythons if p.supported() and not p.flavours and not any(name in p.name for name in supply.FOREIGN)]
    variants = []
    for name, versions in VARIANTS:
        for version in versions:
            fitting = plain[-1:] if version is None else [p for p in plain if p.version[:2] == version]
            variants += [p.with_allocator(name) for p in fitting[:1]]
    return variants


class Process:
    """A live process to look at."""

    def __init__(self, popen):
        self.popen = popen
        self.pid = popen.pid

    def arguments(self):
        return ["--pid", str(self.pid)]

    def gdb_arguments(self, host_root=""):
        return ["-p", str(self.pid)]

    def lldb_lines(self, host_root=""):
        return ["process attach -p %d" % self.pid]

    def lldb_end(self):
        return ["process detach"]

    def status(self, thread=None):
        """/proc/PID/status of a thread as a dict."""
        with open("/proc/%d/task/%d/status" % (self.pid, thread or self.pid)) as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f)

    def threads(self):
        return sorted(int(name) for name in os.listdir("/proc/%d/task" % self.pid))

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream:
                stream.close()


class Core:
    """A core file and the executable that left it; `process` is what it was while it lived."""

    def __init__(self, path, process):
        self.path, self.executable = str(path), process.python.path
        self.python, self.directory = process.python, process.directory
        self.truth = process.truth if os.path.exists(process.truth_path) else None  # not all programs tell one

    def arguments(self):
        return ["--core", self.path] + (["--sysroot", self.python.root] if self.python.root else [])

    def gdb_arguments(self, host_root=""):
        """What a GDB that lives in host_root is told."""
        root = self.python.root if host_root != self.python.root else ""
        sysroot = ["-iex", "set sysroot " + root] if root else []
        return [*sysroot, root + self.executable, self.path]

    def lldb_lines(self, host_root=""):
        root = self.python.root if host_root != self.python.root else ""
        platform = ["platform select --sysroot %s remote-linux" % root] if root else []
        return [*platform, "target create %s%s --core %s" % (root, self.executable, self.path)]

    def lldb_end(self):
        return []

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class Sleeper(Process):
    """Any program that stays; `executable` and its arguments."""

    def __init__(self, *argv):
        super().__init__(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + START_SECONDS
        while os.readlink("/proc/%d/exe" % self.pid) != os.path.realpath(argv[0]) or self.status()["State"][0] != "S":
            assert time.monotonic() < deadline
            time.sleep(0.01)


class Nothing:
    """No process and no core."""

    def arguments(self, host_root=""):
        return []

    gdb_arguments = lldb_lines = lldb_end = arguments


def program_for(python, program):
    """The file of tests/targets; 2.7 has some of its own, zoo27.py beside zoo.py."""
    own = program.replace(".py", "27.py")
    return own if python.version < (3,) and os.path.exists(os.path.join(PROGRAMS, own)) else program


def pass_small_process_ids():
    """3.15 has the ints up to 1024 and allocates none for such a process id, so that parent and child would differ.
    Nor shall a target's threads get numbers from both ends of the range."""
    with open("/proc/sys/kernel/pid_max") as f:
        most = int(f.read())
    for _ in range(4 * 1024):  # more than it takes, but where there are hardly any
        process = subprocess.Popen(["/bin/true"])
        process.wait()
        if 1024 < process.pid < most - 1024:
            break


class PythonProcess(Process):
    """One of tests/targets, parked; `truth` is what it found out about itself."""

    prefix = []  # what starts the interpreter

    def __init__(self, python, program, directory, *arguments):
        self.python = python
        self.directory = str(directory)
        self.truth_path = os.path.join(self.directory, "truth.json")
        pass_small_process_ids()
        self.start_seconds = time.monotonic()
        # Without rseq the kernel writes no CPU numbers into the threads' memory when they are stopped and go on.
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
                       "PYTHONHASHSEED": "0", "GLIBC_TUNABLES": "glibc.pthread.rseq=0", **python.environment}
        argv = [*self.prefix, *python.argv, *python.options, os.path.join(PROGRAMS, program_for(python, program)),
                self.truth_path]
        super().__init__(subprocess.Popen(
            argv + list(map(str, arguments)), cwd=self.directory, env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=allow_cores))
        line = self.popen.stdout.readline()
        if line != b"ready\n":
            self.popen.kill()
            raise AssertionError("%s on %s: %s" % (program, python.name, self.popen.communicate()[1].decode()[-2000:]))
        self.wait_until_parked()
        self.start_seconds = time.monotonic() - self.start_seconds

    def wait_until_parked(self):
        """Until the main thread is in its read of stdin, where it stays: system call 0, or 3 for i386."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            with open("/proc/%d/syscall" % self.pid) as f:
                if f.read().startswith(("0 0x0 ", "3 0x0 ")):
                    return
            assert time.monotonic() < deadline, "the target does not come to rest"
            time.sleep(0.01)

    @functools.cached_property
    def truth(self):
        with open(self.truth_path) as f:
            return Truth(json.load(f))

    def core(self, fatal=signal.SIGABRT):
        """End the process by a signal; the Core that it leaves, by the kernel if core_pattern lets it, else by gcore."""
        with open("/proc/sys/kernel/core_pattern") as f:
            in_working_directory = not f.read().startswith(("|", "/"))
        if in_working_directory and resource.getrlimit(resource.RLIMIT_CORE)[1] != 0:
            self.popen.send_signal(fatal)
            self.popen.wait()
            found = [p for p in glob.glob(os.path.join(self.directory, "*core*")) if os.path.isfile(p)]
            if found:
                return Core(found[0], self)
        assert self.popen.poll() is None, "the process is gone and left no core"
        path = os.path.join(self.directory, "core")
        subprocess.run(["gdb", "-nx", "-batch", "-p", str(self.pid), "-ex", "generate-core-file " + path],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=START_SECONDS)
        core = Core(path, self)
        super().close()
        return core

    def close(self):
        super().close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Answering(PythonProcess):
    """One whose child goes on to evaluate expressions (tests/targets/answers.py)."""

    @property
    def child(self):
        """Its process id."""
        return self.truth.data["child"]

    def evaluate(self, lines):
        """What each line gives: an address, or words. Once a process."""
        with open(self.truth_path + ".ask", "w") as ask:
            ask.write("\n".join(lines) + "\n")
        deadline = time.monotonic() + START_SECONDS
        while not os.path.exists(self.truth_path + ".answers"):
            assert time.monotonic() < deadline, "no answers"
            time.sleep(0.02)
        with open(self.truth_path + ".answers") as f:
            return [int(line) if line.isdigit() else line for line in f.read().splitlines()]

    def end_child(self):
        try:
            os.kill(self.child, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has answered

    def core(self, fatal=signal.SIGABRT):
        self.end_child()
        return super().core(fatal)

    def close(self):
        self.end_child()
        super().close()


def allow_cores():
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


class Truth:
    """What tests/targets/oracle.py wrote."""

    def __init__(self, data):
        self.data = data
        self.types = data["types"]
        self.tracked_count = data["tracked_count"]
        self.address = data["address"]
        self.type = [self.types[i] for i in data["type"]]
        self.size = data["size"]
        self.marks = data["marks"]

    def rows(self, tracked=False):
        """(address, type name, size) of every object that gc shows, or of those that it tracks."""
        end = self.tracked_count if tracked else len(self.address)
        return zip(self.address[:end], self.type[:end], self.size[:end])

    @functools.cached_property
    def tracked(self):
        return set(self.address[:self.tracked_count])

    @functools.cached_property
    def type_of(self):
        return dict(zip(self.address, self.type))

    def one_of(self, type_name):
        """The address of some object of that type, as text."""
        return hex(self.address[self.type.index(type_name)])
