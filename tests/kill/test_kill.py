"""A part of `make kill`: real processes, killed; the chain is asked who was paid."""

import os
import re
import signal
import subprocess
import sys

import pytest

LAST_LINE = re.compile(
    r"(\d+) kills: (\d+) ended by payjoin, (\d+) by fallback, (\d+) directly,"
    r" (\d+) released, 0 lost, 0 doubled"
)


@pytest.mark.parametrize(
    ("paths", "stride"),
    [
        ("completes, segwit", 12),
        ("sender revokes at ProposalReceived;network refuses;completes, v1", 12),
        ("paid directly: receiver at Co;inputs taken away: receiver at Co;parts: receiver at P", 9),
        ("and directly too", 9),
    ],
)
def test_whoever_is_killed_the_receiver_is_paid_once_or_the_payment_was_taken_back(
    paths: str, stride: int
) -> None:
    words = ["--paths", paths, "--stride", str(stride), "--jobs", "1", "--only", "once"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kill", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(timeout=110)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    assert process.returncode == 0, told
    found = LAST_LINE.fullmatch(told.splitlines()[-1])
    assert found is not None, told
    kills, payjoins, fallbacks, directly, released = map(int, found.groups())
    assert kills == payjoins + fallbacks + directly + released >= 4
