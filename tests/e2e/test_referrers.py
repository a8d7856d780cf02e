"""`referrers` is gc.get_referrers plus the locals of running and suspended frames; `referents` is gc.get_referents.

What the two need not agree on, and why:
- Referrers that the collector does not track (a dict of plain values, an untracked tuple) are not in
  gc.get_referrers; only referrers that gc tracks are compared.
- Weak edges are marked `strong: false` and are no references to gc.
- gc need not show references to what cannot be part of a cycle: for objects that are not tracked themselves
  (str, int, code) py-heap may know more referrers than gc. The truth has keys of dicts added by hand.
- While a generator runs (3.11 on), gc does not show its locals; its row is of kind `frame`, and the rows of
  that kind are compared with the locals that sys._current_frames() and gi_frame show.
- A type written in C may not visit its own type (before 3.9 none had to), though each instance of a heap type
  holds it: `__class__` edges may be more than gc shows.
"""
import json

import differences
import pytest


def addresses(rows, **having):
    """Where the strong references among the rows come from, or go to."""
    return {int(row["address"], 16) for row in rows
            if row.get("address") and row["strong"] and all(row[key] == value for key, value in having.items())}


def ask(cli, target, command, samples, directory):
    """{address: document} of a command that takes an address, asked for each sample."""
    lines = [[command, address, "--limit", "0", "--json"] for address in samples]
    answers, said = cli.try_all(target, lines, directory)
    differences.require_none(["no answer to %s %s, which is a %s: %s" % (
        command, address, target.truth.type_of.get(int(address, 16), "?"), words.strip())
        for address, answer, words in zip(samples, answers, said) if answer is None])
    return dict(zip(samples, map(json.loads, answers)))


def describer(truth):
    return lambda address: "%#x %s" % (address, truth.type_of.get(address, "?"))


def check_referrers(answers, target, unseen=(), missed=()):
    """`unseen`: labels of references that gc does not show; `missed`: types of holders that need not be found."""
    truth, lines = target.truth, []
    unseen = {"__class__", *unseen}
    describe = describer(truth)
    for sample, expected in truth.data["referrers"].items():
        rows = answers[sample]["referrers"]
        expected = {a for a in (int(a, 16) for a in expected) if truth.type_of[a] not in missed}
        got = addresses(rows) & expected
        if int(sample, 16) in truth.tracked:
            others = [row for row in rows if row["label"].lstrip(".") not in unseen]
            got |= {a for a in addresses(others, kind="object") & truth.tracked if truth.type_of[a] not in missed}
        lines += differences.of_sets("referrers of " + describe(int(sample, 16)), expected, got, describe)
    differences.require_none(lines)


def test_referrers(cli, live, tmp_path):
    if live.python.patched():
        pytest.skip(live.python.patched())
    samples = list(live.truth.data["referrers"])
    assert len(samples) >= 200
    check_referrers(ask(cli, live, "referrers", samples, tmp_path), live)


def test_frames_hold_their_locals(cli, live, tmp_path):
    held = {}
    for frame in live.truth.data["frames"] + live.truth.data["suspended"]:
        for name, address in frame["locals"].items():
            held.setdefault(address, set()).add((frame["function"], name))
    held = {address: held[address] for address in live.truth.data["referrers"] if address in held}
    assert held
    lines = []
    for address, document in ask(cli, live, "referrers", held, tmp_path).items():
        frames = [row for row in document["referrers"] if row["kind"] == "frame"]
        for function, name in held[address]:
            if not any(name in row["label"] and function in json.dumps(row) for row in frames):
                lines.append("%s: local %s of %s is not among %s" % (address, name, function, frames[:3]))
    differences.require_none(lines)


def check_referents(answers, target):
    truth, lines = target.truth, []
    describe = describer(truth)
    for sample, document in answers.items():
        expected = {int(a, 16) for a in truth.data["referents"][sample]}
        got = addresses(document["referents"]) & expected
        lines += differences.of_sets("referents of " + describe(int(sample, 16)), expected, got, describe)
    differences.require_none(lines)


def test_referents(cli, live, tmp_path):
    check_referents(ask(cli, live, "referents", live.truth.data["referents"], tmp_path), live)


def test_both_directions_agree(cli, zoo, tmp_path):
    """Each strong referent names the sample among its referrers."""
    samples = list(zoo.truth.data["referents"])[:30]
    pairs = [(int(sample, 16), row["address"])
             for sample, document in ask(cli, zoo, "referents", samples, tmp_path).items()
             for row in document["referents"][:3] if row["strong"]]
    answers = ask(cli, zoo, "referrers", sorted({address for _, address in pairs}), tmp_path)
    describe = describer(zoo.truth)
    differences.require_none(["%s refers to %s, which does not say so" % (describe(holder), address)
                              for holder, address in pairs if holder not in addresses(answers[address]["referrers"])])


def test_labels_say_how(cli, zoo, tmp_path):
    """`referents` of objects of the zoo, by name."""
    expected = {
        "__main__.Data": {".name", ".rows", "__class__"},
        "__main__.Slots": {".a", "__class__"},
        "__main__.Worker": {".gate", ".ready", ".number", "__class__"},
        **({"instancemethod": {"__func__", "im_class"}} if zoo.python.version < (3,) else
           {"method": {"__func__", "__self__"}}),
        "functools.partial": {".func"},
    }
    samples = {zoo.truth.one_of(name): name for name in expected}
    lines = []
    for address, document in ask(cli, zoo, "referents", samples, tmp_path).items():
        labels = {row["label"] for row in document["referents"]}
        if "__dict__" in labels or ".__dict__" in labels:
            continue  # the attributes are the dict's
        wanted = expected[samples[address]]
        if not {label.lstrip(".") for label in wanted} <= {label.lstrip(".") for label in labels}:
            lines.append("%s: %s are not all among %s" % (samples[address], sorted(wanted), sorted(labels)))
    differences.require_none(lines)


def test_depth_and_by_type(cli, zoo, tmp_path):
    address = zoo.truth.one_of("__main__.Worker")
    deep, by_type = cli.run(zoo, [["referrers", address, "--depth", "3", "--limit", "0"], ["referrers", address, "--by-type", "--limit", "0"]], tmp_path)
    assert b"list" in deep and b"list" in by_type
