"""The socket at which a running mailroom answers its operator."""

import asyncio
import socket
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.mailroom.client import quick

from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.mailroom import MailroomServer, control
from dovetail.mailroom.keys import KeyRing


@pytest.mark.parametrize("name", ["data", "data" * 40])
def test_a_mailroom_answers_its_operator_alone(tmp_path: Path, name: str) -> None:
    settings = quick(tmp_path / name, proxies=("10.0.0.0/8",))
    with MailroomServer(settings, answers=True) as server:
        told = control.ask(settings.data_dir, "status")
        assert told is not None
        assert (told["status"], told["url"]) == ("ok", server.url)
        assert told["running_seconds"] >= 0
        assert told["numbers"]["connections"] == 0
        assert told["settings"]["max_waits"] == settings.max_waits
        assert told["settings"]["proxies"] == ["10.0.0.0/8"]
        assert told["settings"]["data_dir"] == str(settings.data_dir)
        place = settings.data_dir / control.NAME
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert not place.exists()
    assert control.ask(settings.data_dir, "status") is None


def test_keys_are_rotated_while_it_runs(tmp_path: Path) -> None:
    settings = quick(tmp_path)
    with MailroomServer(settings, answers=True) as server:
        (first,) = KeyRing.read(settings.key_file, settings.honoured)
        told = control.ask(tmp_path, "rotate")
        former, newest = KeyRing.read(settings.key_file, settings.honoured)
        assert told == {"id": newest.key_id}
        assert former.key_id == first.key_id
        assert former.until == pytest.approx(newest.since + settings.honoured)
        assert newest.until is None
        assert server.mailroom._keys is not None
        assert server.mailroom._keys.standings == (former, newest)


def test_settings_are_read_anew_when_it_is_asked_to(tmp_path: Path) -> None:
    settings = quick(tmp_path)
    wanted = replace(settings, max_forwards=7)
    with MailroomServer(settings, answers=True, reload=lambda: wanted) as server:
        told = control.ask(tmp_path, "reload")
        assert told == {"words": "The settings, certificates and blocklists were read anew."}
        assert server.mailroom.settings == wanted


@pytest.mark.parametrize(
    "question",
    [b"nothing\n", b'{"ask": "nothing"}\n', b"[]\n", b'{"ask": []}\n', b"[" * 4_000 + b"\n"],
)
def test_what_is_no_question_is_refused(tmp_path: Path, question: bytes) -> None:
    with (
        MailroomServer(quick(tmp_path), answers=True),
        socket.socket(socket.AF_UNIX) as asking,
    ):
        asking.connect(str(tmp_path / control.NAME))
        asking.sendall(question)
        assert b"does not know the question" in asking.recv(65_536)


def test_a_question_without_an_end_is_dropped(tmp_path: Path) -> None:
    with (
        MailroomServer(quick(tmp_path), answers=True),
        socket.socket(socket.AF_UNIX) as asking,
    ):
        asking.settimeout(10)
        asking.connect(str(tmp_path / control.NAME))
        asking.sendall(b"x" * 20_000)
        assert asking.recv(65_536) == b""


def test_a_refusal_is_an_error_here(tmp_path: Path) -> None:
    with MailroomServer(quick(tmp_path, directory=False), answers=True):
        with pytest.raises(ConfigurationError, match="keeps no mailboxes"):
            control.ask(tmp_path, "rotate")
        with pytest.raises(ConfigurationError, match="use its own version"):
            control.ask(tmp_path, "nothing")


def test_a_socket_that_a_crash_has_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / control.NAME))
    assert control.ask(tmp_path, "status") is None
    with MailroomServer(quick(tmp_path), answers=True):
        assert control.ask(tmp_path, "status") is not None


def test_a_second_relay_leaves_the_socket_to_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = quick(tmp_path, directory=False)
    with MailroomServer(settings, answers=True) as first:
        with MailroomServer(settings, answers=True):
            assert "another mailroom answers in its data folder" in caplog.text
        told = control.ask(tmp_path, "status")
        assert told is not None
        assert told["url"] == first.url


async def test_an_answer_that_does_not_come_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(control, "PATIENCE", 0.2)
    place = tmp_path / control.NAME
    for serve, words in ((drop, "went away before it answered"), (hang, "does not answer")):
        place.unlink(missing_ok=True)
        async with await asyncio.start_unix_server(serve, place):
            with pytest.raises(StoreUnavailable, match=words):
                await asyncio.to_thread(control.ask, tmp_path, "status")


def test_a_path_that_is_too_long_costs_only_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    settings = quick(tmp_path / ("long" * 40))
    with MailroomServer(settings, answers=True) as server:
        assert server.alive
        assert "the path of the data folder is too long" in caplog.text
    assert not (settings.data_dir / control.NAME).exists()
