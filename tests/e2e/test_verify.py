"""`verify`: a sound heap has no problem, whatever it holds; and what was damaged is found, and nothing else."""
import json


def verify(cli, target, directory):
    return json.loads(cli.run(target, [["verify", "--limit", "0", "--json"]], directory)[0])


def require_sound(cli, target, directory):
    everything, document = (json.loads(answer) for answer in cli.run(
        target, [["top", "--json"], ["verify", "--limit", "0", "--json"]], directory))
    assert document["problems"] == []
    assert document["found"] == document["left_out"] == 0
    assert document["checked"] == everything["total"]["count"]
    assert "skipped" not in document


def test_live(cli, live, tmp_path):
    require_sound(cli, live, tmp_path)


def test_core(cli, zoo_core, tmp_path):
    require_sound(cli, zoo_core, tmp_path)
