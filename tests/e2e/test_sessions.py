"""The sessions in docs/SESSIONS.md: their commands still work, and what they say still has the same form."""
import os
import subprocess

import hosts
import pytest
import supply
from test_software import PACKAGES, has

SECONDS = 300


def test_the_document_is_true(system_python):
    missing = [package for package in PACKAGES if not has(system_python, package)]
    if missing or system_python.path != os.path.realpath("/usr/bin/python3"):
        pytest.skip("/usr/bin/python3 has no " + " ".join(missing))
    outcome = hosts.run_process([os.path.join(supply.CHECKOUT, "scripts", "sessions"), "check"], SECONDS, subprocess.STDOUT)
    assert outcome.status == 0, outcome
