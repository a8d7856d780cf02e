"""`sizeof`: shallow is sys.getsizeof; deep is the sum over what gc.get_referents reaches, each object once."""
import json

import differences
import pytest


def check_deep(cli, target, directory):
    truth = target.truth
    samples = truth.data["deep"]
    document = json.loads(cli.run(target, [["sizeof", *samples, "--json"]], directory)[0])
    assert [row["address"] for row in document["objects"]] == list(samples)
    size_of = dict(zip(truth.address, truth.size))
    lines = []
    for row in document["objects"]:
        deep, count, by_type = samples[row["address"]]
        if row["shallow"] != size_of[int(row["address"], 16)]:
            lines.append("%s %s: shallow %d is not %d" % (row["address"], row["type"], row["shallow"],
                                                         size_of[int(row["address"], 16)]))
        if (row["deep"], row["deep_objects"]) != (deep, count):
            got = {t["type"]: [t["count"], t["bytes"]] for t in row["by_type"]}
            lines.append("%s %s: deep %d (%d objects) is not %d (%d): %s" % (
                row["address"], row["type"], row["deep"], row["deep_objects"], deep, count,
                "; ".join(differences.of_tables(by_type, got, "count, bytes")[:5])))
        if sum(t["bytes"] for t in row["by_type"]) != row["deep"]:
            lines.append("%s: by_type is not the whole" % row["address"])
    differences.require_none(lines)


def test_live(cli, live, tmp_path):
    if live.python.patched():
        pytest.skip(live.python.patched())
    assert len(live.truth.data["deep"]) >= 50
    check_deep(cli, live, tmp_path)


def test_core(cli, zoo_core, tmp_path):
    if zoo_core.python.patched():
        pytest.skip(zoo_core.python.patched())
    check_deep(cli, zoo_core, tmp_path)


def test_allocated_holds_the_object(cli, zoo, tmp_path):
    """What the allocator holds is at least the object, and not wildly more."""
    samples = [a for a in zoo.truth.data["deep"]][:20]
    for row in json.loads(cli.run(zoo, [["sizeof", *samples, "--json"]], tmp_path)[0])["objects"]:
        assert row["allocated"] >= row["shallow"] - 64, row
        assert row["allocated"] <= 2 * row["shallow"] + 4096, row
