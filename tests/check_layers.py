#!/usr/bin/env python3
"""The layers: a folder of core/ includes only from itself and from folders above it in the list below.

The hosts include, beside their own files, only what HOST_LAYERS names. usage: check_layers.py [CHECKOUT]
"""
import pathlib
import re
import sys

LAYERS = ["base", "target", "layout", "runtime", "objects", "heap", "graph", "analysis", "render", "command"]
HOSTS = ["gdb-plugin", "lldb-plugin", "cli"]
HOST_LAYERS = {"base", "target", "command"}
SOURCES = {".c", ".h", ".cpp", ".def"}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def sources(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in SOURCES)


def included_layers(path, own_folder):
    """The core/ folders that a file includes from; an include without a folder is from beside the file."""
    for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
        if not (path.parent / name).exists() or name.split("/")[0] in LAYERS:
            yield name.split("/")[0] if "/" in name else own_folder


def violations(checkout):
    for i, layer in enumerate(LAYERS):
        for path in sources(checkout / "core" / layer):
            for other in included_layers(path, layer):
                if other not in LAYERS[:i + 1]:
                    yield f"{path.relative_to(checkout)} includes from {other}/, which is not above {layer}/"
    for host in HOSTS:
        for path in sources(checkout / host):
            for other in included_layers(path, host):
                if other not in HOST_LAYERS | {host}:
                    yield f"{path.relative_to(checkout)} includes from {other}/, which is not for hosts"
    for folder in sorted(p.name for p in (checkout / "core").iterdir() if p.is_dir()):
        if folder not in LAYERS:
            yield f"core/{folder} is no layer"


def main():
    checkout = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    found = list(violations(checkout))
    print("\n".join(found) or "the layers are in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
