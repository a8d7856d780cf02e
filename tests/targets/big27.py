"""The service of big.py for Python 2.7: the same classes and threads, without tasks.

usage: big27.py TRUTH [SAMPLES]    (see oracle.park)
"""
import collections
import sys
import threading
import time

import oracle

USERS = 24000
THREADS = 8


class User(object):
    def __init__(self, number):
        self.name = "user-%08d" % number
        self.number = number + 10 ** 6
        self.score = number * 1.5 + 0.25
        self.tags = ["common", u"tag/%d" % number]
        self.position = (number + 0.5, number + 0.125)
        self.properties = {"id": self.number, "label": "label of %d" % number, "data": 10 ** 20 + number}


class Session:
    def __init__(self, user, previous):
        self.user, self.previous, self.next = user, previous, None
        self.rows = collections.deque([user.number], maxlen=5)
        if previous is not None:
            previous.next = self


class Registry:
    def __init__(self):
        self.users, self.by_name, self.sessions = [], {}, collections.OrderedDict()
        self.groups = collections.defaultdict(set)
        self.generators = []


REGISTRY = Registry()


def page_of(users, size):
    page = []
    for user in users:
        page.append(user)
        if len(page) == size:
            yield page
            page = []


def work(number, gate, ready):
    rows = [REGISTRY.users[i] for i in range(number, 2000, THREADS)]
    parked({"rows": rows, "thread": number}, gate, ready)


def parked(report, gate, ready):
    total = 10 ** 9 + len(report["rows"])
    ready.release()
    gate.acquire()
    return total


def build():
    previous = None
    for i in range(USERS):
        user = User(i)
        REGISTRY.users.append(user)
        REGISTRY.by_name[user.name] = user
        if i % 2 == 0:
            previous = REGISTRY.sessions[user.number] = Session(user, previous)
        REGISTRY.groups["group %d" % (i % 50)].add(user.name)
    for i in range(100):
        generator = page_of(REGISTRY.users, i + 1)
        next(generator)
        REGISTRY.generators.append(generator)
    build_threads()


def build_threads():
    gate, ready = threading.Lock(), threading.Semaphore(0)
    gate.acquire()
    threads = [threading.Thread(target=work, args=(i, gate, ready)) for i in range(THREADS)]
    for thread in threads:
        thread.daemon = True
        thread.start()
    for thread in threads:
        ready.acquire()
    while any(sys._current_frames()[t.ident].f_code is not parked.__code__ for t in threads):
        time.sleep(0.01)


if __name__ == "__main__":
    build()
    oracle.park(sys.argv[1], *map(int, sys.argv[2:3]), always=[REGISTRY.users[77], REGISTRY.by_name, REGISTRY])
