"""The demo with kills, as a newcomer runs it."""

import subprocess
import sys

import pytest

LAST_LINE = "3 kills each, 3 payjoins, 0 payments lost, 0 paid twice"


@pytest.mark.timeout(300)
def test_three_payments_whose_parties_are_killed_are_three_payjoins() -> None:
    command = [sys.executable, "-m", "dovetail.cli", "demo", "--kill"]

    told = subprocess.run(command, capture_output=True, text=True, timeout=290, check=False)

    assert told.returncode == 0, told.stdout + told.stderr
    lines = told.stdout.splitlines()
    assert lines[-1] == LAST_LINE
    assert sum("Killed at: " in line for line in lines) == 6
    assert sum("Resumed from its log: " in line for line in lines) == 6
