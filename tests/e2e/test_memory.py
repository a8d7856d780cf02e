"""memory: the parts add up to what the kernel says is mapped and resident, and agree with what the allocators say.

The allocators' word is sys._debugmallocstats() and glibc's mallinfo2(), both of the forked child.
"""
import json
import re
import subprocess

import pytest
import targets

SHARE_UNEXPLAINED = 0.05
PAGE = 4096
LOOKS = 6


class Subject:
    """The program's answers, what /proc said of it before and after, and the truth."""

    def __init__(self, cli, process, work):
        self.python = process.python
        self.truth = process.truth.marks
        with open(process.truth_path + ".stats") as f:
            self.stats = f.read()
        for _ in range(LOOKS):  # pages of files that are looked at become resident, until all of them are
            self.before = smaps(process.pid)
            self.live = ask(cli, process, work)
            self.after = smaps(process.pid)
            if added(self.before, "Rss") == added(self.after, "Rss"):
                break


def ask(cli, target, work):
    answer = json.loads(cli.run(target, [["memory", "--json", "--limit", "0"]], work)[0])
    answer["kinds"] = {row["name"]: row for row in answer["categories"]}
    return answer


def smaps(pid):
    """[(permissions, name, {key: bytes})] of each mapping."""
    mappings = []
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            head = re.match(r"[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \S+ *(.*)$", line)
            number = re.match(r"(\w+): +(\d+) kB", line)
            if head:
                mappings.append((head[1], head[2], {}))
            elif number:
                mappings[-1][2][number[1]] = int(number[2]) * 1024
    return mappings


def added(mappings, key, wanted=lambda permissions, name: True):
    return sum(numbers[key] for permissions, name, numbers in mappings if wanted(permissions, name))


def bytes_of(answer, *names, key="bytes"):
    return sum(answer["kinds"][name][key] for name in names if name in answer["kinds"])


def blocks_in_use(answer, allocator):
    return bytes_of(answer, *("%s: %s" % (allocator, kind) for kind in (
        "objects", "buffers of objects", "other blocks in use", "rounding of blocks")))


@pytest.fixture(scope="session")
def process(python, tmp_path_factory):
    if python.version < (3, 0):
        pytest.skip("2.7 has no sys._debugmallocstats")
    process = targets.PythonProcess(python, "memory.py", tmp_path_factory.mktemp("memory"))
    yield process
    process.close()


@pytest.fixture(scope="session")
def subject(cli, process, tmp_path_factory):
    return Subject(cli, process, tmp_path_factory.mktemp("answers"))


def test_the_parts_are_what_is_mapped(subject):
    answer = subject.live
    assert sum(row["bytes"] for row in answer["categories"]) == answer["total"] == added(subject.before, "Size")


def test_the_parts_are_what_is_resident(subject):
    answer = subject.live
    assert sum(row["resident"] for row in answer["categories"]) == answer["resident"] == added(subject.before, "Rss")
    assert added(subject.before, "Rss") == added(subject.after, "Rss")
    assert answer["swap"] == added(subject.before, "Swap")
    # other processes map the same files, and come and go
    ends = sorted([added(subject.before, "Pss"), added(subject.after, "Pss")])
    assert ends[0] - (2 << 20) <= answer["pss"] <= ends[1] + (2 << 20)


@pytest.mark.parametrize("key,kernel", [("bytes", "Size"), ("resident", "Rss")])
def test_files(subject, key, kernel):
    def is_file(name):
        return name.startswith("/")
    assert bytes_of(subject.live, "files: code", key=key) == added(
        subject.before, kernel, lambda permissions, name: is_file(name) and "x" in permissions)
    assert bytes_of(subject.live, "files: read-only data", "files: other than programs", key=key) == added(
        subject.before, kernel, lambda permissions, name: is_file(name) and permissions[:3] in ("r--", "---"))
    data = added(subject.before, kernel, lambda permissions, name: is_file(name) and permissions.startswith("rw"))
    assert bytes_of(subject.live, "interpreter: static data", "libraries: data", key=key) >= data


def test_little_is_unexplained(subject):
    answer = subject.live
    assert answer["unexplained"] == bytes_of(answer, "unexplained") < SHARE_UNEXPLAINED * answer["private"]
    assert answer["kinds"]["unexplained"]["resident"] < SHARE_UNEXPLAINED * answer["resident"]
    assert answer["private"] == sum(row["bytes"] for row in answer["categories"] if row["private"])


# ---- pymalloc's word ----


def pool_classes(stats):
    """{size of blocks: [pools, blocks in use, blocks available]}"""
    rows = re.findall(r"^ *\d+ +(\d+) +(\d+) +(\d+) +(\d+)$", stats, re.M)
    return {int(size): [int(pools), int(used), int(free)] for size, pools, used, free in rows if int(pools)}


def stated(stats, what):
    """The number at the end of the line about it."""
    return int(re.search(r"^.*%s.*= *([\d,]+)$" % what, stats, re.M)[1].replace(",", ""))


WRITER_BYTES = 256 + 3 * 8  # PyBytesWriter of 3.15, with its small buffer


def read_buffer_bytes(subject):
    """The block that the parent has and the child has not: the bytes object of one byte that os.read is to fill, or
    from 3.15 on what makes one; with the debug hooks' three words."""
    word, alignment = (4, 8) if "i386" in subject.python.name else (8, 16)
    bytes_ = subject.truth["read_buffer_bytes"] if subject.python.version < (3, 15) else WRITER_BYTES
    bytes_ += 3 * word if subject.python.allocator().endswith("debug") else 0
    return (bytes_ + alignment - 1) // alignment * alignment


def pool_header(subject):
    return 32 if "i386" in subject.python.name else 48


def opened_by_read(subject):
    """(pools, blocks, bytes behind the last block) of the pool that os.read's block needs where the others of its size are full."""
    size = read_buffer_bytes(subject)
    if not size or pool_classes(subject.stats)[size][2]:
        return 0, 0, 0
    room = (16384 if subject.python.version >= (3, 10) else 4096) - pool_header(subject)
    return 1, room // size, room % size


def with_read_buffer(classes, subject):
    size = read_buffer_bytes(subject)
    pools, used, free = classes[size]
    more, blocks, _ = opened_by_read(subject)
    return {**classes, size: [pools + more, used + 1, free + blocks - 1]}


def uses_pymalloc(python):
    return python.allocator().startswith("pymalloc")


def test_pools_by_size(subject):
    if not uses_pymalloc(subject.python):
        pytest.skip("no pymalloc")
    ours = {row["size"]: [row["pools"], row["used"], row["free"]] for row in subject.live["arenas"]["by_size_class"]}
    assert ours == with_read_buffer(pool_classes(subject.stats), subject)


def test_arenas(subject):
    if not uses_pymalloc(subject.python):
        pytest.skip("no pymalloc")
    arenas, stats = subject.live["arenas"], subject.stats
    count, size, total = re.search(r"^(\d+) arenas \* (\d+) bytes/arena +=\s+([\d,]+)$", stats, re.M).groups()
    assert [arenas["count"], arenas["bytes"]] == [int(count), int(total.replace(",", ""))]
    buffer = read_buffer_bytes(subject)
    pools, blocks, end = opened_by_read(subject)
    pool = pools * (pool_header(subject) + blocks * buffer + end)
    assert blocks_in_use(subject.live, "pymalloc") == arenas["used"] == stated(stats, "bytes in allocated blocks") + buffer
    assert bytes_of(subject.live, "pymalloc: free blocks") == stated(stats, "bytes in available blocks") + (blocks - 1) * buffer
    assert bytes_of(subject.live, "pymalloc: free pools") == stated(stats, r"unused pools \* \d+ bytes") - pool
    assert bytes_of(subject.live, "pymalloc: headers of pools") == stated(stats, "bytes lost to pool headers") + pools * pool_header(subject)
    assert bytes_of(subject.live, "pymalloc: ends of pools") == stated(stats, "bytes lost to quantization") + pools * end
    assert bytes_of(subject.live, "pymalloc: alignment of arenas") == stated(stats, "bytes lost to arena alignment")


def test_an_arena_without_pools(cli, python, tmp_path_factory, tmp_path):
    """What lies in an arena behind all pools that were ever handed out."""
    if python.version < (3, 0) or not uses_pymalloc(python):
        pytest.skip("no pymalloc, or 2.7")
    process = targets.PythonProcess(python, "memory.py", tmp_path_factory.mktemp("arena"), "arena")
    page = int(process.truth.marks["arena_page"], 16)
    answers = cli.run(process, [["whatis", hex(page + offset), "--json"] for offset in (0, PAGE - 1)], tmp_path)
    process.close()
    assert [json.loads(answer)["kind"] for answer in answers] == ["arena", "arena"]


def test_who_pins_the_arenas(subject):
    if not uses_pymalloc(subject.python):
        pytest.skip("no pymalloc")
    arenas = subject.live["arenas"]
    first = arenas["pinned_by"][0]
    assert first["type"] == "__main__.Node" and 0.5 * subject.truth["kept"] < first["blocks"] <= subject.truth["kept"]
    assert arenas["pinned"] > 0.5 * arenas["bytes"] and first["arenas"] <= arenas["sparse"] <= arenas["count"]
    assert any("cannot be returned because each of" in line and "__main__.Node" in line
               for line in subject.live["answers"])


def test_mimalloc(subject):
    found = re.search(r"Allocated Blocks: (\d+)\n +Allocated Bytes: (\d+)", subject.stats)
    if not found or not int(found[1]):
        pytest.skip("no mimalloc, or a build that does not tell")
    # It tells of the thread's own heap; the other thread has one too, with a few blocks.
    more = sum(row["used"] for row in subject.live["arenas"]["by_size_class"]) - int(found[1])
    assert 0 < more < 100
    others = subject.live["arenas"]["used"] - blocks_in_use(subject.live, "mimalloc")
    assert 0 <= others <= bytes_of(subject.live, "interpreter: state")  # threads' states, from 3.15 on
    assert 0 < subject.live["arenas"]["used"] - int(found[2]) < 16384


# ---- glibc's word ----


def test_malloc(subject):
    truth = subject.truth["mallinfo"]
    if not truth:
        pytest.skip("this glibc has no mallinfo2")
    native = subject.live["native"]
    assert native["mapped"] == truth["hblks"]
    # from 2.42 on glibc sometimes leaves the heads of these blocks out: what it says is then no multiple of pages
    assert native["mapped_bytes"] == truth["hblkhd"] or (
        truth["hblkhd"] % PAGE and abs(native["mapped_bytes"] - truth["hblkhd"]) < PAGE)
    heads = bytes_of(subject.live, "malloc: heads of arenas")
    assert native["heap"] + heads == truth["arena"]
    buffer = truth["fordblks"] - truth["fsmblks"] - native["free"]
    assert native["used"] + heads == truth["uordblks"] + truth["fsmblks"] + buffer
    # what os.read is to fill, where malloc serves the objects and had no cached block for it
    may_be = {0, (read_buffer_bytes(subject) + 8 + 15) // 16 * 16, (subject.truth["read_buffer_bytes"] + 8 + 15) // 16 * 16}
    assert buffer in (may_be if subject.python.allocator().startswith("malloc") else {0})


def test_native_memory_is_nobodys(subject):
    if "trace-refs" in subject.python.flavours:
        pytest.skip("its table of all objects is native memory, too")
    other = bytes_of(subject.live, "malloc: other native memory")
    assert subject.truth["native_bytes"] <= other < subject.truth["native_bytes"] + (2 << 20)


# ---- cores and children ----


def test_a_core(cli, subject, process, tmp_path):
    core = process.core()
    answer = ask(cli, core, tmp_path)
    assert sum(row["bytes"] for row in answer["categories"]) == answer["total"]
    assert sum(row["in_core"] for row in answer["categories"]) == answer["in_core"] == answer["total"] - answer["omitted"]
    segments = subprocess.run(["readelf", "-lW", core.path], stdout=subprocess.PIPE, check=True).stdout.decode()
    loads = re.findall(r"LOAD +0x[0-9a-f]+ (0x[0-9a-f]+) 0x[0-9a-f]+ (0x[0-9a-f]+) (0x[0-9a-f]+)", segments)
    loads = [[int(word, 16) for word in load] for load in loads]
    loads = [load for load in loads if load[0] < 1 << 63]  # [vsyscall] lies in the kernel's half and is nobody's
    assert answer["in_core"] == sum(held for _, held, _ in loads)
    assert answer["total"] >= sum(mapped for _, _, mapped in loads)
    assert answer["unexplained"] < SHARE_UNEXPLAINED * answer["private"]
    live = subject.live
    for name in live["kinds"]:
        if name.split(":")[0] in ("pymalloc", "mimalloc", "malloc"):
            assert bytes_of(answer, name) == bytes_of(live, name), name
    assert answer["arenas"] == live["arenas"] and answer["native"] == live["native"]
    assert [row["resident"] for row in answer["categories"]] == [None] * len(answer["categories"])


def test_children(cli, newest_python, tmp_path_factory, tmp_path):
    process = targets.PythonProcess(newest_python, "forked.py", tmp_path_factory.mktemp("forked"), "main")
    try:
        children = ask(cli, process, tmp_path)["children"]
        assert children[0]["parent"] == process.pid
        with open("/proc/%d/status" % children[0]["pid"]) as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
        assert children[0]["name"] == status["Name"]
        assert children[0]["resident"] == int(status["VmRSS"].split()[0]) * 1024
    finally:
        process.close()
