"""The target's memory and registers are the same after each command, and nothing ran in it."""
import os
import signal
import sys
import time

import memory
import pytest

COMMANDS = ["info", "top", "top --scope tracked --json", "list dict", "list * --limit 50 --json", "show {list}",
            "sizeof {list}", "referrers {dict}", "referrers {list} --depth 3", "referents {dict}", "whatis {list}",
            "show 0x10", "top --nope", "help"]


def lines_for(target):
    return [line.format(list=target.truth.one_of("list"), dict=target.truth.one_of("dict")) for line in COMMANDS]


@pytest.fixture
def stopped(zoo):
    """The zoo under SIGSTOP: nothing runs, not even to stop and to go on."""
    os.kill(zoo.pid, signal.SIGSTOP)
    while any(zoo.status(thread)["State"][0] != "T" for thread in zoo.threads()):
        time.sleep(0.01)
    yield zoo
    os.kill(zoo.pid, signal.SIGCONT)
    zoo.wait_until_parked()


def test_command_line_on_a_stopped_process(cli, stopped):
    before = memory.look(stopped.pid)
    for line in lines_for(stopped):
        cli.call(stopped, line.split())
    assert memory.look(stopped.pid) == before
    assert stopped.status()["State"][0] == "T"


def test_command_line_on_a_live_process(cli, zoo):
    """It is stopped for the time of a command, and goes on as before."""
    before = [*memory.writable_memory(zoo.pid), *memory.registers(zoo.pid)]
    for line in lines_for(zoo):
        cli.call(zoo, line.split())
        zoo.wait_until_parked()
    assert [*memory.writable_memory(zoo.pid), *memory.registers(zoo.pid)] == before
    assert zoo.status()["TracerPid"] == "0" and zoo.status()["State"][0] == "S"


def test_debuggers(debugger, zoo):
    """From a debugger's prompt to its next prompt nothing changes."""
    if debugger.name == "lldb":
        looks = ["register read -a", "thread list", "platform shell -h -t 60 -- "]
    else:
        looks = ["info registers", "thread apply all -q info registers", "shell "]
    looks[2] += "%s %s %d" % (sys.executable, memory.__file__, zoo.pid)
    sections, outcome = debugger.session(zoo, looks + ["py-heap " + line for line in lines_for(zoo)] + looks)
    before, after = sections[:len(looks)], sections[-len(looks):]
    assert all(section.strip() for section in before) and "memory " in before[2], outcome
    for look_before, look_after in zip(before, after):
        assert look_before == look_after
