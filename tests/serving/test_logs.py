import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dovetail.serving.logs import (
    ALIKE,
    LINES_WAITING,
    BoundedHandler,
    JsonLines,
    about,
    logging_to,
)

_log = logging.getLogger("tests.serving.logs")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def lines(reading: int) -> list[str]:
    return os.read(reading, 1 << 20).decode().splitlines()


def texts(reading: int) -> list[str]:
    return [line.partition("dovetail.x: ")[2] for line in lines(reading)]


def record(text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("dovetail.x", logging.WARNING, "", 0, text, values, None)


def test_lines_have_time_and_level(pipe: tuple[int, int]):
    with logging_to(pipe[1], _log.name):
        _log.warning("The disk is %s.", "full")
    (line,) = lines(pipe[0])
    pattern = (
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} WARNING tests.serving.logs: The disk is full."
    )
    assert re.fullmatch(pattern, line)


def test_the_former_log_is_back_afterwards(pipe: tuple[int, int]):
    before = (_log.handlers, _log.propagate)
    with logging_to(pipe[1], _log.name):
        assert _log.handlers != before[0]
    assert (_log.handlers, _log.propagate) == before


def test_repeated_lines_are_counted_instead(pipe: tuple[int, int]):
    now = [0.0]
    handler = BoundedHandler(pipe[1], clock=lambda: now[0])
    for number in range(100):
        handler.emit(record("refused %d", number))
    handler.emit(record("another"))
    time.sleep(0.5)  # nothing more is written before the minute is over
    first = texts(pipe[0])
    now[0] = 61.0
    time.sleep(0.5)
    handler.emit(record("refused %d", 100))
    handler.emit(record("refused %d", 101))
    handler.close()
    assert first == [*(f"refused {number}" for number in range(ALIKE)), "another"]
    assert texts(pipe[0]) == [
        f"refused 99 ({100 - ALIKE - 1} more like it were not written)",
        "refused 100",
        "refused 101",
    ]


def test_a_line_that_says_the_same_is_written_once_a_minute(pipe: tuple[int, int]):
    now = [0.0]
    handler = BoundedHandler(pipe[1], clock=lambda: now[0])
    for what in ("full", "full", "slow", "full"):
        handler.emit(record("The disk is %s.", what))
    now[0] = 61.0
    handler.acquire()  # so that the next line comes before the thread looks
    handler.emit(record("The disk is %s.", "full"))
    handler.release()
    handler.close()
    found = texts(pipe[0])
    assert found[:2] == ["The disk is full.", "The disk is slow."]
    assert found[2:] in (
        ["The disk is full. (2 more like it were not written)"],
        ["The disk is full. (1 more like it were not written)", "The disk is full."],
    )


def test_what_was_left_out_is_told_at_the_end(pipe: tuple[int, int]):
    handler = BoundedHandler(pipe[1])
    for _ in range(10):
        handler.emit(record("again"))
    handler.close()
    handler.close()
    assert texts(pipe[0]) == ["again", "again (8 more like it were not written)"]


def test_what_is_not_read_is_dropped_and_counted_and_nobody_waits(pipe: tuple[int, int]):
    handler = BoundedHandler(pipe[1])
    begun = time.monotonic()
    for number in range(3 * LINES_WAITING):
        handler.emit(record(f"{number} " + "x" * 200))
    assert time.monotonic() - begun < 5
    assert handler._lines.qsize() <= LINES_WAITING
    found: list[str] = []
    os.set_blocking(pipe[0], False)
    deadline = time.monotonic() + 10
    while not any("were dropped" in line for line in found) and time.monotonic() < deadline:
        handler.emit(record(f"{time.monotonic()}"))
        try:
            found += lines(pipe[0])
        except BlockingIOError:
            time.sleep(0.05)
    assert any(re.search(r"WARNING .*: \d+ lines of the log were dropped", line) for line in found)
    handler.close()


def test_kinds_are_not_remembered_without_end(pipe: tuple[int, int]):
    handler = BoundedHandler(pipe[1])
    for number in range(2_000):
        handler.emit(record(f"kind {number}"))
    assert len(handler._kinds) <= 1_000
    handler.close()


def test_a_line_that_cannot_be_made_stops_nothing(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = BoundedHandler(pipe[1])
    handler.emit(record("%d", "no number"))
    handler.emit(record("next"))
    handler.close()
    assert [line[-4:] for line in lines(pipe[0])] == ["next"]


def test_a_reader_that_has_gone_stops_nothing():
    reading, writing = os.pipe()
    os.close(reading)
    handler = BoundedHandler(writing)
    handler.emit(record("nobody hears"))
    handler.close()
    os.close(writing)


PROGRAM = """
import logging, sys, threading
from pathlib import Path
def chatter():
    log = logging.getLogger("dovetail.chatter")
    for number in range(4_000):
        log.warning(f"{number} " + "x" * 500)
def ready(url):
    threading.Thread(target=chatter).start()
    print(url, flush=True)
"""
MAILROOM = """
from dovetail.mailroom import MailroomSettings, serve
serve("127.0.0.1", 0, MailroomSettings(Path(sys.argv[1]), local=True), ready=ready)
"""
REGTEST = """
from dovetail.regtest.server import serve
serve(Path(sys.argv[1]), port=0, blocks=0, on_ready=lambda server: ready(server.url))
"""
ENDPOINT = """
import asyncio
from contextlib import suppress
from dovetail.cli.output import Screen
from dovetail.cli.handlers.v1_server import Listening, served
from dovetail.cli.signals import run
async def work(stop):
    async with served(None, Listening(("127.0.0.1", 0)), Screen()) as url:
        ready(url)
        stop.guarded = True
        await stop.asked.wait()
    return 0
sys.exit(run(work))
"""


@pytest.mark.parametrize(
    ("server", "path"),
    [(MAILROOM, "/health"), (REGTEST, "/blocks/tip/height"), (ENDPOINT, "/")],
    ids=["mailroom", "regtest", "endpoint"],
)
def test_a_log_that_is_not_read_stops_neither_a_server_nor_its_end(
    tmp_path: Path, server: str, path: str
):
    import httpx2 as httpx  # noqa: PLC0415  # only here

    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + server, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stderr is not None
    try:
        url = program.stdout.readline().strip()
        time.sleep(0.5)
        assert httpx.get(f"{url}{path}", timeout=10).status_code in (200, 405)
        if server == MAILROOM:
            program.send_signal(signal.SIGHUP)
            time.sleep(0.2)
            assert httpx.get(f"{url}{path}", timeout=10).status_code == 200
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=60) == 0
    finally:
        program.kill()
        program.communicate()


async def test_json_lines_name_what_they_are_about():
    def told() -> dict[str, str]:
        line = json.loads(JsonLines().format(record("It is %s.", "well")))
        return {name: line[name] for name in line if name not in ("time", "level", "log")}

    with about(session=7):
        with about(invoice="a"):
            task = asyncio.create_task(asyncio.to_thread(told))
            assert told() == {"words": "It is well.", "session": "7", "invoice": "a"}
        assert told() == {"words": "It is well.", "session": "7"}
        assert await task == {"words": "It is well.", "session": "7", "invoice": "a"}
    assert told() == {"words": "It is well."}
