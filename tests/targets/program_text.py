"""Reads the lines of a text, and keeps them as they were and in upper case.

usage: program_text.py [TRUTH]    see programs.py
"""
import programs

LINES = 10000


def read(lines):
    return [line.rstrip("\n") for line in lines]


def shout(lines):
    upper = []
    for line in lines:
        upper.append(line.upper())
    return upper


def main():
    lines = read("%06d the quick brown fox jumps over the lazy dog\n" % number for number in range(LINES))
    upper = shout(lines)
    programs.stay("lines", "upper")


main()
