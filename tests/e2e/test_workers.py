"""One worker and many give the same answers, byte for byte: a core of 300,000 objects, on one processor and on all."""
import os
import subprocess

import hosts
import pytest
import targets

COMMANDS = [["top", "--limit", "0"], ["top", "--scope", "unreachable", "--limit", "0"], ["info"], ["list", "*", "--limit", "2000"],
            ["top", "--sort", "retained", "--limit", "0"], ["dominators", "--limit", "200"], ["cycles"], ["verify"],
            ["waste", "--limit", "0"], ["find", "a", "--limit", "0"], ["top", "--group-by", "value", "--limit", "0"]]
RUNS = 4  # which worker does what differs from run to run


@pytest.fixture(scope="module")
def big_core(some_python, tmp_path_factory):
    process = targets.PythonProcess(some_python, "big.py", tmp_path_factory.mktemp("big"), 20)
    core = process.core()
    yield core
    core.close()


def answer(target, command, before=()):
    argv = [*before, hosts.CommandLine.path, *target.arguments(), *command, "--json"]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=300).stdout


def test_same_bytes(big_core):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one processor")
    one = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    samples = [["referrers", big_core.truth.one_of(name)] for name in ("__main__.User", "dict", "str")]
    for command in COMMANDS + samples:
        alone = answer(big_core, command, one)
        for _ in range(RUNS):
            assert answer(big_core, command) == alone, " ".join(command)
