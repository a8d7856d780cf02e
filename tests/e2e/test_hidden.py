"""Objects that the collector does not know: found by closure, and in pymalloc's pools."""
import json

# 2.7's int and float lie in blocks of many and are known only where something refers to them.
REACHABLE_27 = {"text": "str", "number": "int", "data": "str", "real": "float", "pair": "tuple", "wide": "unicode",
                "big": "long"}
LEAKED_27 = {"leaked_str": "str", "leaked_unicode": "unicode", "leaked_long": "long", "leaked_tuple": "tuple"}

REACHABLE = {"text": "str", "number": "int", "data": "bytes", "real": "float", "pair": "tuple"}
LEAKED = {"leaked_str": "str", "leaked_bytes": "bytes", "leaked_int": "int", "leaked_float": "float",
          "leaked_tuple": "tuple"}


def check_scopes(cli, target, marked, having, lacking, directory):
    """That each marked object is listed in the scopes that it belongs to, and in no other."""
    asked = [(scope, type_name) for scope in (*having, *lacking) for type_name in sorted(set(marked.values()))]
    answers = cli.run(target, [["list", type_name, "--scope", scope, "--limit", "0", "--addresses"]
                               for scope, type_name in asked], directory)
    listed = {key: set(answer.decode().split()) for key, answer in zip(asked, answers)}
    for mark, type_name in marked.items():
        for scope in (*having, *lacking):
            assert (target.truth.marks[mark] in listed[scope, type_name]) == (scope in having), (mark, scope)


def test_reachable_though_untracked(cli, zoo, tmp_path):
    check_scopes(cli, zoo, REACHABLE_27 if zoo.python.version < (3,) else REACHABLE, ["reachable"],
                 ["tracked", "unreachable"], tmp_path)


def test_leaked_and_reachable_by_nobody(cli, zoo, tmp_path):
    check_scopes(cli, zoo, LEAKED_27 if zoo.python.version < (3,) else LEAKED, ["unreachable", "all"], ["reachable"], tmp_path)


def test_show_tells_the_value(cli, zoo, tmp_path):
    marks = zoo.truth.marks
    pid = zoo.pid
    expected = {"text": "hidden text %d" % pid, "number": str(pid * 10 ** 12), "data": "hidden bytes %d" % pid,
                "real": repr(pid * 1.25), "leaked_str": "leaked str %d" % pid}
    answers = cli.run(zoo, [["show", marks[mark], "--json"] for mark in expected], tmp_path)
    for (mark, value), answer in zip(expected.items(), answers):
        assert value in json.loads(answer)["summary"], mark


def test_text_is_shown_as_repr_shows_it(cli, zoo, tmp_path):
    expected = [(mark[len("repr "):], address) for mark, address in zoo.truth.marks.items() if mark.startswith("repr ")]
    answers = cli.run(zoo, [["show", address, "--json"] for _, address in expected], tmp_path)
    assert len(expected) == 10 and [json.loads(answer)["summary"] for answer in answers] == [text for text, _ in expected]


def test_native_references(cli, zoo, tmp_path):
    """A leaked reference is one that the refcount shows and nothing explains."""
    document = json.loads(cli.run(zoo, [["referrers", zoo.truth.marks["leaked_bytes"], "--json"]], tmp_path)[0])
    assert (document["found"], document["native"], document["refcount"]) == (0, 1, 1)
