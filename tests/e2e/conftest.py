"""Fixtures: the interpreters and hosts of this machine, and one parked process a program and interpreter.

Options: --python NAME (repeatable) and --host NAME limit a run to what has NAME in its name. With PH_RESULTS, a
folder, what became of each test of an interpreter and a host is written there, for tests/matrix to make a table of.
"""
import json
import os

import hosts
import pytest
import targets


def pytest_addoption(parser):
    parser.addoption("--python", action="append", default=[], help="only interpreters whose name has this")
    parser.addoption("--host", action="append", default=[], help="only hosts whose name has this")
    parser.addoption("--plain", action="store_true", help="only the machine's own interpreters, built and run as usual")
    parser.addoption("--all-pairs", action="store_true", help="every host with every interpreter that it sees; without "
                     "it, hosts beyond the machine's own look at the newest interpreter of each root only")


def selected(config, option, things):
    words = config.getoption(option)
    return [thing for thing in things if not words or any(word in thing.name for word in words)]


def pythons(config):
    found = [p for p in targets.found_pythons() if p.supported()]
    if config.getoption("--plain"):
        found = [p for p in found if not p.root and not p.flavours and not p.environment]
    return selected(config, "--python", found)


def available_hosts(config):
    return selected(config, "--host", [h for h in hosts.find_hosts() if h.available()])


def pytest_configure(config):
    config.addinivalue_line("markers", "minor(*versions): for interpreters of these minor versions of 3 only")
    config.addinivalue_line("markers", "each_minor: without --all-pairs, for one interpreter of each minor version")
    config.addinivalue_line("markers", "each_build: without --all-pairs, not for those that are of a build and differ in their allocator alone")
    config.addinivalue_line("markers", "each_linking: without --all-pairs, for targets.of_each_linking")
    config.addinivalue_line("markers", "last: ends the process that others of its interpreter look at, so it comes after them")


def pytest_report_header(config):
    missing = [h.name for h in hosts.find_hosts() if not h.available()]
    return ["interpreters: " + (", ".join("%s (%s)" % (p.name, p.path) for p in pythons(config)) or "none"),
            "hosts: " + ", ".join(h.name for h in available_hosts(config)),
            "hosts not here: " + (", ".join(missing) or "none")]


RESULTS = []
PYTHON_PARAMETERS = ("python", "shared_python", "some_python", "linked_python", "numpy_python")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    python = next((parameters[name] for name in PYTHON_PARAMETERS if name in parameters), None)
    if python and (report.when == "call" or report.outcome != "passed"):
        host = next((parameters[name] for name in ("host", "debugger", "gdb") if name in parameters), None)
        RESULTS.append({"python": python.name, "version": python.version, "build": python.flavours,
                        "host": host.name if host else "cli", "test": item.nodeid, "outcome": report.outcome})


def pytest_sessionfinish():
    folder = os.environ.get("PH_RESULTS")
    if folder and RESULTS:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "%d.json" % os.getpid()), "w") as out:
            json.dump(RESULTS, out, indent=1)


def pytest_sessionstart(session):
    if not pythons(session.config):
        pytest.exit("no supported CPython found; set PH_PYTHONS to the paths of some", returncode=1)
    if not hosts.CommandLine().available():
        pytest.exit("no %s; set PH_BUILD_DIR to the build folder" % hosts.CommandLine.path, returncode=1)


def pytest_generate_tests(metafunc):
    config = metafunc.config
    if "python" in metafunc.fixturenames:
        metafunc.parametrize("python", pythons(config), ids=lambda p: p.name, scope="session", indirect=True)
    if "shared_python" in metafunc.fixturenames:
        shared = [p for p in pythons(config) if p.libpython()]
        metafunc.parametrize("shared_python", shared, ids=lambda p: p.name, scope="session", indirect=True)
    if "some_python" in metafunc.fixturenames:
        some = targets.representatives(pythons(config))
        metafunc.parametrize("some_python", some, ids=lambda p: p.name, scope="session", indirect=True)
    if "linked_python" in metafunc.fixturenames:
        linked = targets.of_each_linking(pythons(config))
        metafunc.parametrize("linked_python", linked, ids=lambda p: p.name, scope="session", indirect=True)
    if "numpy_python" in metafunc.fixturenames:
        having = [p for p in pythons(config) if not p.environment and p.imports("numpy", "pandas")]
        metafunc.parametrize("numpy_python", having or [None], ids=lambda p: p.name if p else "none", scope="session", indirect=True)
    if "host" in metafunc.fixturenames:
        metafunc.parametrize("host", available_hosts(config), ids=lambda h: h.name)
    if "debugger" in metafunc.fixturenames:
        debuggers = [h for h in available_hosts(config) if not isinstance(h, hosts.CommandLine)]
        metafunc.parametrize("debugger", debuggers, ids=lambda h: h.name)
    if "gdb" in metafunc.fixturenames:
        gdbs = [h for h in available_hosts(config) if isinstance(h, hosts.Gdb)]
        metafunc.parametrize("gdb", gdbs, ids=lambda h: h.name)


@pytest.fixture(scope="session")
def python(request):
    return request.param


@pytest.fixture(scope="session")
def shared_python(request):
    return request.param


@pytest.fixture(scope="session")
def some_python(request):
    return request.param


@pytest.fixture(scope="session")
def linked_python(request):
    return request.param


@pytest.fixture(scope="session")
def numpy_python(request):
    """One for which Debian has numpy and pandas, where they are installed."""
    if not request.param:
        pytest.skip("no interpreter here has numpy and pandas: install python3-numpy and python3-pandas, or tests/matrix get sid")
    return request.param


@pytest.fixture(scope="session")
def newest_python(request):
    return pythons(request.config)[-1]


@pytest.fixture(scope="session")
def system_python():
    """Debian's own, which has Debian's packages."""
    found = [p for p in targets.found_pythons() if p.supported() and p.path.startswith("/usr/bin/") and not p.root and not p.environment]
    if not found:
        pytest.fail("no interpreter in /usr/bin")
    return found[-1]


@pytest.fixture(scope="session")
def cli():
    return hosts.CommandLine()


@pytest.fixture(scope="session")
def batch(request):
    """GDB, for sessions in which the program stops and goes on."""
    return next(h for h in available_hosts(request.config) + hosts.find_hosts() if h.name == "gdb")


def parked(python, program, tmp_path_factory, *arguments):
    return targets.PythonProcess(python, program, tmp_path_factory.mktemp(program), *arguments)


def shared(program):
    """A fixture: the program, parked once for each interpreter."""
    @pytest.fixture(scope="session")
    def process(python, tmp_path_factory):
        process = parked(python, program, tmp_path_factory)
        yield process
        process.close()
    return process


zoo, big, wasteful = shared("zoo.py"), shared("big.py"), shared("wasteful.py")


@pytest.fixture(scope="session")
def small_core(python, tmp_path_factory):
    core = parked(python, "small.py", tmp_path_factory).core()
    yield core
    core.close()


@pytest.fixture(scope="session")
def wasteful_core(wasteful):
    """Its end: for tests that are marked as last."""
    return wasteful.core()


@pytest.fixture(scope="session")
def zoo_core(zoo):
    """Its end: tests that ask for it come last."""
    core = zoo.core()
    yield core
    core.close()


@pytest.fixture(scope="session", params=["zoo", pytest.param("big", marks=pytest.mark.each_minor)])
def live(request, python):
    """A parked process with the full truth: the zoo, and of each minor version the big program."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session", params=["live", "core"])
def zoo_target(request, python):
    """The zoo as a live process, then as a core file."""
    return request.getfixturevalue({"live": "zoo", "core": "zoo_core"}[request.param])


@pytest.fixture(scope="session")
def newest_zoo(newest_python, tmp_path_factory):
    process = parked(newest_python, "zoo.py", tmp_path_factory, 40)
    yield process
    process.close()


def parameter(item, *names):
    """The first of these parameters that a test has."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return next((parameters[name] for name in names if name in parameters), None)


def interpreter(item):
    python = parameter(item, *PYTHON_PARAMETERS)
    return (python.version, python.name) if hasattr(python, "version") else ()


def comes_last(item):
    return (item.get_closest_marker("last") or "zoo_core" in item.fixturenames
            or parameter(item, "zoo_target") == "core")


def pytest_itemcollected(item):
    """With pytest-xdist's --dist loadgroup: all of one interpreter in one process. xdist reads the marks before any
    trylast hook."""
    item.add_marker(pytest.mark.xdist_group("-".join(map(str, interpreter(item)))))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """No pair of a host and an interpreter that it cannot see. One interpreter after the other, so that each target is started once and few run at a time."""
    def possible(item):
        minors = item.get_closest_marker("minor")
        if minors and parameter(item, "python").version[1] not in minors.args:
            return False
        if item.get_closest_marker("each_minor") and parameter(item, "python") not in of_each_minor:
            return config.getoption("--all-pairs")
        if item.get_closest_marker("each_build") and getattr(parameter(item, "python"), "environment", None):
            return config.getoption("--all-pairs")
        if item.get_closest_marker("each_linking") and parameter(item, "python") not in of_each_linking:
            return config.getoption("--all-pairs")
        host = parameter(item, "host", "debugger", "gdb")
        if not isinstance(host, hosts.Host):  # none, or none that was selected
            return True
        python = parameter(item, *PYTHON_PARAMETERS) or pythons(config)[-1]
        if host.common or config.getoption("--all-pairs"):
            return host.sees(python)
        return host.sees(python) and python == [p for p in pythons(config) if p.root == python.root][-1]

    of_each_minor = targets.of_each_minor(pythons(config))
    of_each_linking = targets.of_each_linking(pythons(config))
    config.hook.pytest_deselected(items=[item for item in items if not possible(item)])
    items[:] = filter(possible, items)
    items.sort(key=lambda item: (interpreter(item), bool(comes_last(item))))
