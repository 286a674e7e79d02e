import asyncio
import os
import signal
import subprocess
import sys

import pytest

from dovetail.cli import signals
from dovetail.cli.signals import Stop
from dovetail.runtime.live_session import LiveSession

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def tell(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def test_work_that_is_not_stopped_gives_its_code():
    async def work(_stop: Stop) -> int:
        return 4

    assert signals.run(work) == 4


@pytest.mark.parametrize("number", SIGNALS)
def test_what_has_not_begun_is_given_up(number):
    async def work(_stop: Stop) -> int:
        tell(number)
        await asyncio.sleep(60)
        return 0

    with pytest.raises(KeyboardInterrupt):
        signals.run(work)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_has_begun_decides_itself(number):
    async def work(stop: Stop) -> int:
        stop.guarded = True
        tell(number)
        await stop.asked.wait()
        return 3

    assert signals.run(work) == 3


def test_who_is_asked_something_can_still_leave():
    async def work(stop: Stop) -> int:
        with stop.paused():
            tell(signal.SIGINT)
            await asyncio.sleep(60)
        return 0

    with pytest.raises(KeyboardInterrupt):
        signals.run(work)


def test_the_handlers_are_gone_afterwards():
    async def work(_stop: Stop) -> int:
        return 0

    before = signal.getsignal(signal.SIGTERM)
    signals.run(work)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_cancellation_that_is_no_signal_stays_one():
    async def work(_stop: Stop) -> int:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        signals.run(work)


def test_the_first_to_end_ends_the_others_and_its_fault_is_raised():
    async def fail() -> None:
        raise ValueError("fault")

    async def scenario() -> None:
        await signals.first_of(asyncio.sleep(60), patience=0.01)
        await signals.first_of(fail(), asyncio.sleep(60), patience=None)

    with pytest.raises(ValueError, match="fault"):
        asyncio.run(scenario())


@pytest.mark.parametrize(("guarded", "code"), [(True, 3), (False, 1)])
def test_a_second_signal_does_not_wait_for_a_server(guarded, code):
    program = f"""
import asyncio, os, signal, time
from dovetail.cli import signals
async def work(stop):
    stop.guarded = {guarded}
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(600)
    return 0
try:
    signals.run(work)
except KeyboardInterrupt:
    pass
"""
    if not guarded:
        # The work is cancelled at once: the second signal comes while the loop waits for threads.
        program = program.replace(
            "    await asyncio.sleep(0.1)\n",
            "    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)\n"
            "    await asyncio.sleep(600)\n",
        )
    done = subprocess.run([sys.executable, "-c", program], timeout=30, check=False)
    assert done.returncode == code


def test_ctrl_c_ends_a_library_s_wait_at_once():
    program = """
import os, signal, time
from dovetail.cli import signals
with signals.at_once():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(600)
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=30, check=False)
    assert done.returncode == -signal.SIGINT


def test_a_session_that_cannot_be_read_stops_no_other(person):
    alice = person("alice", 10_000)
    for _ in range(2):
        assert alice("receive", "1000", "--no-wait").code == 0
    alice.damage(1)
    said = alice("resume", "--timeout", "1s")
    assert said.code == 1
    assert "Session 1: Entry 0 of the log" in said.err
    assert "#2 Waiting for the sender." in said.err
    assert "dovetail resume 2" in said.err
    assert [line[:3] for line in said.lines] == ["#1 ", "#2 "], "a line for each"
    values = alice("resume", "--timeout", "1s", "--json").json["sessions"]
    assert [each["status"] for each in values] == ["damaged", "waiting-for-payment"]


def test_a_fault_in_one_session_hides_no_other(person, monkeypatch):
    alice = person("alice", 10_000)
    for _ in range(2):
        assert alice("receive", "1000", "--no-wait").code == 0
    sound = LiveSession._advance

    async def advance(self, before):
        if self.session_id == 1 and before is not None:
            raise ZeroDivisionError("bcrt1secret")
        return await sound(self, before)

    monkeypatch.setattr(LiveSession, "_advance", advance)
    said = alice("resume", "--timeout", "1s")
    assert said.code == 1
    assert "A bug in Dovetail stopped session 1 (ZeroDivisionError)" in said.err
    assert "bcrt1" not in said.err, "P4"
    assert [line[:3] for line in said.lines] == ["#1 ", "#2 "]
