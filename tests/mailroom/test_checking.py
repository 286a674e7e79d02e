"""Tests of a mailroom's setup: on its machine, and from outside."""

import os
import time
from pathlib import Path

import pytest
from tests.mailroom.client import quick
from tests.mailroom.fake_gateway import fake_gateway, respond
from tests.support.certificates import make_certificate
from tests.support.servers import free_port

from dovetail.mailroom import MailroomServer, MailroomSettings, checking, outside
from dovetail.mailroom.checking import Finding
from dovetail.mailroom.machine import Machine
from dovetail.mailroom.outside import Outside
from dovetail.mailroom.relay import trust
from dovetail.runtime.relays import Relays
from dovetail.runtime.transport import HttpTransport

LARGE = Machine(1 << 20, 1 << 40, 1 << 40)
DAY = 86_400


def by_name(found: list[Finding]) -> dict[str, tuple[bool, str]]:
    return {each.about: (each.is_well, each.words) for each in found}


def test_a_mailroom_that_runs_well(tmp_path: Path) -> None:
    settings = quick(tmp_path / "data")
    with MailroomServer(settings, answers=True) as server:
        found = by_name(checking.findings(settings, LARGE))
    assert found == {
        "settings": (True, "All can be read; no network is blocked."),
        "folder": (True, f"{settings.data_dir} is private and can be written."),
        "machine": (True, "Open files, memory and disk are enough for the settings."),
        "running": (True, f"It runs at {server.url}, version {running_version()}."),
        "clock": (True, "It is not behind what the mailroom has written."),
        "keys": (True, "1 key is accepted; the newest is 0 days old."),
    }


def running_version() -> str:
    from importlib.metadata import version  # noqa: PLC0415

    return version("dovetail-payjoin")


def test_a_mailroom_that_never_ran(tmp_path: Path) -> None:
    settings = quick(tmp_path / "data", blocklists=(tmp_path / "missing",))
    found = by_name(checking.findings(settings, Machine(512, 1 << 20, None)))
    assert {about: well for about, (well, _) in found.items()} == {
        "settings": False,
        "folder": True,
        "machine": False,
        "running": False,
        "clock": True,
        "keys": True,
    }
    assert "cannot be read: check it" in found["settings"][1]
    assert "open files, and the system allows 512" in found["machine"][1]
    assert "of memory may be needed" in found["machine"][1]
    assert found["running"][1] == "No mailroom runs in this folder: start it."


def test_a_relay_has_neither_keys_nor_messages(tmp_path: Path) -> None:
    found = by_name(checking.findings(quick(tmp_path, directory=False), LARGE))
    assert found.keys() == {"settings", "folder", "machine", "running"}


def test_a_folder_that_others_can_enter(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    well, words = by_name(checking.findings(quick(tmp_path), LARGE))["folder"]
    assert (well, words.endswith(f"chmod 700 {tmp_path}.")) == (False, True)


def test_a_folder_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    found = by_name(checking.findings(quick(tmp_path / "file" / "data"), LARGE))
    assert found["folder"] == (False, "`data_dir` cannot be read: Not a directory.")
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = by_name(checking.findings(quick(tmp_path), LARGE))
    assert "cannot be written by this user" in found["folder"][1]


def test_a_clock_that_is_behind_and_keys_that_are_old(tmp_path: Path) -> None:
    settings = quick(tmp_path)
    with MailroomServer(settings):
        pass
    past = by_name(checking.findings(settings, LARGE, now=lambda: time.time() - DAY))
    assert past["clock"][1].startswith("The clock of this machine is behind")
    late = by_name(checking.findings(settings, LARGE, now=lambda: time.time() + 100 * DAY))
    assert late["keys"][1].startswith("The newest key is older than `key_lifetime`")


def test_a_mailroom_that_is_ill_is_told(tmp_path: Path) -> None:
    settings = quick(tmp_path)
    with MailroomServer(settings, answers=True) as server:
        server.mailroom.leave()
        found = by_name(checking.findings(settings, LARGE))
    assert found["running"] == (
        False,
        "It runs, and its health is `draining`: the guide says what that means.",
    )


async def seen(
    url: str, settings: MailroomSettings, *relays: str, now: float | None = None
) -> dict[str, tuple[bool, str]]:
    """What is found from outside."""
    trusted = trust(settings.ca_file)
    transport = HttpTransport(trust=trusted, patience=5)
    routes = Relays(relays, clock=time.monotonic, direct=not relays)
    try:
        return by_name(
            await outside.findings(
                Outside(url, routes, transport, trusted, time.time if now is None else lambda: now)
            )
        )
    finally:
        await transport.aclose()


async def test_a_mailroom_is_reached_through_a_relay(tmp_path: Path) -> None:
    settings = quick(tmp_path)
    with MailroomServer(settings) as server:
        found = await seen(server.url, settings, server.url)
        straight = await seen(server.url, settings)
    assert all(well for well, _ in (*found.values(), *straight.values()))
    assert found["certificate"][1].startswith("There is none: the URL is of plain http")
    assert found["round trip"][1].startswith(
        f"A message went there and back through {server.url}, in "
    )
    assert "straight, as no relay is set" in straight["round trip"][1]
    assert found["opt-in"][1] == "The gateway says that it takes payjoins, asked straight."
    assert found["time"][1] == f"The clock agrees with that of {server.url}."
    assert straight["time"][1] == "Not compared with another clock, as no relay is set."


async def test_a_clock_that_is_not_that_of_others_is_told(tmp_path: Path) -> None:
    settings = quick(tmp_path)
    with MailroomServer(settings) as server:
        found = await seen(server.url, settings, server.url, now=time.time() - 300)
        unknown = await seen(server.url, settings, f"http://127.0.0.1:{free_port()}")
    well, words = found["time"]
    assert not well
    assert words.startswith(f"The clock of this machine and that of {server.url} are ")
    assert words.endswith(" s apart: set the wrong one right.")
    assert unknown["time"][1].endswith("cannot be reached: set another one.")


async def test_a_relay_that_tells_no_time_is_not_compared_with(tmp_path: Path) -> None:
    settings = quick(tmp_path)
    async with fake_gateway() as relay:
        for head in (respond(200), respond(200, b"", "date: yesterday")):
            relay.get = head
            url = f"http://127.0.0.1:{relay.port}"
            found = await seen(f"http://127.0.0.1:{free_port()}", settings, url)
            assert found["time"] == (
                True,
                f"Not compared with another clock, as {url} does not tell its own.",
            )


async def test_a_certificate_is_trusted_and_good_for_a_while(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    settings = quick(tmp_path, directory=False, ca_file=certificate.cert)
    async with fake_gateway(certificate.server()) as gateway:
        url = f"https://localhost:{gateway.port}"
        gateway.post = respond(503)
        with MailroomServer(settings) as relay:
            well = await seen(url, settings, relay.url, now=time.time() - 30 * DAY)
            soon = await seen(url, settings)
            untrusted = await seen(url, quick(tmp_path))
            gateway.opt_in(b"\x00\x00")
            closed = await seen(url, settings)
    assert well["certificate"] == (
        True,
        "Its chain is trusted, and it is good for 31 more days.",
    )
    assert well["opt-in"] == (
        True,
        f"The gateway says that it takes payjoins, asked through {relay.url}.",
    )
    assert not well["round trip"][0]
    assert soon["certificate"] == (
        False,
        "The certificate is good for 1 more days: see why it was not renewed.",
    )
    assert untrusted["certificate"][1].startswith("The certificate is not trusted: self-signed")
    assert not untrusted["opt-in"][0]
    assert closed["opt-in"][1].startswith("The gateway does not say that it takes payjoins (str")


async def test_a_mailroom_that_nobody_reaches(tmp_path: Path) -> None:
    found = await seen(f"https://localhost:{free_port()}", quick(tmp_path))
    assert not any(well for about, (well, _) in found.items() if about != "time")
    assert "check name, port and firewall" in found["certificate"][1]
