"""A worker that keeps every frame of a video it has worked on, for it caches by a key that never comes again.

usage: see software.py
"""
import itertools

import numpy

import software

FRAMES = 60
SHAPE = (120, 160, 3)


class Worker:
    def __init__(self):
        self.frames = {}
        self.labels = numpy.array([{"frame": number, "label": "cat %d" % number} for number in range(50)], dtype=object)
        self.codes = numpy.array([("cat", 1, 0.5), ("dog", 2, 0.25)], dtype=[("name", "U10"), ("id", "i4"), ("weight", "f8")])
        self.ticks = itertools.count()

    def take(self, number):
        frame = numpy.full(SHAPE, number % 256, dtype=numpy.uint8)
        self.frames[next(self.ticks), number] = frame
        return frame

    def thumbnails(self):
        """Views: each keeps the whole frame."""
        return [frame[::8, ::8, 0] for frame in self.frames.values()]


def main():
    worker = Worker()
    for number in range(FRAMES):
        worker.take(number)
    thumbnails = worker.thumbnails()
    means = [numpy.float64(thumbnail.mean()) for thumbnail in thumbnails]
    one = worker.labels[7]
    software.stay(worker=id(worker), frames=id(worker.frames), frame=id(thumbnails[5].base), thumbnail=id(thumbnails[5]),
                  labels=id(worker.labels), label=id(one), means=id(means))


main()
