"""The demos of a shop end as they say, with real processes that are killed."""

import re
import signal
import subprocess
import sys
import time

import httpcore2
import pytest
from tools import chromium

PATIENCE = 240


def play(*words: str) -> str:
    """The last line of a demo."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def require_once(line: str) -> None:
    assert "settled by payjoin" in line
    assert "1 payment credited, 1 webhook accepted, server killed 1" in line


@pytest.mark.parametrize("store", ["postgresql", "sqlite"])
def test_the_till_settles_once_whoever_is_killed(store: str) -> None:
    require_once(play("tests.shop.demo", "--store", store))


@pytest.mark.browser
@pytest.mark.skipif(chromium.found() is None, reason="no Chromium: install it, or set CHROMIUM")
def test_a_purchase_in_the_browser_settles_once_whoever_is_killed() -> None:
    require_once(play("tests.shop.demo_shop"))


def test_a_person_can_click_through_the_shop_until_they_stop_it() -> None:
    words = [sys.executable, "-m", "tests.shop.stay"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as stay:
        said = until(stay, "Ctrl-C")
        shop, dashboard = re.findall(r"http://\S+:\d+\S*", said)[:2]
        assert "Buy" in httpcore2.request("GET", shop).content.decode()
        assert httpcore2.request("GET", f"{dashboard}/sign-in").status == 200
        stay.send_signal(signal.SIGINT)
        assert stay.wait(60) == 0
        assert stay.stdout is not None
        assert "Stopped." in stay.stdout.read()


def until(process: "subprocess.Popen[str]", last: str) -> str:
    """What a process prints up to a line with this text."""
    said = ""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.stdout is not None:
        line = process.stdout.readline()
        said += line
        if last in line or not line:
            break
    return said
