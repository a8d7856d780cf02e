"""The target's memory and registers are the same after each command, and nothing ran in it."""
import hashlib
import os
import signal
import time

import pytest

COMMANDS = ["info", "top", "top --scope tracked --json", "list dict", "list * --limit 50 --json", "show {list}",
            "sizeof {list}", "referrers {dict}", "referrers {list} --depth 3", "referents {dict}", "whatis {list}",
            "show 0x10", "top --nope", "help"]


def lines_for(target):
    return [line.format(list=target.truth.one_of("list"), dict=target.truth.one_of("dict")) for line in COMMANDS]


def writable_memory(target):
    """{(start, end): digest} of every writable region."""
    digests = {}
    with open("/proc/%d/maps" % target.pid) as maps, open("/proc/%d/mem" % target.pid, "rb", 0) as memory:
        for line in maps:
            span, permissions = line.split()[:2]
            if "w" not in permissions:
                continue
            start, end = (int(word, 16) for word in span.split("-"))
            digest = hashlib.blake2b()
            while start < end:
                memory.seek(start)
                block = memory.read(min(end - start, 1 << 20))
                assert block
                digest.update(block)
                start += len(block)
            digests[span] = digest.hexdigest()
    return digests


def registers(target):
    """System call, its arguments, stack pointer and program counter of each thread."""
    state = {}
    for thread in target.threads():
        with open("/proc/%d/task/%d/syscall" % (target.pid, thread)) as f:
            state[thread] = f.read()
    return state


def switches(target):
    return {thread: (status["voluntary_ctxt_switches"], status["nonvoluntary_ctxt_switches"])
            for thread in target.threads() for status in [target.status(thread)]}


@pytest.fixture
def unchanged(zoo):
    """Fails if memory, registers or threads differ after the test."""
    before = writable_memory(zoo), registers(zoo)
    yield zoo
    zoo.wait_until_parked()
    assert writable_memory(zoo) == before[0]
    assert registers(zoo) == before[1]
    assert zoo.status()["TracerPid"] == "0" and zoo.status()["State"][0] == "S"


def test_command_line(cli, unchanged):
    for line in lines_for(unchanged):
        cli.call(unchanged, line.split())


def test_command_line_on_a_stopped_process(cli, zoo, stopped):
    """Nothing runs, not even to stop and go on."""
    before = switches(zoo)
    for line in lines_for(zoo):
        cli.call(zoo, line.split())
    assert switches(zoo) == before
    assert zoo.status()["State"][0] in "Tt"


@pytest.fixture
def stopped(zoo):
    os.kill(zoo.pid, signal.SIGSTOP)
    while any(zoo.status(thread)["State"][0] != "T" for thread in zoo.threads()):
        time.sleep(0.01)
    yield
    os.kill(zoo.pid, signal.SIGCONT)
    zoo.wait_until_parked()


def looks(debugger, target):
    """Debugger lines that show registers of all threads, and how often each thread was scheduled."""
    if debugger.name == "lldb":
        all_registers, shell = "thread backtrace all -c 1", "platform shell -h --"
        registers_line = "register read -a"
    else:
        all_registers, shell = "thread apply all -q info registers", "shell"
        registers_line = "info registers"
    return [registers_line, all_registers, "%s grep ctxt /proc/%d/task/*/status" % (shell, target.pid)]


def test_debuggers(debugger, unchanged):
    look = looks(debugger, unchanged)
    commands = ["py-heap " + line for line in lines_for(unchanged)]
    sections, outcome = debugger.session(unchanged, look + commands + look)
    before, after = sections[:len(look)], sections[-len(look):]
    assert all(section.strip() for section in before), outcome
    assert before == after, outcome
