"""`top --scope tracked` is gc.get_objects() by type, to the object and the byte."""
import json

import differences


def tracked_by_type(truth):
    """{type: [count, bytes]}; the bytes without what methods of libraries say, which nobody runs."""
    table, by_layout = {}, truth.data["size_by_layout"]
    for address, name, size in truth.rows(tracked=True):
        entry = table.setdefault(name, [0, 0])
        entry[0] += 1
        entry[1] += by_layout.get(hex(address), size)
    return table


def which_addresses(cli, target, names, directory):
    """For a few types: which addresses the tool lacks, and which it has too much."""
    lines = []
    for name in names[:4]:
        command = ["list", name, "--scope", "tracked", "--limit", "0", "--json"]
        got = {int(row["address"], 16) for row in json.loads(cli.run(target, [command], directory)[0])["objects"]}
        expected = {address for address, t, _ in target.truth.rows(tracked=True) if t == name}
        lines += differences.of_sets("  " + name, expected, got, hex)
    return lines


def check_top(cli, target, directory):
    command = ["top", "--scope", "tracked", "--limit", "0", "--json"]
    document = json.loads(cli.run(target, [command], directory)[0])
    got = {}
    for row in document["types"]:
        entry = got.setdefault(row["type"], [0, 0])  # two types may have one name
        entry[0] += row["count"]
        entry[1] += row["bytes"]
    expected = tracked_by_type(target.truth)
    lines = differences.of_tables(expected, got, "count, bytes")
    if lines:
        lines += which_addresses(cli, target, [line.split(":")[0] for line in lines], directory)
    differences.require_none(lines)
    assert document["scope"] == "tracked"
    assert document["total"]["count"] == target.truth.tracked_count
    assert document["total"]["bytes"] == sum(size for _, size in expected.values())
    assert "skipped" not in document or not document["skipped"]


def test_live(cli, live, tmp_path):
    check_top(cli, live, tmp_path)


def test_core(cli, zoo_core, tmp_path):
    check_top(cli, zoo_core, tmp_path)


def test_version_and_common_keys(cli, zoo, python, tmp_path):
    document = json.loads(cli.run(zoo, [["top", "--json"]], tmp_path)[0])
    assert document["command"] == "top"
    assert document["python"]["version"] == ".".join(map(str, python.version))
    assert sorted(document["python"]["build"]) == sorted(python.flavours)


def test_info_tells_the_allocator(cli, zoo, python, tmp_path):
    assert json.loads(cli.run(zoo, [["info", "--json"]], tmp_path)[0])["allocator"] == python.allocator()


def test_limit_and_sort(cli, zoo, tmp_path):
    by_bytes, by_count = (json.loads(answer)["types"] for answer in cli.run(
        zoo, [["top", "--json", "--limit", "7"], ["top", "--json", "--sort", "count"]], tmp_path))
    assert len(by_bytes) == 7 and len(by_count) == 20
    assert by_bytes == sorted(by_bytes, key=lambda row: -row["bytes"])
    assert [row["count"] for row in by_count] == sorted((row["count"] for row in by_count), reverse=True)


def test_scopes_nest(cli, zoo, tmp_path):
    counts = [json.loads(answer)["total"]["count"] for answer in cli.run(
        zoo, [["top", "--json", "--scope", scope] for scope in ("tracked", "reachable", "unreachable", "all")], tmp_path)]
    tracked, reachable, unreachable, everything = counts
    assert tracked <= reachable <= everything == reachable + unreachable
    assert reachable >= len(zoo.truth.address)
