"""One worker and many give the same answers, byte for byte: a core of 300,000 objects, on one processor and on all."""
import os
import random
import shutil
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


class Damaged:
    """A core in which some words were overwritten: by nothing, by one, by anything."""
    WORDS = 300

    def __init__(self, core, path, seed):
        rng = random.Random(seed)
        self.path = path
        shutil.copy(core.path, path)
        with open(path, "r+b") as file:
            words = file.seek(0, os.SEEK_END) // 8
            for _ in range(self.WORDS):
                file.seek(8 * rng.randrange(words // 10, words - 1))
                file.write(rng.choice([bytes(8), (1).to_bytes(8, "little"), rng.randbytes(8)]))

    def arguments(self):
        return ["--core", self.path]


@pytest.mark.parametrize("seed", range(2))
def test_same_bytes_of_a_damaged_heap(big_core, tmp_path, seed):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one processor")
    damaged = Damaged(big_core, str(tmp_path / "damaged.core"), seed)
    one = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    for command in (["verify", "--limit", "0"], ["top", "--limit", "0"]):
        alone = answer(damaged, command, one)
        for _ in range(RUNS):
            assert answer(damaged, command) == alone, command[0]
    assert b'"kind"' in answer(damaged, ["verify"])


def test_same_bytes(big_core):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one processor")
    one = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    samples = [["referrers", big_core.truth.one_of(name)] for name in ("__main__.User", "dict", "str")]
    for command in COMMANDS + samples:
        alone = answer(big_core, command, one)
        for _ in range(RUNS):
            assert answer(big_core, command) == alone, " ".join(command)
