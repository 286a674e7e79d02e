"""Which sessions a list is to show, and how a text is looked for in them. No log is replayed."""

import re
from dataclasses import dataclass

import msgspec

from dovetail.bitcoin import UnixTime
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import ParseError
from dovetail.stores.session_index import Role

LEAST = 8
"""Characters of an address or a txid that are looked for: fewer would fit any."""

_TXID = re.compile(rf"([0-9a-f]{{{LEAST},64}})(?:…([0-9a-f]*))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The sessions that a list shows: those that meet every condition that is set."""

    open: bool | None = None
    """True: whose log is open; False: whose log is closed."""
    role: Role | None = None
    since: UnixTime | None = None
    """Begun at that time or later."""
    text: str | None = None
    """What label or message have in them, whatever the case; or what the address or a txid begins
    with, from `LEAST` characters on. A txid may be shortened in its middle by `…`."""


EVERY = Wanted()
"""All of them."""


def row_says(text: str, label: bytes, address: bytes, txids: bytes) -> bool:
    """Whether what lies in a session's row has `text`, be the rest of the row damaged.

    `label` and `address` are UTF-8, `txids` is whatever the row's txids stand in.
    """
    wanted = text.casefold()
    if wanted in _read(label):
        return True
    if len(wanted) < LEAST:
        return False
    return _read(address).startswith(wanted) or _has_txid(wanted, _read(txids))


def request_says(text: str, entry: bytes) -> bool:
    """Whether the message of a request has `text`; `entry` is the first of its session's log.

    False for an entry that cannot be read.
    """
    try:
        found = _REQUEST.decode(entry)
        message = found.message if found.uri is None else BitcoinUri.parse(found.uri).message
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ParseError):
        return False
    return message is not None and text.casefold() in message.casefold()


class _Request(msgspec.Struct, frozen=True, gc=False):
    """Where the first events of both roles have the message."""

    message: str | None = None
    uri: str | None = None


_REQUEST = msgspec.json.Decoder(_Request)


def _read(damaged: bytes) -> str:
    return damaged.decode(errors="replace").casefold()


def _has_txid(wanted: str, txids: str) -> bool:
    found = _TXID.fullmatch(wanted)
    if found is None:
        return False
    begin, end = found[1], found[2] or ""
    middle = 64 - len(begin) - len(end)
    return middle >= 0 and bool(
        re.search(rf"\b{begin}[0-9a-f]{{{middle}}}{end}\b", txids, re.ASCII)
    )
