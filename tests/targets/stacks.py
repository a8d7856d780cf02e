"""Threads in many kinds of frames, tasks and generators that wait: for `frames`.

usage: stacks.py TRUTH [busy | held]    no truth; busy: two threads that want the GIL all the time; held: a third, in C code,
                                        never lets it go, and a fourth runs C code without it

The truth is told by a forked child, as in oracle.py: fork is libc's own, so that the child has all threads' states and
frames, with the addresses of the parent. Of the frame that forks (park) the line differs, and is told by the parent.
"""
import _thread
import asyncio
import ctypes
import gc
import hashlib
import inspect
import itertools
import json
import os
import sys
import threading
import time
import traceback
import types

FORK = ctypes.PyDLL(None).fork
PIPE = os.pipe()
SUSPENDABLE = ((types.GeneratorType, "generator", "gi_", "gi_yieldfrom"),
               (types.CoroutineType, "coroutine", "cr_", "cr_await"),
               (types.AsyncGeneratorType, "async_generator", "ag_", "ag_await"))
TASKS = (asyncio.Task, asyncio.tasks._PyTask)
NATIVE = {}
KEPT = []


def block():
    NATIVE[threading.get_ident()] = int(os.path.basename(os.readlink("/proc/thread-self")))
    os.read(PIPE[0], 1)


# ---- threads ----


def recursive(depth, payload):
    mine = [payload, b"y" * depth]
    if depth:
        return recursive(depth - 1, payload) or mine
    block()


def closures(first, second=b"cell" * 50):
    shared = {"of": first}

    def inner(own):
        nonlocal second
        second = [second, own]
        return (lambda: [block() for each in (1,) if shared and second and first])()
    inner(b"own" * 30)


def through_c(rows):
    """C code between Python's frames: sorted() calls back, and so does a descriptor."""
    class Key:
        @property
        def value(self):
            block()
    return sorted(rows, key=lambda row: Key().value)


def lazily(limit):
    for number in range(limit):
        yield number
        block()


def in_generator():
    for number in lazily(3):
        last = number
    return last


def delegated():
    total = yield from lazily(2)
    return total


def in_delegated():
    return list(
        delegated(
        ))


def in_class_body():
    class Body:
        text = b"class" * 20
        numbers = [1.5, 2.5]
        block()
    return Body


def while_handling(name):
    try:
        try:
            raise ValueError(name)
        except ValueError as error:
            kept = error.args
            raise KeyError(
                name,
                block(),
            ) from error
    finally:
        del kept


def far_away(before, *positional, only=3.25, **named):
    # Lines far apart, backwards in the table and without a delta: comments and blank lines matter here.






    value = (before,
             positional,
             [
                 block(),  # the line of this call is the one to show

             ],
             only)
    return value, named


MODULE_BODY = """
import sys
TEXT = b"module" * 100
for NUMBER in (1, 2):
    BLOCK()
"""


def in_module():
    exec(compile(MODULE_BODY + "\n" * 300 + "BLOCK()\n", "a module's body.py", "exec"), {"BLOCK": block, "__name__": "alone"})


def in_wait():
    threading.Event().wait()


# ---- tasks ----


class Awaitable:
    def __init__(self, future):
        self.future = future

    def __await__(self):
        got = yield from self.future
        return got


async def numbers(future):
    yield 1
    yield await future


async def deepest(future, tag):
    held = b"held by a task" * 20
    await future
    return held, tag


async def middle(future, tag):
    return await deepest(future, tag)


async def over(source):
    async for number in source:
        last = number
    return last


async def outer(future):
    result = await asyncio.gather(middle(future, "in gather"), deepest(future, "second"))
    return result


async def by_hand(future):
    return await Awaitable(future)


async def waits_for_task(task):
    return await task


async def blocks(name):
    async def within():
        block()
    await within()
    return name


async def at_once():
    return 1


def named_task(loop, coroutine, name):
    task = loop.create_task(coroutine)
    if hasattr(task, "set_name") and name:
        task.set_name(name)
    return task


def run_loop(make_tasks, factory=None):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_task_factory(factory)
    make_tasks(loop)
    KEPT.append(loop)
    loop.run_forever()


def many_tasks(loop):
    future = loop.create_future()
    first = named_task(loop, middle(future, "first"), "first")
    KEPT.extend([
        first, named_task(loop, waits_for_task(first), "waits for first"), named_task(loop, outer(future), None),
        named_task(loop, by_hand(future), "by hand"), named_task(loop, over(numbers(future)), "async for"),
        named_task(loop, at_once(), "done"), named_task(loop, deepest(loop.create_future(), 1), "to be cancelled"),
        named_task(loop, asyncio.sleep(100000), "sleeper"), future,
    ])
    loop.call_later(0.01, KEPT[-3].cancel)


def python_tasks(loop):
    many_tasks(loop)


def in_python(loop, coroutine, **named):
    return asyncio.tasks._PyTask(coroutine, loop=loop, **{key: value for key, value in named.items() if key == "name"})


def a_task_that_runs(loop):
    KEPT.append(named_task(loop, blocks("running"), "running"))


# ---- suspended ----


def pairs(rows):
    for row in rows:
        yield row, [other for other in rows]


def started(generator):
    next(generator)
    return generator


def make_suspended():
    begun = delegated()
    next(begun)
    finished = pairs([])
    list(finished)
    KEPT.extend([pairs([1]), started(pairs([b"row"] * 3)), (n for n in range(3)), started(n * n for n in (1, 2) if n), finished,
                 begun, at_once(), numbers(None)])


# ---- the truth ----


def deep(value):
    """The deep size of what is easy to add up; None for other things."""
    if type(value) in (bytes, str, int, float):
        return sys.getsizeof(value)
    if type(value) is list and all(type(item) in (bytes, str, int, float) for item in value):
        return sys.getsizeof(value) + sum(map(sys.getsizeof, {id(item): item for item in value}.values()))
    return None


def place(frame):
    code = frame.f_code
    summary = traceback.extract_stack(frame)[-1]
    assert (summary.filename, summary.name, summary.lineno) == (code.co_filename, code.co_name, frame.f_lineno)
    return {"function": getattr(code, "co_qualname", code.co_name), "file": code.co_filename, "line": frame.f_lineno}


def described(frame, with_locals=True):
    here = place(frame)
    if with_locals:
        values = dict(frame.f_locals)
        here["locals"] = {name: [hex(id(value)), type(value).__name__, deep(value)] for name, value in values.items()}
    return here


def chain(coroutine):
    places = []
    while type(coroutine) in [kind[0] for kind in SUSPENDABLE]:
        prefix, awaited = [kind[2:] for kind in SUSPENDABLE if kind[0] is type(coroutine)][0]
        frame = getattr(coroutine, prefix + "frame")
        if frame is None:
            break
        places.insert(0, place(frame))
        coroutine = getattr(coroutine, awaited)
    return places


def address(value):
    return None if value is None else hex(id(value))


def measure(objects, names, parent_line):
    threads, running, tasks, suspended = [], set(), [], []
    current = sys._current_frames()
    frames_of = {}
    for ident, frame in current.items():
        frames_of[ident] = frames = []
        while frame is not None:
            running.add(id(frame))
            frames.append(frame)
            frame = frame.f_back
    for o in objects:
        for kind, name, prefix, awaited in SUSPENDABLE:
            frame = getattr(o, prefix + "frame") if type(o) is kind else None
            if frame is not None and id(frame) not in running:
                # none has run that is at its first instruction; f_lasti is -1 there, or from 3.11 on what made it
                created = getattr(inspect, "get%sstate" % ("asyncgen" if prefix == "ag_" else name), lambda _: None)(o)
                suspended.append({"kind": name, "address": hex(id(o)), "created": created and created.endswith("_CREATED"),
                                  "awaits": address(getattr(o, awaited)), **described(frame)})
        if isinstance(o, TASKS):
            coroutine = o._coro
            runs = getattr(coroutine, "cr_running", False)
            tasks.append({
                "address": hex(id(o)), "name": o.get_name() if hasattr(o, "get_name") else "", "state": o._state.lower(),
                "coroutine": address(coroutine), "awaits": address(o._fut_waiter),
                "frames": None if runs else chain(coroutine), "type": type(o).__module__ + "." + type(o).__qualname__})
    for ident, frames in frames_of.items():
        while frames[0].f_code.co_name in ("measure", "tell"):
            del frames[0]
        here = [described(frame, frame.f_code is not park.__code__) for frame in frames]
        if frames[0].f_code is park.__code__:
            here[0]["line"] = parent_line
        threads.append({"id": ident, "native_id": NATIVE.get(ident), "name": names.get(ident), "frames": here})
    return {"threads": threads, "tasks": tasks, "suspended": suspended,
            "types": [], "tracked_count": 0, "address": [], "type": [], "size": [], "marks": {}}


def tell(path, objects, names, parent_line):
    try:
        truth = measure(objects, names, parent_line)
        with open(path, "w") as out:
            json.dump(truth, out)
        os.write(1, b"ready\n")
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        os.write(1, b"failed\n")
    os._exit(0)


def park(path, names, parent_line):
    gc.collect()
    gc.disable()
    if FORK() == 0:
        tell(path, gc.get_objects(), names, parent_line)
    os.read(0, 1)


def wait_for(threads):
    """Until all are in a system call that blocks, so that none has a lock or is in the middle of something."""
    quiet = 0
    while len(NATIVE) < threads or quiet < 20:
        states = set()
        for name in os.listdir("/proc/self/task"):
            if int(name) != os.getpid():
                with open("/proc/self/task/%s/stat" % name) as f:
                    states.add(f.read().rsplit(")", 1)[1].split()[0])
        quiet = quiet + 1 if states == {"S"} else 0
        time.sleep(0.01)


def spin():
    while True:
        pass


def hold():
    """Once the main thread is where it stays."""
    main_is_parked = False
    while not main_is_parked:
        with open("/proc/self/task/%d/syscall" % os.getpid()) as f:
            main_is_parked = f.read().startswith(("0 0x0 ", "3 0x0 "))
    sys.setswitchinterval(1000)  # who waits is not to wake up and ask for it every few milliseconds
    sum(itertools.repeat(0))


def be_busy(with_holder):
    NATIVE[threading.get_ident()] = os.getpid()
    threading.Thread(target=block, name="blocks", daemon=True).start()
    wait_for(2)
    for number in range(2):
        threading.Thread(target=spin, name="spins %d" % number, daemon=True).start()
    if with_holder:
        threading.Thread(target=hashlib.pbkdf2_hmac, args=("sha256", b"p", b"s", 2 ** 31 - 1), name="computes", daemon=True).start()
        threading.Thread(target=hold, name="holds", daemon=True).start()
    os.write(1, b"ready\n")
    os.read(0, 1)


def main():
    if sys.argv[2:] in (["busy"], ["held"]):
        be_busy(sys.argv[2] == "held")
    NATIVE[threading.get_ident()] = os.getpid()
    make_suspended()
    bodies = {
        "recursive": lambda: recursive(25, b"x" * 5000), "closures": lambda: closures([b"first" * 9]),
        "through C": lambda: through_c([3, 1, 2]), "in generator": in_generator, "in delegated": in_delegated,
        "class body": in_class_body, "handling": lambda: while_handling("name"),
        "far away": lambda: far_away(1, 2, 3, named=b"named"), "module body": in_module, "a task that runs": lambda: run_loop(a_task_that_runs),
        "waits": in_wait, "tasks": lambda: run_loop(many_tasks), "Python's tasks": lambda: run_loop(python_tasks, in_python),
    }
    for name, body in bodies.items():
        threading.Thread(target=body, name=name, daemon=True).start()
    _thread.start_new_thread(block, ())
    wait_for(12)
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines, first = inspect.getsourcelines(park)
    park(sys.argv[1], names, first + len(lines) - 1)


main()
