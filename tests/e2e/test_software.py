"""Real software: numpy, pandas, lxml, SQLAlchemy and Django of Debian, in programs that keep too much (tests/targets/real_*.py).

The truth is that of the forked child, as in test_tracked.py and its like; and for each program what a person would
want to be told: who keeps it.
"""
import json
import subprocess

import differences
import pytest
import targets
from test_deep import check_deep
from test_graph import function_of, steps_lead_on
from test_referrers import ask, check_referrers, check_referents
from test_sizes import check_list
from test_tracked import check_top

PACKAGES = ["numpy", "pandas", "lxml", "sqlalchemy", "django"]

# What cannot agree, and why:
# - an ndarray has no traverse function: gc does not show its base (offset 48), nor the dtype of a subclass's instance;
UNSEEN = ["+0x30", "+0x38", "base", "dtype"]
# - functions that Cython compiled keep default arguments that are no constants in memory of malloc's, whose form is the
#   module's own;
MISSED = ["cython_function_or_method", "fused_cython_function"]
# - numpy's memory holds the objects in an array of objects, and nothing names the base of an array as a step of Python.
WITHOUT_EXPRESSION = {"frame", "name"}


def has(python, package):
    return subprocess.run([*python.argv, "-c", "import " + package], env={**python.environment, "PATH": "/usr/bin:/bin"},
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


@pytest.fixture(scope="session")
def started(system_python, tmp_path_factory):
    """started(package, how): its program, live or its core; each once."""
    found = {}

    def get(package, how="live"):
        if not has(system_python, package):
            pytest.skip("%s has no %s: install python3-%s" % (system_python.name, package, package))
        if (package, how) not in found:
            process = targets.Answering(system_python, "real_%s.py" % package, tmp_path_factory.mktemp(package))
            found[package, how] = process if how == "live" else process.core()
        return found[package, how]

    yield get
    for thing in found.values():
        thing.close()


@pytest.fixture(scope="session", params=PACKAGES)
def service(request, started):
    return started(request.param)


@pytest.fixture(scope="session", params=[(package, how) for package in PACKAGES for how in ("live", "core")], ids="-".join)
def target(request, started):
    return started(*request.param)


def test_some_software_is_here(system_python):
    assert any(has(system_python, package) for package in PACKAGES), "install python3-" + " python3-".join(PACKAGES)


def test_tracked(cli, target, tmp_path):
    check_top(cli, target, tmp_path)


def test_sizes(cli, target, tmp_path):
    check_list(cli, target, tmp_path)


def test_deep(cli, target, tmp_path):
    assert len(target.truth.data["deep"]) >= 50
    check_deep(cli, target, tmp_path)


def test_referrers(cli, target, tmp_path):
    answers = ask(cli, target, "referrers", target.truth.data["referrers"], tmp_path)
    check_referrers(answers, target, UNSEEN, MISSED)


def test_referents(cli, target, tmp_path):
    check_referents(ask(cli, target, "referents", target.truth.data["referents"], tmp_path), target)


def test_sound(cli, target, tmp_path):
    document = json.loads(cli.run(target, [["verify", "--json"]], tmp_path)[0])
    assert document["problems"] == [] and document["checked"] > 10000 and not document.get("skipped")


def test_expressions_give_the_object(cli, service, tmp_path):
    chosen = list(dict.fromkeys([*service.truth.marks.values(), *service.truth.data["referents"]]))
    questions, reached, lines = [], set(), []
    for address, document in ask(cli, service, "why", chosen, tmp_path).items():
        steps_lead_on(document)
        if any(path["root"]["kind"] in ("frame", "state") for path in document["paths"]):
            reached.add(address)
        questions += [(address, function_of(path), path["expression"]) for path in document["paths"] if path["expression"]]
    without = {name for name, address in service.truth.marks.items() if address not in {address for address, _, _ in questions}}
    assert without <= WITHOUT_EXPRESSION
    assert len({address for address, _, _ in questions}) > 0.6 * len(reached)
    for (address, function, expression), got in zip(questions, service.evaluate(
            ["%s\t%s" % (function, expression) if function else expression for _, function, expression in questions])):
        if got != int(address, 16):
            lines.append("%s: %s gives %s" % (address, expression, got if isinstance(got, str) else hex(got)))
    differences.require_none(lines)


def test_debuggers_agree(debugger, cli, service, tmp_path):
    """One session in a debugger: who holds it, and is the heap sound?"""
    if debugger.name not in ("gdb", "lldb"):
        pytest.skip("the others' look at the zoo is enough")
    marks = sorted(service.truth.marks.values())[:3]
    lines = [["top", "--limit", "12"], ["suspects"], ["verify"], ["sizeof", *marks], *(["why", mark] for mark in marks),
             *(["referrers", mark] for mark in marks)]
    lines += [line + ["--json"] for line in lines[1:]]
    assert debugger.run(service, lines, tmp_path) == cli.run(service, lines, tmp_path)


def test_native_code_is_no_suspect(cli, service, tmp_path):
    """What C modules keep for themselves is no leak: constants of Cython's, tables that look like objects, running frames."""
    rows = json.loads(cli.run(service, [["suspects", "--json", "--limit", "0"]], tmp_path)[0])["suspects"]
    assert [row for row in rows if row["kind"] == "native"] == []


# ---- what a person would want to be told ----


def said(cli, service, tmp_path, *command):
    return json.loads(cli.run(service, [[*command, "--json"]], tmp_path)[0])


def test_django(cli, started, tmp_path):
    """The query sets stay in a list of the module, and their rows with them."""
    service = started("django")
    first = said(cli, service, tmp_path, "suspects")["suspects"][0]
    assert first["holder"]["address"] == service.truth.marks["recent"]
    assert first["holder"]["path"] == "sys.modules['__main__'].RECENT"
    assert (first["accumulated"]["type"], first["accumulated"]["count"]) == ("django.db.models.query.QuerySet", 150)
    tree = said(cli, service, tmp_path, "why", "--type", "__main__.Book")
    assert tree["count"] == service.truth.type.count("__main__.Book") == 5630


def test_sqlalchemy(cli, started, tmp_path):
    """The session keeps the orders, for each was changed: its state holds it, though the map of identities is weak."""
    service = started("sqlalchemy")
    first = said(cli, service, tmp_path, "suspects")["suspects"][0]
    assert "importer.session" in first["holder"]["path"] and "identity_map" in first["holder"]["path"]
    assert first["accumulated"]["type"] == "sqlalchemy.orm.state.InstanceState" and first["accumulated"]["count"] >= 2999
    rows = said(cli, service, tmp_path, "referrers", service.truth.marks["order"])["referrers"]
    assert [row["label"] for row in rows if row["strong"]] == ["['_strong_obj']"]
    assert any(not row["strong"] and row["type"].startswith("weakref") for row in rows)


def test_lxml(cli, started, tmp_path):
    """An element keeps its document, whose memory is no object's."""
    service = started("lxml")
    row, = [row for row in said(cli, service, tmp_path, "memory")["categories"] if row["name"] == "malloc: other native memory"]
    assert row["bytes"] > 120 * 250 * 300  # each entry has a text of a hundred bytes and five nodes of some sixty at least
    types = {row["type"]: row["count"] for row in said(cli, service, tmp_path, "top", "--type", "lxml.*", "--limit", "0")["types"]}
    assert types["lxml.etree._Document"] == 121
    document, = [row for row in said(cli, service, tmp_path, "referents", service.truth.marks["latest"])["referents"]
                 if row["type"] == "lxml.etree._Document"]
    path = said(cli, service, tmp_path, "why", document["address"])["paths"][0]
    assert [step["label"] for step in path["steps"]][1:3] == ["[7]", ".latest"]


def test_pandas(cli, started, tmp_path):
    """The frames stay in a dict, and a column that was taken out stays with its frame."""
    service = started("pandas")
    tree = said(cli, service, tmp_path, "why", "--type", "pandas.core.frame.DataFrame")
    assert tree["count"] == 6 and "by_month" in json.dumps(tree)
    path = said(cli, service, tmp_path, "why", service.truth.marks["column"])["paths"][0]
    assert path["expression"] == "reports.by_month[3]._item_cache['customer']"


def test_numpy(cli, started, tmp_path):
    """A view keeps the whole array."""
    service = started("numpy")
    rows = said(cli, service, tmp_path, "referrers", service.truth.marks["frame"])["referrers"]
    assert sorted(row["type"] for row in rows if row["strong"]) == ["dict", "numpy.ndarray"]
    path = said(cli, service, tmp_path, "why", service.truth.marks["frame"], "--paths", "2")["paths"]
    assert any(step["address"] == service.truth.marks["frames"] for way in path for step in way["steps"])
