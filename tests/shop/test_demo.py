"""The demo of a till ends as it says, on both databases, with real processes that are killed."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("store", ["postgresql", "sqlite"])
def test_the_till_settles_once_whoever_is_killed(store: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.shop.demo", "--store", store],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert "settled by payjoin" in last
    assert "1 payment credited, 1 webhook accepted, server killed 1" in last
