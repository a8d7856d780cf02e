"""Nested data with shared parts, of which sys.getsizeof tells the outermost only.

usage: program_nested.py [TRUTH]    see programs.py
"""
import programs


def main():
    address = {"street": "1 Long Street" * 3, "city": "a city of some name", "numbers": list(range(1000, 1200))}
    people = [{"name": "person %d" % number, "address": address, "tags": ["tag %d" % (number % 7), ("pair", number * 1000)]}
              for number in range(500)]
    matrix = [[float(row * column) for column in range(40)] for row in range(40)]
    everything = {"people": people, "matrix": matrix, "again": people, "first": people[0]}
    everything["itself"] = everything
    programs.stay("everything", "people", "matrix", "address")


main()
