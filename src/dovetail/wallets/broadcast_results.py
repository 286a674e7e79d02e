"""Interpret a server's answer to a broadcast: accepted, refused, a server error, or unknown.

Every server passes on its node's message (Bitcoin Core, rpc/protocol.h and validation.cpp) in its
own format: with the node's code (electrs of Blockstream and mempool), after a sentence (ElectrumX,
Fulcrum), or unchanged (romanz/electrs). The code decides if there is one, otherwise the form of
the node's reject reasons.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from dovetail.errors import ChainError
from dovetail.wallets.mempool_policy import KNOWN, shortened
from dovetail.wallets.ports import Accepted, Refused, Unknown

TROUBLED = "The chain server could not broadcast the transaction now; Dovetail tries again."

_ALREADY_THERE = -27
_REJECTED, _ERROR, _NOT_DECODED = -26, -25, -22

_DATA = re.compile(r"[0-9a-fA-F]{32,}")
_JSON = re.compile(r"\{[^{}]*\"code\"[^{}]*\}")
_CODE = re.compile(
    r"(?:^|RPC error|code)[\s:\"=\\]{0,5}(-\d{1,5})\b\W*(.*)", re.IGNORECASE | re.DOTALL
)
_FRAMES = (
    re.compile(r"^.*rejected by network rules\.?[\s:]*", re.IGNORECASE | re.DOTALL),
    re.compile(r"^(?:sendrawtransaction|submitpackage) RPC error[\s:]*", re.IGNORECASE),
    re.compile(r"^(?:error|daemon error|transaction rejected)[\s:]+", re.IGNORECASE),
    re.compile(r"^\d{1,3}:\s*"),  # a BIP 61 code before the reason, as older nodes write it
)
_FRAMED = re.compile(r"rejected by network rules", re.IGNORECASE)

_ALREADY = re.compile(
    r"already in (?:the )?(?:block ?chain|utxo set|mempool)"
    rf"|already known|{'|'.join(sorted(KNOWN))}",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"(?:^|[:\n\"'(]\s*)(?:bad-[a-z]|mandatory-script-verify|non-mandatory-script-verify|mempool-script-verify"
    r"|block-script-verify|txn-mempool-conflict|too-long-mempool-chain|too-large-cluster"
    r"|non-BIP68-final|non-final|min relay fee not met|mempool min fee not met|mempool full"
    r"|insufficient fee|insufficient priority|too many potential replacements|missing[- ]inputs"
    r"|replacement-|bip125-replacement|truc-violation|v3-rule-violation|missing-ephemeral-spends"
    r"|scriptsig-|scriptpubkey|tx-size|bare-multisig|multi-op-return|datacarrier|dust\b"
    r"|version\b|coinbase\b|premature-|absurdly-high-fee|max[- ]fee|fee exceeds maximum"
    r"|package-|conflict-in-package|tx decode failed|unspendable output exceeds"
    r"|inputs missing or spent|transaction rejected by mempool|witness-)",
    re.IGNORECASE,
)
_TROUBLE = re.compile(
    r"loading|verifying blocks|rescanning|replaying blocks|starting|warming|warm-?up|syncing"
    r"|initial (?:block )?(?:sync|download)|work queue|busy|overload|time[d ]*out|excessive"
    r"|too many requests|rate limit|quota|internal error|unavailable|shutting down"
    r"|not connected|disconnect|connection|unreachable|try again",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _NodeMessage:
    """The node's message, and its code if the server passed it on."""

    words: str
    code: int | None = None


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str = ""


def parse_broadcast_result(words: str, *, code: int | None = None) -> Accepted | Refused | Unknown:
    """Interpret the message about a broadcast transaction; `code` is the node's, if known.

    Raises `ChainError` if the message reports a server error.
    """
    message = _node_message(words) if code is None else _NodeMessage(words, code)
    reason = shortened(_DATA.sub("…", message.words))
    if message.code == _ALREADY_THERE or _ALREADY.search(message.words):
        return Accepted()
    if message.code in (_REJECTED, _NOT_DECODED) or _REASON.search(message.words):
        return Refused(reason)
    if message.code not in (None, _ERROR) or _TROUBLE.search(message.words):
        raise ChainError(TROUBLED)
    if message.code == _ERROR or _FRAMED.search(words):
        return Refused(reason)
    return Unknown(reason)


def _node_message(words: str) -> _NodeMessage:
    """Return the node's part of the server's message."""
    if words.lstrip().startswith("<"):
        return _NodeMessage("")  # an HTML page of a proxy
    for found in _JSON.finditer(words):
        with suppress(msgspec.DecodeError):
            error = msgspec.json.decode(found[0], type=_Error)
            return _NodeMessage(error.message, error.code)
    coded = _CODE.search(words)
    if coded is not None:
        return _NodeMessage(coded[2], int(coded[1]))
    for frame in _FRAMES:
        words = frame.sub("", words, count=1)
    return _NodeMessage(words)
