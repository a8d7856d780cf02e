"""What to say when an answer is not the truth: few lines that show where to look."""

SHOWN = 8


def of_sets(what, expected, got, describe=str):
    """Lines about what is missing from `got` and what it has too much; empty where they are equal."""
    lines = []
    for word, items in (("missing", expected - got), ("extra", got - expected)):
        if items:
            shown = ", ".join(describe(item) for item in sorted(items)[:SHOWN])
            lines.append("%s: %d %s: %s%s" % (what, len(items), word, shown, ", ..." if len(items) > SHOWN else ""))
    return lines


def of_tables(expected, got, columns):
    """Lines about {type: figures} tables that differ, most telling first."""
    lines = []
    for name in sorted(set(expected) | set(got)):
        if expected.get(name) != got.get(name):
            lines.append("%s: expected %s, got %s (%s)" % (name, expected.get(name), got.get(name), columns))
    return lines


def require_none(lines, limit=40):
    """Fail with the lines unless there are none."""
    assert not lines, "%d differences\n  %s%s" % (
        len(lines), "\n  ".join(lines[:limit]), "\n  ..." if len(lines) > limit else "")
