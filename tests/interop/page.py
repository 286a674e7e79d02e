"""`docs/reference/interop.md`, written from a run in which everything passed."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.interop import npm_peer
from tests.interop.core_cli import CLI_VERSION, CORE_VERSION
from tests.interop.pairing import Pairing
from tests.interop.programs import MAILROOM_VERSION, peer_version

PAGE = Path("docs/reference/interop.md")
NOTES = Path(__file__).parent / "notes.md"

_HEAD = """\
# Interoperation

<!-- Written by `make interop INTEROP=--page`; edit tests/interop instead. -->

Every row below is a payment between two parties, made live by `make interop` on a chain of
Bitcoin Core's consensus code: both run, the messages travel over HTTP through a directory and an
OHTTP relay, and the payment is then asked for on the chain. Dovetail is its agent on a BDK wallet,
as users run it.

| peer | version |
|---|---|
"""


def page(passed: Iterable[Pairing]) -> str:
    peers = (
        ("`payjoin`", peer_version()),
        ("`payjoin-mailroom`", MAILROOM_VERSION),
        ("`payjoin-client` of npm", npm_peer.VERSION),
        ("`payjoin-cli`", f"{CLI_VERSION}, on Bitcoin Core {CORE_VERSION}"),
    )
    parts = [_HEAD + "".join(f"| {name} | {version} |\n" for name, version in peers)]
    parts += [_section(name, found) for name, found in _groups(passed).items()]
    parts.append(NOTES.read_text())
    return "\n".join(parts)


def _groups(pairings: Iterable[Pairing]) -> dict[str, list[Pairing]]:
    found: dict[str, list[Pairing]] = {}
    for pairing in pairings:
        found.setdefault(pairing.group, []).append(pairing)
    return found


def _section(name: str, pairings: Sequence[Pairing]) -> str:
    rows = "\n".join(
        f"| {each.what} | {each.version} | {each.sender} | {each.receiver} |"
        f" {each.directory or '-'} | {each.relay or '-'} |"
        for each in pairings
    )
    return f"""\
## {name}

| what | | sender | receiver | directory | relay |
|---|---|---|---|---|---|
{rows}
"""
