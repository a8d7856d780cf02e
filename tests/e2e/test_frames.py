"""frames: the stacks, tasks and suspended generators are those that the interpreter shows, to the line and the local.

Each is compared with sys._current_frames(), traceback.extract_stack(), f_locals, gi_yieldfrom and its like, and asyncio's
tasks, as a forked child saw them (targets/stacks.py).
"""
import json
import time

import pytest
import targets


@pytest.fixture(scope="module")
def process(python, tmp_path_factory):
    if python.version < (3, 6):
        pytest.skip("has no coroutines")
    process = targets.PythonProcess(python, "stacks.py", tmp_path_factory.mktemp("stacks"))
    yield process
    process.close()


@pytest.fixture(scope="module", params=["live", pytest.param("core", marks=pytest.mark.last)])
def stacks(request, process):
    """The process, then the core that it leaves."""
    return process if request.param == "live" else process.core()


@pytest.fixture(scope="module")
def answer(cli, stacks, tmp_path_factory):
    return json.loads(cli.run(stacks, [["frames", "--locals", "--json"]], tmp_path_factory.mktemp("frames"))[0])


def places(frames):
    return [(frame["function"], frame["file"], frame["line"]) for frame in frames]


def addresses(local_variables):
    return {local["name"]: (local["address"], local["type"]) for local in local_variables}


def require_locals(frame, truth):
    """The same names, each with the same object; and the deep size of those whose size is known."""
    expected = {name: (address, kind) for name, (address, kind, _) in truth["locals"].items()}
    found = addresses(frame["locals"])
    assert {name: address for name, (address, _) in found.items()} == {name: address for name, (address, _) in expected.items()}, truth
    for local in frame["locals"]:
        _, kind, deep = truth["locals"][local["name"]]
        assert local["type"].split(".")[-1] == kind, truth
        assert deep is None or local["deep"] == deep, (local, truth["function"])


def test_threads(answer, stacks):
    truth = {thread["id"]: thread for thread in stacks.truth.data["threads"]}
    found = {thread["id"]: thread for thread in answer["threads"]}
    assert len(truth) == 15 and set(found) == set(truth)
    for ident, thread in found.items():
        expected = truth[ident]
        assert places(thread["frames"]) == places(expected["frames"]), expected["name"]
        assert expected["native_id"] in (thread["native_id"], None)
        if expected["name"]:
            assert thread["name"] == expected["name"]
        else:
            assert thread["name"] == thread["kernel_name"]
            assert thread["name"] or isinstance(stacks, targets.Core)  # a core has no names of threads
        assert thread["state"] == ("blocked" if stacks.python.version >= (3, 7) else thread["state"])
        assert not thread["cut"]


def test_locals(answer, stacks):
    truth = {thread["id"]: thread["frames"] for thread in stacks.truth.data["threads"]}
    compared = sized = 0
    for thread in answer["threads"]:
        for frame, expected in zip(thread["frames"], truth[thread["id"]]):
            if "locals" in expected:
                require_locals(frame, expected)
                compared += len(expected["locals"])
                sized += sum(local[2] is not None for local in expected["locals"].values())
    assert compared > 150 and sized > 80


def test_suspended(answer, stacks):
    truth = {one["address"]: one for one in stacks.truth.data["suspended"]}
    found = {one["address"]: one for one in answer["suspended"]}
    assert {one["kind"] for one in truth.values()} == {"generator", "coroutine", "async_generator"}
    assert set(found) == set(truth)
    for address, one in found.items():
        expected = truth[address]
        assert one["kind"] == expected["kind"]
        assert places([one]) == places([expected])
        assert (one["awaits"] and one["awaits"]["address"]) == expected["awaits"], expected
        assert expected["created"] in (None, one["state"] == "created"), expected
        require_locals(one, expected)
    assert {one["state"] for one in found.values()} == {"created", "suspended"}


def test_tasks(answer, stacks):
    truth = {task["address"]: task for task in stacks.truth.data["tasks"]}
    found = {task["address"]: task for task in answer["tasks"]}
    assert {task["type"] for task in truth.values()} == {"_asyncio.Task", "asyncio.tasks.Task"}
    assert set(found) == set(truth)
    assert {task["state"] for task in truth.values()} == {"pending", "finished", "cancelled"}
    for address, task in found.items():
        expected = truth[address]
        for key in ("name", "state", "type"):
            assert task[key] == expected[key]
        assert task["running"] == (expected["frames"] is None)
        for key in ("coroutine", "awaits"):
            assert (task[key] and task[key]["address"]) == expected[key], (key, expected)
        if expected["frames"] is not None:
            assert places(task["frames"]) == places(expected["frames"])
    assert max(len(task["frames"]) for task in found.values()) >= 2


def test_the_text_reads_as_a_traceback(cli, stacks, tmp_path):
    text = cli.run(stacks, [["frames", "--limit", "4"]], tmp_path)[0].decode()
    recursive = next(part for part in text.split("\n\n") if '"recursive"' in part.splitlines()[0])
    lines = recursive.splitlines()
    assert lines[0].endswith("(most recent call first):")
    assert len(lines) == 6 and lines[1].endswith(", in block") and lines[2].endswith(", in recursive")
    thread = next(t for t in stacks.truth.data["threads"] if t["name"] == "recursive")
    assert lines[-1] == "    4 of %d frames; --limit 0 for all" % len(thread["frames"])
    assert "0x" not in "\n".join(lines[1:])  # no locals unless they are asked for


def states(host, target, folder):
    """{a thread's name: what it is about}"""
    threads = json.loads(host.run(target, [["frames", "--json"]], folder)[0])["threads"]
    return {thread["name"]: thread["state"] for thread in threads}


def require_gil(python):
    if python.version < (3, 7) or python.flavours or python.environment:
        pytest.skip("nothing tells who holds the GIL; or it is no other than in the plain build")


def test_states_while_one_keeps_the_gil(host, python, tmp_path_factory, tmp_path):
    """Live and in its core: one holds the GIL for ever, two wait for it, one runs C code without it, two wait in the kernel."""
    require_gil(python)
    expected = {"holds": "attached", "spins 0": "waiting", "spins 1": "waiting", "computes": "outside", "blocks": "blocked",
                "MainThread": "blocked"}
    process = targets.PythonProcess(python, "stacks.py", tmp_path_factory.mktemp("held"), "held")
    try:
        found = []
        while len(found) < 60 and found[-5:] != [expected] * 5:  # once may be before the GIL is held for good
            found.append(states(host, process, tmp_path))
            time.sleep(0.1)
        assert found[-5:] == [expected] * 5
        assert states(host, process.core(), tmp_path) == expected
    finally:
        process.close()


def test_states_while_the_gil_changes_hands(cli, python, tmp_path_factory, tmp_path):
    """Of two threads that spin, one holds the GIL and the other waits for it; one that reads a pipe does neither."""
    require_gil(python)
    process = targets.PythonProcess(python, "stacks.py", tmp_path_factory.mktemp("busy"), "busy")
    held = 0
    try:
        for _ in range(40):
            state = states(cli, process, tmp_path)
            spinning = sorted(state[name] for name in state if name.startswith("spins"))
            assert spinning.count("attached") < 2
            if spinning == ["attached", "waiting"]:  # else the GIL changes hands just now
                assert state["blocks"] == state["MainThread"] == "blocked"
                held += 1
            if held == 3:
                break
    finally:
        process.close()
    assert held == 3
