"""Servers as they answer: what they share. What is played is typed from their sources.

Nothing here was recorded from a live server: tests/wallets/core holds what was (a node of Bitcoin
Core), and tests/live_electrum and tests/live_core ask real ones.
"""

from dataclasses import dataclass

from dovetail.bitcoin import OutPoint, Sats, Script, Transaction, TxIn, TxOut
from dovetail.testing.chain_contract import ALREADY, Stage

HEIGHT, COIN_AT, PAID_AT = 110, 101, 108
OWN = Script(b"\x00\x14" + b"\x01" * 20)
THEIRS = Script(b"\x00\x14" + b"\x02" * 20)
FUNDING = Transaction(
    version=2,
    inputs=(TxIn(OutPoint.parse(f"{'77' * 32}:0"), witness=(b"\x01",)),),
    outputs=(TxOut(Sats(100_000), OWN),),
    lock_time=0,
)
COIN = OutPoint(FUNDING.txid, 0)
PAYMENT = Transaction(
    version=2,
    inputs=(TxIn(COIN, witness=(b"\x02",)),),
    outputs=(TxOut(Sats(90_000), THEIRS),),
    lock_time=0,
)
LOADING = "Loading block index…"


def node_code(words: str) -> int:
    """The code by which Bitcoin Core answers `sendrawtransaction` (rpc/protocol.h)."""
    if words in ALREADY[:2]:
        return -27
    if words == LOADING:
        return -28
    return -25 if words == "bad-txns-inputs-missingorspent" else -26


@dataclass
class Told:
    """What the scenes share: coin, payment, and how far that is."""

    stage: Stage = Stage.UNSENT
    words: str | None = None
    away: bool = False

    coin = (COIN, FUNDING.outputs[0])
    payment = PAYMENT

    def show(self, stage: Stage) -> None:
        self.stage = stage

    def answer_broadcasts(self, words: str) -> None:
        self.words = words

    def be_busy(self) -> None:
        self.words = LOADING

    def mumble(self) -> None:
        self.words = "\0"

    def go_away(self) -> None:
        self.away = True

    def block_of(self, transaction: Transaction) -> int | None:
        """The height of its block; 0 in the mempool, None where it is nowhere."""
        if transaction is FUNDING:
            return COIN_AT
        return {Stage.UNSENT: None, Stage.WAITING: 0, Stage.CONFIRMED: PAID_AT}[self.stage]

    def known(self) -> dict[str, tuple[Transaction, int]]:
        places = ((each, self.block_of(each)) for each in (FUNDING, PAYMENT))
        return {str(each.txid): (each, place) for each, place in places if place is not None}
