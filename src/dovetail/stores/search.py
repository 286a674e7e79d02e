"""Filters for lists of sessions, and the text search in them; no log is replayed."""

import re
from dataclasses import dataclass

import msgspec

from dovetail.bitcoin import UnixTime
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import ParseError
from dovetail.stores.session_index import Role

LEAST = 8
"""The least characters of an address or a txid for a search; fewer would match too many."""

_TXID = re.compile(rf"([0-9a-f]{{{LEAST},64}})(?:…([0-9a-f]*))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A filter for sessions: they must meet every condition that is set."""

    open: bool | None = None
    """True: open sessions; False: closed sessions."""
    role: Role | None = None
    since: UnixTime | None = None
    """Created at that time or later."""
    text: str | None = None
    """A part of the label or message, in any case, or the first `LEAST` or more characters of the
    address or a txid. A txid may be shortened in its middle by `…`."""


EVERY = Wanted()
"""All sessions."""


def row_says(text: str, label: bytes, address: bytes, txids: bytes) -> bool:
    """Whether a session's row matches `text`; other columns may be damaged.

    `label` and `address` are UTF-8; `txids` is any text with the row's txids.
    """
    wanted = text.casefold()
    if wanted in _read(label):
        return True
    if len(wanted) < LEAST:
        return False
    return _read(address).startswith(wanted) or _has_txid(wanted, _read(txids))


def request_says(text: str, entry: bytes) -> bool:
    """Whether the message of a request contains `text`; `entry` is the first of the log.

    False for an entry that cannot be read.
    """
    try:
        found = _REQUEST.decode(entry)
        message = found.message if found.uri is None else BitcoinUri.parse(found.uri).message
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ParseError):
        return False
    return message is not None and text.casefold() in message.casefold()


class _Request(msgspec.Struct, frozen=True, gc=False):
    """The fields with the message in the first events of both roles."""

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
