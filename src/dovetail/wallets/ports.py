"""The two ports: a wallet that owns coins, and a chain that says what happened to them.

Both block; the runtime calls them from worker threads. An implementation raises
`WalletError`, `InsufficientFunds` or `ChainError`, and nothing else, for what goes wrong outside.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from dovetail.bitcoin import (
    Address,
    FeeRate,
    Network,
    OutPoint,
    Sats,
    Script,
    Transaction,
    Txid,
    TxOut,
    UnixTime,
)
from dovetail.bitcoin.psbt import Psbt
from dovetail.errors import ChainError
from dovetail.protocol.coin import Coin

K = TypeVar("K")
T = TypeVar("T")

_AWAY_AFTER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What a wallet holds, in satoshis."""

    confirmed: Sats
    unconfirmed: Sats


class Wallet(Protocol):
    """A wallet that owns and signs."""

    @property
    def network(self) -> Network:
        """The network its addresses belong to."""
        ...

    def sync(self) -> None:
        """Learn what the chain did to the wallet's coins."""
        ...

    def balance(self) -> Balance:
        """What it holds, as of the last `sync`."""
        ...

    def new_address(self) -> Address:
        """A receiving address that it gave to nobody before, durably taken."""
        ...

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        """Those of `scripts` that it can spend."""
        ...

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """Those of `outpoints` that pay it, spent or not, by its own knowledge of the chain."""
        ...

    def coins(self) -> tuple[Coin, ...]:
        """Its confirmed spendable coins, with what a PSBT input needs to sign them."""
        ...

    def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        """Keep the coins that sessions hold from whatever else spends from this wallet.

        `reserved` tells all of them; what was held before and is not among them is free again. It
        is called under the wallet's own lock, so that of two callers the later tells the truth. A
        wallet that nothing else spends from has nothing to do. Called again and again.
        """
        ...

    def pay(
        self,
        script: Script,
        amount: Sats,
        *,
        fee_rate: FeeRate,
        unspendable: Collection[OutPoint] = (),
    ) -> Psbt:
        """A signed and finalized PSBT that pays `amount` to `script`: an Original PSBT.

        It spends none of `unspendable` and is not broadcast. Raises `InsufficientFunds`.
        """
        ...

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        """Sign and finalize those of `inputs` that are its own, with sighash ALL or DEFAULT.

        All other inputs come back as they were, also where they are its own: somebody else may
        have named them.
        """
        ...

    def revoke(self, outpoint: OutPoint, *, fee_rate: FeeRate) -> Transaction:
        """A signed transaction that spends one of its coins back to itself, not broadcast."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletTransaction:
    """A transaction that pays a wallet or spends from it, as of its last `sync`."""

    txid: Txid
    received: Sats
    """What its outputs pay to the wallet."""
    sent: Sats
    """What of the wallet's coins it spends."""
    fee: Sats | None
    """Its whole fee, whoever paid it; None where not all of its inputs are known."""
    depth: int
    """How deep it lies: 0 in the mempool."""
    at: UnixTime | None
    """When its block was mined, or when it was last seen in the mempool; None where not known."""


@runtime_checkable
class SweepingWallet(Protocol):
    """A wallet that can pay all it has, less the fee: what a `Wallet` may offer besides."""

    def pay_all(
        self, script: Script, *, fee_rate: FeeRate, unspendable: Collection[OutPoint] = ()
    ) -> Psbt:
        """As `Wallet.pay`, from all coins but `unspendable`, into one output."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """The transaction that spends an outpoint, and how deep it lies: 0 in the mempool."""

    transaction: Transaction
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A transaction that pays a script, how much, and how deep it lies: 0 in the mempool."""

    txid: Txid
    amount: Sats
    depth: int


@dataclass(frozen=True, slots=True)
class Output:
    """An output that exists, spent or not, and how deep its transaction lies: 0 in the mempool."""

    txout: TxOut
    depth: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The network took the transaction, would take it, or knew it already."""

    tested: bool = False
    """Whether a node tested the scripts and its own policy: never said of a broadcast, nor of a
    transaction that is known by its txid, which does not commit to signatures."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The network refused the transaction; `reason` in the node's words, for the debug log."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The source answered in words that tell neither: look at the chain, and try again.

    `reason` in its own words, for the debug log.
    """

    reason: str


class Chain(Protocol):
    """What the network knows, as one source tells it."""

    def height(self) -> int:
        """The height of its best block."""
        ...

    def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        """Whether the network would take the transaction now, as well as the source can tell."""
        ...

    def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        """Hand the transaction to the network. One that is known already counts as accepted.

        Raises `ChainError` only where the source could not be asked.
        """
        ...

    def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        """Those of the outputs that exist, in the mempool or a block, spent or not."""
        ...

    def spends_of(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Spend]:
        """What spends the outpoints, in the mempool or a block; without those that nothing does."""
        ...

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        """The transactions that pay a script, the deepest first."""
        ...

    def payments_to_each(self, scripts: Collection[Script]) -> Mapping[Script, tuple[Payment, ...]]:
        """The same for many scripts at once, without those that cannot be told of.

        One by one by `told_each` where the source has nothing better. Raises `ChainError` where it
        tells of none.
        """
        ...

    def fee_rate(self, *, target: int) -> FeeRate:
        """The fee rate to confirm within `target` blocks; at least the relay minimum."""
        ...

    def min_fee_rate(self) -> FeeRate:
        """The least that it relays: 0.1 sat/vB where a node keeps to Bitcoin Core's default."""
        ...


def told_each(wanted: Collection[K], ask: Callable[[K], T]) -> dict[K, T]:
    """What `ask` tells of each; those of which it cannot are left out.

    A source that fails three times in a row is asked no more. Raises its `ChainError` where it has
    told nothing.
    """
    found: dict[K, T] = {}
    failures = 0
    for each in wanted:
        try:
            found[each] = ask(each)
        except ChainError:
            failures += 1
            if failures < min(_AWAY_AFTER, len(wanted)):
                continue
            if not found:
                raise
            break
        failures = 0
    return found
