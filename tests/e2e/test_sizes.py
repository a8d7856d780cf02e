"""`list '*' --limit 0` has every object that gc reaches, with its type and the exact sys.getsizeof."""
import collections
import json

import differences


def check_list(cli, target, directory):
    document = json.loads(cli.run(target, [["list", "*", "--limit", "0", "--json"]], directory)[0])
    assert document["matched"] == len(document["objects"])
    got = {int(row["address"], 16): row for row in document["objects"]}
    assert len(got) == len(document["objects"]), "an object is listed twice"

    wrong = collections.defaultdict(list)
    by_layout = target.truth.data["size_by_layout"]  # of what a library's own method would say otherwise
    for address, name, size in target.truth.rows():
        row = got.get(address)
        if row is None:
            wrong["%s: not listed" % name].append(hex(address))
        elif row["type"] != name:
            wrong["%s: listed as %s" % (name, row["type"])].append(hex(address))
        elif row["bytes"] != size and row["bytes"] != by_layout.get(row["address"]):
            wrong["%s: wrong size" % name].append("%#x is %d, not %d" % (address, size, row["bytes"]))
    differences.require_none(["%s: %d: %s" % (what, len(where), "; ".join(where[:differences.SHOWN]))
                              for what, where in sorted(wrong.items())])


def test_live(cli, live, tmp_path):
    check_list(cli, live, tmp_path)


def test_core(cli, zoo_core, tmp_path):
    check_list(cli, zoo_core, tmp_path)


def test_pages_are_the_whole(cli, zoo, tmp_path):
    whole, first, second = (json.loads(answer)["objects"] for answer in cli.run(zoo, [
        ["list", "dict", "--limit", "40", "--json"],
        ["list", "dict", "--limit", "20", "--json"],
        ["list", "dict", "--limit", "20", "--offset", "20", "--json"]], tmp_path))
    assert whole == first + second
    assert [row["bytes"] for row in whole] == sorted((row["bytes"] for row in whole), reverse=True)


def test_bare_addresses(cli, zoo, tmp_path):
    bare, full = cli.run(zoo, [["list", "__main__.*", "--limit", "0", "--addresses"],
                               ["list", "__main__.*", "--limit", "0", "--json"]], tmp_path)
    assert bare.decode().split() == [row["address"] for row in json.loads(full)["objects"]]


def test_size_limits(cli, zoo, tmp_path):
    answer = cli.run(zoo, [["list", "*", "--limit", "0", "--json", "--min-bytes", "500", "--max-bytes", "600"]], tmp_path)[0]
    rows = json.loads(answer)["objects"]
    expected = {address for address, _, size in zoo.truth.rows() if 500 <= size <= 600}
    assert all(500 <= row["bytes"] <= 600 for row in rows)
    differences.require_none(differences.of_sets(
        "500 to 600 bytes", expected, {int(row["address"], 16) for row in rows} & set(zoo.truth.address), hex))
