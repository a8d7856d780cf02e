"""Interpreters and debuggers that this machine lacks: what there can be, how it is got, and where it then lies.

A suite is a Debian release that debootstrap put into a folder; what runs in it has a mount namespace and a root
of its own. Interpreters that no suite has are built from Debian's source package. Everything lies in the cache
folder (XDG_CACHE_HOME or ~/.cache, then py-heap) under a key made of what was asked for, so that a changed list
is got anew. A foreign root is an interpreter of another architecture with its libraries, unpacked into a folder.
Getting needs root and Debian's registry; using what is there needs root for what runs in a root of its own.
"""
import glob
import hashlib
import os
import shutil
import subprocess
import sys

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "py-heap")

# What a suite's folder holds: interpreters with their debug builds, debuggers, and the libraries of the plugins.
SUITES = {
    "trixie": "python3.13 python3.13-dbg gdb gdbserver libffi8 libelf1t64 libdw1t64 libpopt0 libjson-c5 liblz4-1 libzstd1",
    "sid": """python3.13 python3.13-dbg python3.13-dev python3.14 python3.14-dbg python3.14-dev
              python3.15 python3.15-dbg python3.15-dev gdb gdbserver lldb-22
              libffi8 libelf1t64 libdw1t64 libpopt0 libjson-c5 liblz4-1 libzstd1""",
}

# What is added to a suite's folder that is there: modules for its interpreters.
ADDED = {"trixie": "python3-numpy python3-pandas", "sid": "python3-numpy python3-pandas"}

# Debian's packages of debuggers that cannot be installed beside others: unpacked, with the libraries of their own.
UNPACKED = {
    "gdb-minimal": "gdb-minimal",
    "lldb-14": "lldb-14 liblldb-14 python3-lldb-14 libllvm14 libclang-cpp14",
    "lldb-16": "lldb-16 liblldb-16 python3-lldb-16 libllvm16 libclang-cpp16",
}

# Debian's interpreter of this release for other architectures, with what it needs to run; dash for inside(), and
# coreutils for the zoo where the interpreter has a root of its own.
FOREIGN_PACKAGES = """python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1 libexpat1 zlib1g
    libssl3 libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1 libcrypt1 libtinfo6 libncursesw6 libreadline8 dash"""
FOREIGN = {
    "arm64": FOREIGN_PACKAGES,
    "i386": FOREIGN_PACKAGES + " coreutils libacl1 libattr1 libgmp10 libselinux1 libpcre2-8-0",
}
NATIVE = {"i386"} if os.uname().machine == "x86_64" else set()  # what the kernel runs by itself
FOREIGN_SUITE = "bookworm"

# Builds of source packages: suite, package, and the words for configure.
BUILDS = {
    "3.13-free-threaded": ("forky", "python3.13", "--disable-gil"),
    "3.13-trace-refs": ("forky", "python3.13", "--with-trace-refs"),
    "3.13-debug": ("forky", "python3.13", "--with-pydebug"),
    "3.13-no-pymalloc": ("forky", "python3.13", "--without-pymalloc"),
    "3.11-debug-trace-refs": ("bookworm", "python3.11", "--with-pydebug --with-trace-refs"),
    "3.9-debug-trace-refs": ("bullseye", "python3.9", "--with-pydebug --with-trace-refs"),
}
BUILD_NEEDS = "build-essential dpkg-dev pkg-config libffi-dev zlib1g-dev libssl-dev libbz2-dev liblzma-dev libsqlite3-dev"


def say(*words):
    print("==", *words, file=sys.stderr, flush=True)


def run(*argv, **keywords):
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, **keywords)


def mirror():
    """The address of the Debian mirror that this machine uses."""
    listing = subprocess.run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI)"],
                             stdout=subprocess.PIPE, check=True).stdout.decode()
    found = [line.split()[2] for line in listing.splitlines() if line.startswith("Debian main ")]
    return next(uri for uri in found if "security" not in uri)


def key(*words):
    return hashlib.sha256(" ".join(" ".join(words).split()).encode()).hexdigest()[:8]


def suite_folder(suite):
    return os.path.join(CACHE, "%s-%s" % (suite, key(suite, SUITES[suite])))


def build_folder(name):
    return os.path.join(CACHE, "python-%s-%s" % (name, key(*BUILDS[name])))


def unpacked_folder(name):
    return os.path.join(CACHE, "%s-%s" % (name, key(UNPACKED[name])))


def foreign_folder(architecture):
    return os.path.join(CACHE, "%s-%s" % (architecture, key(FOREIGN_SUITE, architecture, FOREIGN[architecture])))


def is_complete(folder):
    return os.path.exists(os.path.join(folder, ".complete"))


def make_once(name, folder, make):
    """Let make(name, folder) fill the folder, unless an earlier call has done so to its end."""
    if is_complete(folder):
        return
    say("getting", name if isinstance(name, str) else " ".join(name))
    shutil.rmtree(folder, ignore_errors=True)
    make(name, folder)
    with open(os.path.join(folder, ".complete"), "w"):
        pass


def install(packages):
    """Debian packages on this machine, where they are missing."""
    missing = [p for p in packages.split() if subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", p], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        check=False).stdout != b"install ok installed"]
    if missing:
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, stdout=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


# ---- suites ----


def make_suite(suite, folder):
    install("debootstrap")
    os.makedirs(CACHE, exist_ok=True)
    with open(folder + ".log", "w") as log:
        run("debootstrap", "--variant=minbase", suite, folder, mirror(), stdout=log)
        with open(os.path.join(folder, "etc/apt/apt.conf.d/99matrix"), "w") as conf:
            conf.write('Acquire::Check-Valid-Until "false";\nAPT::Install-Recommends "false";\n')
        run(*inside(suite, ["apt-get", "update", "-qq"]), stdout=log)
        run(*inside(suite, ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq",
                            *SUITES[suite].split()]), stdout=log, stderr=log)
    shutil.rmtree(os.path.join(folder, "var/cache/apt/archives"), ignore_errors=True)


def add_packages(suite):
    """Install what ADDED names in a suite's folder, once."""
    mark = os.path.join(suite_folder(suite), ".added-" + key(ADDED[suite]))
    if os.path.exists(mark):
        return
    say("adding to", suite)
    with open(suite_folder(suite) + ".log", "a") as log:
        for words in (["update"], ["install", "-y", "--no-install-recommends", *ADDED[suite].split()]):
            run(*inside(suite, ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", *words]), stdout=log, stderr=log)
    with open(mark, "w"):
        pass


def inside(suite, command):
    """The command as one that runs in the suite's root and in a mount namespace of its own. The process id stays."""
    root = root_folder(suite)
    binds = ["/proc", "/dev", "/tmp", CHECKOUT]
    mounts = "".join('mkdir -p "%s%s"; mount --rbind "%s" "%s%s"; ' % (root, path, path, root, path) for path in binds)
    go = """cd "$0" 2>/dev/null || cd /; exec "$@" """
    script = "%sexec chroot '%s' sh -c '%s' \"$PWD\" \"$@\"" % (mounts, root, go)
    return ["unshare", "--mount", "sh", "-e", "-c", script, "sh", *command]


def root_folder(name):
    """The folder of a suite or of a foreign root."""
    return foreign_folder(name) if name in FOREIGN else suite_folder(name)


# ---- unpacked packages ----


def unpack(name, folder):
    packages = os.path.join(folder, "packages")
    os.makedirs(packages)
    run("apt-get", "update", "-qq")
    run("apt-get", "-o", "APT::Sandbox::User=root", "-qq", "download", *UNPACKED[name].split(), cwd=packages)
    for package in glob.glob(os.path.join(packages, "*.deb")):
        run("dpkg", "-x", package, folder)
    shutil.rmtree(packages)


def library_path(name):
    """The folders of an unpacked package's libraries, as LD_LIBRARY_PATH has them."""
    usr = os.path.join(unpacked_folder(name), "usr", "lib")
    return ":".join([os.path.join(usr, "x86_64-linux-gnu"), *glob.glob(os.path.join(usr, "llvm-*", "lib"))])


def own_apt(folder, suite, kind="deb", architecture=None):
    """Words for apt-get that knows nothing but one suite, with its lists and archives below the folder; lists got."""
    for name in ("lists/partial", "archives/partial", "sources.d"):
        os.makedirs(os.path.join(folder, name))
    with open(os.path.join(folder, "sources.d", "%s.sources" % suite), "w") as sources:
        sources.write("Types: %s\nURIs: %s\nSuites: %s\nComponents: main\n"
                      "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n" % (kind, mirror(), suite))
    words = ["apt-get"]
    for option in ("Dir::Etc::SourceList=/dev/null", "Dir::Etc::SourceParts=%s/sources.d" % folder,
                   "Dir::State::Lists=%s/lists" % folder, "Dir::Cache=%s" % folder,
                   "Acquire::Check-Valid-Until=false", "APT::Sandbox::User=root"):
        words += ["-o", option]
    if architecture:
        words += ["-o", "APT::Architecture=" + architecture, "-o", "APT::Architectures=" + architecture,
                  "-o", "Dir::State::status=/dev/null"]
    words.append("-qq")
    run(*words, "update", cwd=folder)
    return words


def unpack_foreign(architecture, folder):
    work = folder + ".packages"
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(folder)
    os.makedirs(work)
    run(*own_apt(work, FOREIGN_SUITE, architecture=architecture), "download", *FOREIGN[architecture].split(), cwd=work)
    for package in glob.glob(os.path.join(work, "*.deb")):
        run("dpkg", "-x", package, folder)
    for name, line in (("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n")):
        with open(os.path.join(folder, "etc", name), "w") as out:
            out.write(line)
    shutil.rmtree(work)


# ---- builds ----


def unpack_source(name, folder):
    """A source package as its upstream released it."""
    suite, package = name
    os.makedirs(os.path.join(folder, "source"))
    run(*own_apt(folder, suite, kind="deb-src"), "source", "--download-only", package, cwd=folder)
    tarball = glob.glob(os.path.join(folder, "*.orig.tar.*"))[0]
    run("tar", "xf", tarball, "-C", os.path.join(folder, "source"), "--strip-components=1")


def build(name, folder):
    install(BUILD_NEEDS)
    suite, package, options = BUILDS[name]
    packed = os.path.join(CACHE, "source-%s-%s" % (suite, package))
    make_once((suite, package), packed, unpack_source)
    source = os.path.join(packed, "source")
    work = folder + ".build"
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    with open(folder + ".log", "w") as log:
        run(os.path.join(source, "configure"), "--prefix=" + folder, "--without-ensurepip", "--disable-test-modules",
            *options.split(), cwd=work, stdout=log, stderr=log)
        run("make", "-j%d" % (os.cpu_count() + 1), cwd=work, stdout=log, stderr=log)
        run("make", "install", cwd=work, stdout=log, stderr=log)
    shutil.rmtree(work)


# ---- what is there ----


def found_suites():
    return [suite for suite in SUITES if is_complete(suite_folder(suite))]


def found_foreign():
    return [architecture for architecture in FOREIGN if is_complete(foreign_folder(architecture))]


def found_roots():
    """The roots of their own in which programs run on this machine."""
    return found_suites() + [architecture for architecture in found_foreign() if architecture in NATIVE]


def found_builds():
    """{name: path of the interpreter}"""
    return {name: glob.glob(os.path.join(build_folder(name), "bin", "python3.*[0-9]"))[0]
            for name in BUILDS if is_complete(build_folder(name))}


def get(name):
    for names, folder_of, make in ((SUITES, suite_folder, make_suite), (UNPACKED, unpacked_folder, unpack),
                                   (FOREIGN, foreign_folder, unpack_foreign), (BUILDS, build_folder, build)):
        if name in names:
            make_once(name, folder_of(name), make)
            return add_packages(name) if name in ADDED else None
    raise ValueError("nothing is called so; there are: " + ", ".join(everything()))


def everything():
    """The names of all that can be got."""
    return [*SUITES, *UNPACKED, *FOREIGN, *BUILDS]
