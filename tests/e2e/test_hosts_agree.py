"""GDB, gdb-minimal and LLDB answer as the command line does, byte for byte, live and from a core."""
import pytest
import targets

SAMPLED_TYPES = ["dict", "list", "str", "type", "function", "generator", "__main__.Point", "__main__.Worker", "int"]


def commands(truth):
    samples = [truth.one_of(name) for name in SAMPLED_TYPES]
    inside = hex(int(samples[0], 16) + 8)
    lines = [["top"], ["top", "--limit", "0"], ["top", "--scope", "tracked", "--sort", "count"],
             ["top", "--type", "*.*", "--group-by", "module"],
             ["top", "--group-by", "value"], ["waste"], ["waste", "--kind", "sparse-dicts"], ["find", "a", "--limit", "50"],
             ["find", "--regex", "^[a-z]+_"], ["find", "--attribute", "name"],
             ["verify"], ["layout", "--limit", "0"], ["dominators"], ["dominators", samples[0], "--depth", "3"], ["dominators", samples[7], "--set"],
             ["dominators", "--of", "__main__.Point"], ["top", "--sort", "retained"],
             ["frames"], ["frames", "--locals", "--limit", "0"], ["arrays"], ["arrays", "--type", "byte*", "--limit", "0"], ["trace"],
             ["suspects"], ["cycles"], ["why", samples[5], "--paths", "3"], ["why", samples[0], "--to", samples[2]],
             ["why", "--type", "__main__.*", "--limit", "40"], ["list", "dict"], ["list", "*", "--limit", "300"], ["list", "str", "--limit", "100", "--offset", "50"],
             ["list", "__main__.Poi?t", "--addresses", "--limit", "0"],
             ["sizeof", *samples], ["whatis", inside], ["whatis", "0x10"],
             ["referrers", samples[0], "--depth", "2"], ["referrers", samples[1], "--by-type"],
             ["referents", samples[7], "--depth", "3"], ["show", samples[2], "--full"]]
    for i, sample in enumerate(samples):
        lines += [["show", sample], ["referrers", sample]] if i % 2 else [["referents", sample], ["whatis", sample]]
    return lines + [line + ["--json"] for line in lines if "--addresses" not in line]


@pytest.fixture(scope="module")
def snapshot(cli, zoo_target, tmp_path_factory):
    """What the command line saves."""
    path = tmp_path_factory.mktemp("snapshot") / "zoo"
    cli.run(zoo_target, [["save", str(path)]], path.parent)
    return path


@pytest.fixture(scope="module")
def expected(cli, zoo_target, snapshot, tmp_path_factory):
    """The command line's answers: (commands, bytes)."""
    lines = commands(zoo_target.truth)
    compared = ["diff", str(snapshot), "--limit", "0"]
    lines += [compared[:2], [*compared, "--json"], [*compared, "--group-by", "holder", "--json"], [*compared, "--new", "--json"]]
    if isinstance(zoo_target, targets.Core):  # what is resident of a live process changes as hosts look at it
        lines += [["memory"], ["memory", "--by-size-class"], ["memory", "--json"]]
    return lines, cli.run(zoo_target, lines, tmp_path_factory.mktemp("expected"))


def test_same_bytes(debugger, cli, zoo_target, snapshot, expected, tmp_path):
    lines, answers = expected
    saved = tmp_path / "saved"
    different = []
    for line, want, got in zip(lines, answers, debugger.run(zoo_target, [*lines, ["save", str(saved)]], tmp_path)):
        if want != got:
            at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
            different.append("%s: at byte %d: cli %r, %s %r" % (
                " ".join(line), at, want[max(0, at - 60):at + 60], debugger.name, got[max(0, at - 60):at + 60]))
    assert not different, "%d of %d differ\n%s" % (len(different), len(lines), "\n".join(different[:10]))
    for more in ([], ["--group-by", "holder"]):
        assert "Nothing changed." in cli.call(targets.Nothing(), ["diff", str(snapshot), str(saved), *more]).out


def test_same_text_on_the_terminal(debugger, zoo_target, cli):
    """What the user sees, through the debugger's own stream."""
    lines = ["top", "list __main__.Point", "show " + zoo_target.truth.one_of("__main__.Point")]
    sections, _ = debugger.session(zoo_target, ["py-heap " + line for line in lines])
    for line, section in zip(lines, sections):
        assert section.rstrip("\n") == cli.call(zoo_target, line.split()).out.rstrip("\n"), line
