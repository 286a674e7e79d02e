import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from tests.mailroom.client import DIRECTORY, MESSAGE, Client, in_process, new_mailbox, quick
from tests.support.clock import Clock
from tests.support.waiting import until

from dovetail.crypto.ohttp import KeyConfig
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.mailroom import Mailroom, create_app


async def test_health_tells_how_it_is_and_nothing_of_what_others_do(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path, wait=20)) as (mailroom, client):
        answer = await client.http.get("/health")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {"status": "ok", "versions": [2]}
        poll = asyncio.create_task(client.poll(new_mailbox()))
        await until(lambda: mailroom._waits.count == 1)
        await client.post(new_mailbox())
        assert (await client.http.get("/health")).content == answer.content
        poll.cancel()
        assert (await client.http.post("/health")).status_code == 405


async def test_a_visitor_is_told_what_this_is(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        assert "mailroom" in (await client.http.get("/")).text
        assert (await client.http.get("/elsewhere")).status_code == 404


async def test_wallets_in_browsers_may_ask(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        answer = await client.http.options("/https://gateway.test/")
        assert answer.status_code == 204
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-max-age"] == "86400"
        for each in (answer, await client.http.get("/")):
            assert each.headers["access-control-allow-origin"] == "*"
            assert each.headers["access-control-expose-headers"] == "retry-after"


async def test_a_relay_alone_keeps_no_files_and_has_no_gateway(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    app = Mailroom(quick(folder, directory=False))
    async with app:
        for path in ("/ohttp-keys", "/.well-known/ohttp-gateway", f"/{new_mailbox()}"):
            assert (await get(app, path))[0]["status"] == 404
        await app.housekeeping()
    assert not folder.exists()


async def test_the_data_folder_is_made_private(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path / "a" / "b")):
        assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


async def test_the_lifespan_opens_and_closes(tmp_path: Path) -> None:
    app = create_app(quick(tmp_path), clock=Clock())
    assert await live(app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert (tmp_path / "mailboxes.db").exists()


async def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "ohttp-keys.json").write_text("damaged")
    app = create_app(quick(tmp_path))
    assert await live(app) == ["lifespan.startup.failed"]


async def test_only_http_is_served(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        await create_app(quick(tmp_path))({"type": "carrier pigeon"}, nothing, ignore)


async def test_draining_an_application_that_was_never_opened_is_harmless(tmp_path: Path) -> None:
    create_app(quick(tmp_path)).drain()


def test_draining_after_the_loop_has_ended_is_harmless(tmp_path: Path) -> None:
    app = create_app(quick(tmp_path))
    asyncio.run(live(app))
    app.drain()


async def test_a_fault_of_ours_is_logged_without_what_it_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = "a name of a mailbox"

    async def fail(*_: Any) -> None:
        raise RuntimeError(hidden)

    async with in_process(quick(tmp_path)) as (mailroom, client):
        monkeypatch.setattr(mailroom._gateway, "relay", fail)
        answer = await client.http.post("/.well-known/ohttp-gateway")
    assert answer.status_code == 500
    assert "RuntimeError" in caplog.text
    assert hidden not in caplog.text


async def test_a_disk_that_fails_outside_ohttp_is_503(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise StoreUnavailable("The disk is full.")

    async with in_process(quick(tmp_path, v1=True)) as (mailroom, client):
        monkeypatch.setattr(mailroom._mailboxes, "read", fail)
        answer = await client.http.post(f"/{new_mailbox()}", content=b"original")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_housekeeping_goes_on_after_a_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    settings = quick(tmp_path, housekeeping=0.005, key_lifetime=10, ttl=1, longest_session=1)
    async with in_process(settings, clock) as (mailroom, client):
        before = mailroom._keys.served
        monkeypatch.setattr("os.fsync", full_disk)
        clock.now += 10
        await until(lambda: "Housekeeping" in caplog.text)
        assert mailroom._keys.served == before
        monkeypatch.undo()
        await until(lambda: mailroom._keys.served != before)
        assert (await client.http.get("/health")).status_code == 200


async def test_housekeeping_goes_on_after_any_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = "a name of a mailbox"
    clock = Clock()

    async def fail() -> None:
        raise RuntimeError(hidden)

    settings = quick(tmp_path, housekeeping=0.005, key_lifetime=10, ttl=1, longest_session=1)
    async with in_process(settings, clock) as (mailroom, client):
        await client.post(new_mailbox())
        before = mailroom._keys.served
        monkeypatch.setattr(mailroom._mailboxes, "purge", fail)
        clock.now += 10
        await until(lambda: "Housekeeping failed with RuntimeError" in caplog.text)
        await until(lambda: mailroom._keys.served != before)
        monkeypatch.undo()
        await until(lambda: mailroom._mailboxes.count == 0)
    assert hidden not in caplog.text


async def test_a_clock_that_jumps_removes_nothing_and_waits_for_the_operator(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wall, passed, mailbox = Clock(), Clock(), new_mailbox()
    async with (
        Mailroom(quick(tmp_path), clock=wall, passed=passed) as mailroom,
        httpx.AsyncClient(transport=httpx.ASGITransport(mailroom), base_url=DIRECTORY) as http,
    ):
        client = Client(http, KeyConfig.parse((await http.get("/ohttp-keys")).content))
        await client.post(mailbox)
        wall.now += 400 * 86_400
        await mailroom.housekeeping()
        assert "The clock of this machine was changed by more than an hour" in caplog.text
        assert (await http.get("/health")).json()["status"] == "clock"
        assert (await client.poll(mailbox)).message() == MESSAGE
        assert KeyConfig.parse((await http.get("/ohttp-keys")).content) == client.keys
        passed.now += 7 * 86_400
        await mailroom.housekeeping()
        assert (await client.poll(mailbox)).message() is None
        wall.now -= 393 * 86_400
        await mailroom.housekeeping()
        assert (await http.get("/health")).json()["status"] == "ok"


async def test_a_client_that_goes_away_in_its_body_is_forgotten(tmp_path: Path) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    app = Mailroom(quick(tmp_path))
    async with app:
        path = "/.well-known/ohttp-gateway"
        headers = [(b"content-type", b"message/ohttp-req")]
        sent = await get(app, path, method="POST", receive=receive, headers=headers)
        assert sent[0]["status"] == 400


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dovetail")


def full_disk(_handle: int) -> None:
    raise OSError(28, "No space left on device")


async def nothing() -> dict[str, Any]:
    return {"type": "http.request"}


async def ignore(_message: Any) -> None:
    pass


async def get(
    app: Mailroom, path: str, *, method: str = "GET", receive: Any = nothing, headers: Any = ()
) -> list[Any]:
    """Without raw_path, which ASGI leaves to the server's choice."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": headers,
    }
    await app(scope | {"query_string": b""}, receive, send)
    return sent


async def live(app: Mailroom) -> list[str]:
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, nothing, send)
    return sent
