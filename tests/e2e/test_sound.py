"""`verify` has nothing to say about a sound heap, and has looked at all of it."""
import json


def require_sound(host, target, directory):
    everything, document = (json.loads(answer) for answer in host.run(
        target, [["top", "--json"], ["verify", "--limit", "0", "--json"]], directory))
    assert document["problems"] == []
    assert document["found"] == 0 and "left_out" not in document
    assert document["checked"] == everything["total"]["count"]
    # A thread's guard page is in no core.
    assert {row["what"] for row in document.get("skipped", [])} <= {"bytes of memory that could not be read"}


def test_live(cli, live, tmp_path):
    require_sound(cli, live, tmp_path)


def test_core(cli, zoo_core, tmp_path):
    require_sound(cli, zoo_core, tmp_path)


def test_text(cli, zoo, tmp_path):
    answer, document = cli.run(zoo, [["verify"], ["verify", "--json"]], tmp_path)
    document = json.loads(document)
    words = ["{:,} objects".format(document["checked"])]
    if document["lists"]:
        words.append("%d collector lists" % document["lists"])
    if document["pools"]:
        words.append("{:,} {}".format(document["pools"], "pages" if "mimalloc" in zoo.python.allocator() else "pools"))
    assert answer.decode() == ", ".join(words) + ": sound\n"
