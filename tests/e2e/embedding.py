"""Programs with an interpreter inside: tests/targets/embed.c, built in each way in which a program may have one."""
import glob
import os
import shutil
import subprocess

import targets

SOURCE = os.path.join(targets.PROGRAMS, "embed.c")

# linked: to the shared library; opened: dlopen with RTLD_LOCAL; static: inside the program, which exports nothing and
# has no symbols; nameless: the same without the section's name that finds _PyRuntime in 3.10 and later.
KINDS = ["linked", "opened", "static", "nameless"]


def include_folder(python):
    return next(iter(glob.glob("%s/include/python%d.%d*" % (python.prefix, *python.version[:2]))), None)


def archive(python):
    return next(iter(glob.glob("%s/lib/python%d.%d/config-*/libpython*.a" % (python.prefix, *python.version[:2]))), None)


def possible(python):
    """Whether the interpreter has what a program needs to be built with it, each way."""
    return bool(not python.root and python.libpython() and include_folder(python) and archive(python))


def build(python, directory, kind, before=()):
    """The interpreter inside a program. before: of kind opened, what the program is told before its own library."""
    program = os.path.join(str(directory), "embed-" + kind)
    library = python.libpython()
    words = {
        "linked": [library, "-Wl,-rpath," + os.path.dirname(library)],
        "opened": ["-DOPENS_LIBRARIES", "-ldl"],
        "static": ["-s", archive(python), "-Wl,--exclude-libs,ALL", "-lpthread", "-ldl", "-lutil", "-lm"],
    }["static" if kind == "nameless" else kind]
    subprocess.run([shutil.which("cc"), "-I", include_folder(python), SOURCE, "-o", program, *words], check=True,
                   stderr=subprocess.PIPE)
    if kind == "nameless":
        subprocess.run(["objcopy", "--rename-section", ".PyRuntime=.nameless", program], check=True)
    embedded = python.variant(kind, {"PYTHONHOME": python.prefix})
    embedded.path, embedded.argv, embedded.options = program, [program], []
    if kind == "opened":
        embedded.argv += [*before, "-l", library]
    return embedded
