"""Chain servers, and the words in which each of them passes on what its node says.

Sources: Bitcoin Core's validation.cpp and rpc/util.cpp, romanz/electrs (src/electrum.rs),
Blockstream's and mempool.space's electrs (src/errors.rs), ElectrumX (server/session.py) and Fulcrum
(src/Servers.cpp); the last is an Esplora behind a proxy that answers 403 to every refusal.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.properties.histories.ledger import require

from dovetail.errors import ChainError
from dovetail.wallets.broadcast_results import parse_broadcast_result
from dovetail.wallets.ports import Accepted, Refused


@dataclass(frozen=True)
class Said:
    """A node's answer to `sendrawtransaction`: its words, and its code."""

    words: str
    code: int


MISSING = Said("bad-txns-inputs-missingorspent", -25)
UNDERPAID = Said("insufficient fee, rejecting replacement; new feerate 0.00001 BTC/kvB", -26)
NEGATIVE = Said("bad-txns-in-belowout, value in (0.001) < value out (0.002)", -26)
FORGED = Said("mandatory-script-verify-flag-failed (Invalid signature), input 0", -26)
REFUSALS = (MISSING, UNDERPAID, NEGATIVE, FORGED)
IN_A_BLOCK = (
    Said("Transaction outputs already in utxo set", -27),
    Said("Transaction already in block chain", -27),
)
TROUBLES = (
    Said("Loading block index…", -28),
    Said("Work queue depth exceeded", -28),
    Said("Rescanning…", -28),
)

Frame = Callable[[Said], tuple[str, int | None]]
_RULES = "the transaction was rejected by network rules.\n\n"
SERVERS: dict[str, Frame] = {
    "Bitcoin Core": lambda said: (said.words, said.code),
    "romanz/electrs": lambda said: (said.words, None),
    "Blockstream/electrs": lambda said: (
        f"sendrawtransaction RPC error {said.code}: {said.words}",
        None,
    ),
    "mempool/electrs": lambda said: (
        f'sendrawtransaction RPC error: {{"code":{said.code},"message":"{said.words}"}}',
        None,
    ),
    "ElectrumX": lambda said: (f"{_RULES}{said.words}\n[{'ab' * 60}]", None),
    "Fulcrum": lambda said: (f"{_RULES}{said.words}\n", None),
    "Esplora behind a proxy": lambda _said: ("403 Forbidden", None),
}
DUMB = "Esplora behind a proxy"
"""The server whose refusals say nothing."""


def understood(server: str, said: Said) -> bool | None:
    """How the answer is read: taken, refused, or None where it tells neither."""
    words, code = SERVERS[server](said)
    if code in (-28, -1):  # which the adapter of a node raises before it reads the words
        return None
    try:
        verdict = parse_broadcast_result(words, code=code)
    except ChainError:
        found = None
    else:
        found = {Accepted: True, Refused: False}.get(type(verdict))
    clear = server != DUMB
    there, refused = said in IN_A_BLOCK, said in REFUSALS
    require("words", found is not False or refused, f"{server}: no refusal was read as one")
    require("words", found is not True or there, f"{server}: a refusal was read as accepted")
    require("words", found is not None or not (clear and (there or refused)), f"{server}: unread")
    return found
