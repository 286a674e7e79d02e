"""What a source says when it is handed a transaction: taken, refused, its own trouble, or neither.

Every server passes on what its node says (Bitcoin Core, rpc/protocol.h and validation.cpp), each
in its own frame: with the node's code (electrs of Blockstream and mempool), behind a sentence
(ElectrumX, Fulcrum), or bare (romanz/electrs). So the code decides where there is one, and else
the shape of the node's own reject reasons.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from dovetail.errors import ChainError
from dovetail.wallets.mempool_policy import KNOWN, shortened
from dovetail.wallets.ports import Accepted, Refused, Unknown

TROUBLED = "The chain server could not broadcast the transaction just now; it is tried again."

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
class _Said:
    """The node's words, and its code where the frame kept it."""

    words: str
    code: int | None = None


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str = ""


def told(words: str, *, code: int | None = None) -> Accepted | Refused | Unknown:
    """What `words` say about a transaction that was handed over; `code` the node's, if known.

    Raises `ChainError` where they tell of the server's own trouble.
    """
    said = _said(words) if code is None else _Said(words, code)
    reason = shortened(_DATA.sub("…", said.words))
    if said.code == _ALREADY_THERE or _ALREADY.search(said.words):
        return Accepted()
    if said.code in (_REJECTED, _NOT_DECODED) or _REASON.search(said.words):
        return Refused(reason)
    if said.code not in (None, _ERROR) or _TROUBLE.search(said.words):
        raise ChainError(TROUBLED)
    if said.code == _ERROR or _FRAMED.search(words):
        return Refused(reason)
    return Unknown(reason)


def _said(words: str) -> _Said:
    """The node's part of what a server passes on."""
    if words.lstrip().startswith("<"):
        return _Said("")  # a page of whatever stands before the server, whose words mean nothing
    for found in _JSON.finditer(words):
        with suppress(msgspec.DecodeError):
            error = msgspec.json.decode(found[0], type=_Error)
            return _Said(error.message, error.code)
    coded = _CODE.search(words)
    if coded is not None:
        return _Said(coded[2], int(coded[1]))
    for frame in _FRAMES:
        words = frame.sub("", words, count=1)
    return _Said(words)
