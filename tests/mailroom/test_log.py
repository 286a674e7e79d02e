"""The log of a mailroom that runs as a program."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
from tests.serving.test_connection import waited

PROGRAM = """
import sys
from pathlib import Path
from dovetail.mailroom import MailroomSettings, serve, watch
watch.BEAT = 0.02
serve("127.0.0.1", 0, MailroomSettings(Path(sys.argv[1]), heartbeat=0.05, json_log=True,
      max_bytes=2**52), ready=lambda url: print(url, flush=True))
"""


def test_the_log_is_json_and_has_warnings_and_a_heartbeat(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stderr is not None
    assert program.stdout.readline().startswith("http://127.0.0.1:")
    told = [json.loads(program.stderr.readline()) for _ in range(2)]
    program.send_signal(signal.SIGTERM)
    program.communicate(timeout=15)
    assert program.returncode == 0
    assert [each["level"] for each in told] == ["warning", "info"]
    assert told[0]["words"].startswith("`max_bytes` is 4194304.0 GiB, and the disk has room for")
    assert told[1]["words"].startswith("Running for 0 h 0 min: 0 answers")


DRAINING = """
import sys
from pathlib import Path
from dovetail.mailroom import MailroomSettings, serve
serve("127.0.0.1", 0, MailroomSettings(Path(sys.argv[1]), drain_delay=60.0),
      ready=lambda url: print(url, flush=True))
"""


def test_a_second_signal_ends_the_drain_delay(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", DRAINING, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    url = program.stdout.readline().strip()
    program.send_signal(signal.SIGTERM)
    assert waited(lambda: httpx.get(f"{url}/health/ready").status_code == 503)
    program.send_signal(signal.SIGTERM)
    assert program.wait(15) == 0
    program.communicate()
