"""What all pairings share: one chain, the mailrooms, and how money gets to both parties."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.interop.mailrooms import Mailrooms, open_mailrooms
from tests.interop.programs import Peers
from tests.support.certificates import Certificate, make_certificate

from dovetail.bitcoin import Network, OutPoint, Sats, Script, Transaction, Txid, TxOut
from dovetail.regtest import RegtestServer
from dovetail.regtest.index import script_hash
from dovetail.wallets.esplora.chain import EsploraChain

BLOCKS = 140
_BLINK = 0.03


class How(StrEnum):
    """How a payment was made, as its party says."""

    PAYJOIN = "payjoin"
    FALLBACK = "fallback"
    UNWATCHED = "proposal sent, and not watched"
    """rust-payjoin does not follow the payjoin of a sender whose txid it cannot foresee."""
    NOT_AT_ALL = "not at all"


@dataclass(frozen=True, slots=True)
class Ending:
    """What one party says of the end; `why` in the words of whoever says so."""

    how: How
    txid: Txid | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a payment cost: its whole fee, its weight, and what the receiver got."""

    fee: int
    weight: int
    got: int

    def __str__(self) -> str:
        return f"{4 * self.fee / self.weight:.2f} sat/vB, got {self.got:,}"


@dataclass
class Stage:
    """The world of a run; `folder` is scratch."""

    regtest: RegtestServer
    chain: EsploraChain
    mailrooms: Mailrooms
    peers: Peers
    folder: Path
    certificate: Certificate
    """For servers on TLS, on this machine."""
    numbers: Iterator[int] = field(default_factory=itertools.count)
    began: float = 0.0
    """When the pairing that is played began, its parties and their coins being there."""
    costs: "Costs | None" = None
    """What the payment of the pairing that is played cost, once it was made."""

    def place(self, name: str) -> Path:
        made = self.folder / f"{next(self.numbers)}-{name}"
        made.mkdir()
        return made

    def fund(self, outputs: list[tuple[Script, int]]) -> Transaction:
        wanted = [TxOut(Sats(value), script) for script, value in outputs]
        return self.regtest.node.fund_many(wanted)

    def unspent(self, scripts: list[Script]) -> int:
        node = self.regtest.node
        with node.lock:
            index = node.chain.index
            return sum(
                int(index.coins[outpoint].output.value)
                for script in scripts
                for outpoint in index.unspent(script_hash(script))
            )

    def send(self, transaction: Transaction) -> bool:
        """Broadcast for a party without a chain of its own; whether it was taken."""
        answer = self.regtest.node.send(transaction)
        return getattr(answer, "reason", None) in (None, "txn-already-in-mempool")

    def accepts(self, transaction: Transaction) -> bool:
        return getattr(self.regtest.node.test(transaction), "reason", None) is None

    def confirmed(self, txid: Txid) -> Transaction | None:
        node = self.regtest.node
        return node.transaction(txid) if node.confirmations(txid) else None

    def spender(self, outpoint: OutPoint) -> Transaction | None:
        txid = self.regtest.node.spender(outpoint)
        return None if txid is None else self.confirmed(txid)

    async def settled(self, outpoint: OutPoint) -> Transaction:
        while True:
            found = self.spender(outpoint)
            if found is not None:
                return found
            await asyncio.sleep(_BLINK)

    @asynccontextmanager
    async def mining(self) -> AsyncGenerator[None]:
        """A block whenever something waits for one."""
        task = asyncio.create_task(self._mine())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _mine(self) -> None:
        while True:
            if self.regtest.node.mempool_txids():
                await asyncio.to_thread(self.regtest.node.mine)
            await asyncio.sleep(_BLINK)


@contextmanager
def open_stage(folder: Path, peers: Peers) -> Generator[Stage]:
    """A fresh chain, our mailrooms, and of theirs what there is."""
    with (
        RegtestServer(blocks=BLOCKS) as regtest,
        EsploraChain(regtest.url, Network.REGTEST) as chain,
        open_mailrooms(folder, peers.mailroom) as mailrooms,
    ):
        yield Stage(regtest, chain, mailrooms, peers, folder, make_certificate(folder))
