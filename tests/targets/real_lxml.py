"""A feed reader that keeps one element of every document that it has read, and with it the document.

usage: see software.py
"""
from lxml import etree

import software

DOCUMENTS = 120
ENTRIES = 250


class Feed:
    def __init__(self, number):
        self.number = number
        self.latest = None
        self.seen = set()

    def read(self, text):
        tree = etree.fromstring(text)
        entries = tree.findall("entry")
        self.seen.update(entry.get("id") for entry in entries)
        self.latest = entries[-1]  # a proxy, which keeps the whole document


def document(number):
    return "<feed n='%d'>%s</feed>" % (number, "".join(
        "<entry id='%d.%d'><title>Entry %d</title><body>%s</body></entry>" % (number, entry, entry, "text " * 20)
        for entry in range(ENTRIES)))


def main():
    feeds = [Feed(number) for number in range(DOCUMENTS)]
    for feed in feeds:
        feed.read(document(feed.number))
    open_tree = etree.ElementTree(etree.fromstring(document(0)))
    walk = open_tree.iter("title")
    title = next(walk)
    titles = open_tree.xpath("//title/text()")[:20]
    software.stay(feeds=id(feeds), feed=id(feeds[7]), latest=id(feeds[7].latest), tree=id(open_tree), walk=id(walk),
                  title=id(title), titles=id(titles), text=id(titles[0]))


main()
