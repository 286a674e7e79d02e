import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.timeout(400)
def test_every_topic_runs_and_tells_whether_each_target_was_met():
    done = run("--quick")
    assert done.returncode == 0, done.stderr
    titles = (
        "Message A",
        "OHTTP",
        "PSBT",
        "Replay",
        "A whole session",
        "Starting",
        "Durable appends",
        "History",
        "HTTP",
    )
    for topic in titles:
        assert f"\n{topic}" in done.stdout
    targets = [line for line in done.stdout.splitlines() if "<= " in line or ">= " in line]
    for table in ("50 receivers waiting in one agent", "Requests to a public chain server"):
        assert f"\n{table}" in done.stdout
    assert targets
    assert all(line.endswith((" met", " MISSED")) for line in targets)


def test_a_topic_runs_alone():
    done = run("--quick", "message_a")
    assert done.stdout.count("baseline: ") == 1


def test_an_unknown_topic_is_refused():
    done = run("nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr
