"""What a process's writable memory, registers and scheduling are, read from /proc. usage: memory.py PID

Prints one line a thing, so that two looks can be compared as text.
"""
import hashlib
import os
import sys

BLOCK_BYTES = 1 << 20
PAGE_BYTES = 4096


def look(pid):
    return "\n".join([*writable_memory(pid), *registers(pid), *switches(pid)]) + "\n"


def writable_memory(pid):
    """A digest of every writable region."""
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            span, permissions = line.split()[:2]
            if "w" not in permissions:
                continue
            start, end = (int(word, 16) for word in span.split("-"))
            digest = hashlib.blake2b(digest_size=16)
            while start < end:
                memory.seek(start)
                try:
                    block = memory.read(min(end - start, BLOCK_BYTES))
                except OSError:  # a guard page inside a stack's mapping (glibc 2.42 on)
                    block = b"?" * PAGE_BYTES
                digest.update(block)
                start += len(block)
            yield "memory %s %s" % (span, digest.hexdigest())


def threads(pid):
    return sorted(int(name) for name in os.listdir("/proc/%d/task" % pid))


def registers(pid):
    """System call, its arguments, stack pointer and program counter of each thread."""
    for thread in threads(pid):
        with open("/proc/%d/task/%d/syscall" % (pid, thread)) as f:
            yield "registers %d %s" % (thread, f.read().strip())


def switches(pid):
    """How often each thread was scheduled."""
    for thread in threads(pid):
        with open("/proc/%d/task/%d/status" % (pid, thread)) as f:
            yield "scheduled %d %s" % (thread, " ".join(line.split()[1] for line in f if "ctxt_switches" in line))


if __name__ == "__main__":
    sys.stdout.write(look(int(sys.argv[1])))
