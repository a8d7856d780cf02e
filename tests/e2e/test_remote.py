"""Through gdbserver and lldb-server: the truth, as in a process of our own, and the same bytes as the command line's."""
import json
import re
import subprocess

import hosts
import pytest
import remotes
import targets
from test_sizes import check_list
from test_tracked import check_top

# Makes a Row a turn.
LOOP = """
import time
class Row: pass
rows = [Row()]
print("ready", flush=True)
while True:
    rows.append(Row())
    time.sleep(0.001)
"""


@pytest.fixture(scope="session")
def secluded_zoo(python, tmp_path_factory):
    if not remotes.can_seclude():
        pytest.skip("no namespace of processes can be made here")
    process = remotes.SecludedProcess(python, "zoo.py", tmp_path_factory.mktemp("secluded"), 40)
    yield process
    process.close()


@pytest.fixture
def served(debugger, request):
    """The zoo behind a server that the debugger connects to."""
    is_gdb = isinstance(debugger, hosts.Gdb)
    if not (remotes.GDBSERVER if is_gdb else remotes.LLDB_SERVER):
        pytest.skip("no gdbserver" if is_gdb else "no lldb-server")
    served = remotes.Served(request.getfixturevalue("zoo" if is_gdb else "secluded_zoo"))
    yield served
    served.close()


@pytest.mark.each_linking
def test_objects_and_sizes(python, debugger, served, tmp_path):
    check_top(debugger, served, tmp_path)
    check_list(debugger, served, tmp_path)


@pytest.mark.each_linking
def test_info(python, debugger, served, tmp_path):
    target = json.loads(debugger.run(served, [["info", "--json"]], tmp_path)[0])["target"]
    assert target["kind"] == "remote"
    assert target["pid"] in (served.process.pid, 1)  # the latter in its own namespace
    assert target["path"] in (python.path, "") or python.root


@pytest.mark.each_linking
def test_the_same_bytes_as_the_command_line(cli, python, debugger, served, tmp_path):
    samples = list(served.truth.data["referrers"])[:5]
    commands = [["top", "--json"], ["top", "--scope", "unreachable"], ["list", "dict", "--limit", "50"], ["verify"]]
    commands += [[command, address] for command in ("show", "sizeof", "referrers", "referents", "whatis")
                 for address in samples]
    expected = cli.run(served.process, commands, tmp_path)
    for command, ours, theirs in zip(commands, expected, debugger.run(served, commands, tmp_path)):
        assert theirs == ours, " ".join(command)


@pytest.mark.each_linking
def test_where_no_regions_are_listed(gdb, python, zoo, tmp_path, monkeypatch):
    """GDB's list of mappings goes through `cat`; here to one that drops them, as with a stub that knows of none."""
    if not remotes.GDBSERVER:
        pytest.skip("no gdbserver")
    cat = tmp_path / "bin" / "cat"
    cat.parent.mkdir()
    cat.write_text("#!/bin/sh\nexec grep -v '^ *0x[0-9a-f]* *0x'\n")
    cat.chmod(0o755)
    monkeypatch.setitem(hosts.DEBUGGER_ENVIRONMENT, "PATH", "%s:%s" % (cat.parent, hosts.DEBUGGER_ENVIRONMENT["PATH"]))
    served = remotes.Served(zoo)
    check_top(gdb, served, tmp_path)
    check_list(gdb, served, tmp_path)
    unmapped, stack, everything = (json.loads(answer) for answer in gdb.run(
        served, [["whatis", "0x10", "--json"], ["whatis", "$sp", "--json"], ["list", "*", "--addresses", "--limit", "0", "--json"]],
        tmp_path))
    assert (unmapped["kind"], stack["kind"]) == ("unmapped", "memory")
    # Those that nobody refers to are known from the pools alone.
    found = {row["address"] for row in everything["objects"]}
    leaked = {address for mark, address in zoo.truth.marks.items() if mark.startswith("leaked_")}
    assert leaked and leaked <= found
    served.close()


@pytest.fixture
def loop(newest_python):
    process = targets.Process(subprocess.Popen([*newest_python.argv, "-c", LOOP], stdin=subprocess.DEVNULL,
                                               stdout=subprocess.PIPE))
    process.popen.stdout.readline()
    process.python, process.truth = newest_python, None
    served = remotes.Served(process)
    yield served
    served.close()
    process.close()


def reads(said):
    """How often a line of `set debug remote` asks for memory."""
    return len(re.findall(r"Sending packet: \$[mx][0-9a-f]+,", said))


def test_gdb_reads_once_a_stop(gdb, loop, newest_python, tmp_path):
    if not remotes.GDBSERVER:
        pytest.skip("no gdbserver")
    count = "py-heap list __main__.Row --limit 0 --addresses -o "
    files = [str(tmp_path / name) for name in "abc"]
    said, _ = gdb.session(loop, [
        "set debug remote 1", count + files[0], count + files[1], "set debug remote 0",
        "break *$pc", "ignore 1 9", "continue", "set debug remote 1", count + files[2], "set debug remote 0",
    ])
    first, second, third = reads(said[1]), reads(said[2]), reads(said[8])
    rows = []
    for path in files:
        with open(path) as f:
            rows.append(len(f.read().split()))
    assert first > 20 and second < 5 and third > 20
    assert rows[0] == rows[1] and rows[2] > rows[1]
