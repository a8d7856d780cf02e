"""Makes many objects, and releases most of them: one of each hundred is kept.

usage: program_released.py [TRUTH]    see programs.py
"""
import programs

POINTS, KEPT = 100000, 1000


class Point(object):
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y


def make():
    return [Point(number * 1.5, number + 1000000) for number in range(POINTS)]


def main():
    points = make()
    peak = programs.resident()
    kept = points[::POINTS // KEPT]
    del points
    programs.stay("kept", peak=peak)


main()
