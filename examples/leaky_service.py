#!/usr/bin/env python3
"""A small web shop's back end that leaks: its session cache means to expire sessions, and never does.

Each request makes a session; SessionCache.expire() compares against a deadline that remember() keeps moving.
Run it, and look at it with py-heap while it serves.
"""
import itertools
import queue
import random
import threading
import time

WORKERS = 3
WARM_UP_REQUESTS = 20000
REQUESTS_PER_SECOND = 50


class Product:
    def __init__(self, number):
        self.sku = "SKU-%05d" % number
        self.price_cents = 100 + number % 5000


class Session:
    def __init__(self, number, basket):
        self.token = "%032x" % random.getrandbits(128)
        self.number = number
        self.basket = basket
        self.pages = ["/", "/search?q=%d" % number, "/basket"]
        self.started = time.time()


class SessionCache:
    def __init__(self, keep_seconds):
        self.keep_seconds = keep_seconds
        self.sessions = {}
        self.deadline = time.time() + keep_seconds

    def remember(self, session):
        self.sessions[session.token] = session
        self.deadline = time.time() + self.keep_seconds  # the leak: it is never reached

    def expire(self):
        if time.time() > self.deadline:
            self.sessions.clear()


class Shop:
    def __init__(self):
        self.catalogue = [Product(i) for i in range(500)]
        self.cache = SessionCache(keep_seconds=60)
        self.requests = queue.Queue()

    def handle(self, number):
        basket = random.sample(self.catalogue, 3)
        self.cache.remember(Session(number, basket))
        self.cache.expire()
        return sum(product.price_cents for product in basket)

    def work(self):
        handled = 0
        while True:
            number = self.requests.get()
            self.handle(number)
            handled += 1


def main():
    shop = Shop()
    numbers = itertools.count(1)
    for number in itertools.islice(numbers, WARM_UP_REQUESTS):
        shop.handle(number)
    for _ in range(WORKERS):
        threading.Thread(target=shop.work, daemon=True).start()
    print("serving", flush=True)
    for number in numbers:
        shop.requests.put(number)
        time.sleep(1 / REQUESTS_PER_SECOND)


if __name__ == "__main__":
    main()
