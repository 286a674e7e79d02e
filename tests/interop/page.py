"""`docs/reference/interop.md`, written from a run in which everything passed."""

from collections.abc import Sequence
from pathlib import Path

from tests.interop.programs import MAILROOM_VERSION, peer_version
from tests.interop.running import Result
from tests.interop.table import groups

PAGE = Path("docs/reference/interop.md")
NOTES = Path(__file__).parent / "notes.md"

_HEAD = """\
# Interoperation

<!-- Written by `make interop PAGE=1`; edit tests/interop instead. -->

Every row below is a payment between two parties, made live by `make interop` on a chain of
Bitcoin Core's consensus code: both run, the messages travel over HTTP through a directory and an
OHTTP relay, and the payment is then asked for on the chain. Dovetail is its agent on a BDK wallet,
as users run it.

| peer | version |
|---|---|
"""


def page(results: Sequence[Result]) -> str:
    """The whole page; without times, which differ from run to run."""
    peers = (("`payjoin`", peer_version()), ("`payjoin-mailroom`", MAILROOM_VERSION))
    parts = [_HEAD + "".join(f"| {name} | {version} |\n" for name, version in peers)]
    parts += [_section(name, found) for name, found in groups(results).items()]
    parts.append(NOTES.read_text())
    return "\n".join(parts)


def _section(name: str, results: Sequence[Result]) -> str:
    rows = "\n".join(
        f"| {each.pairing.what} | {each.pairing.version} | {each.pairing.sender} |"
        f" {each.pairing.receiver} | {each.pairing.directory or '-'} |"
        f" {each.pairing.relay or '-'} |"
        for each in results
    )
    return f"""\
## {name}

| what | | sender | receiver | directory | relay |
|---|---|---|---|---|---|
{rows}
"""
