"""The wallet and chain interfaces.

Their methods block; the runtime calls them in worker threads. For failures outside of the program
an implementation raises only `WalletError`, `InsufficientFunds` or `ChainError`.
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
    """A wallet's balance in satoshis."""

    confirmed: Sats
    unconfirmed: Sats


class Wallet(Protocol):
    """A wallet that owns coins and signs."""

    @property
    def network(self) -> Network:
        """The network its addresses belong to."""
        ...

    def sync(self) -> None:
        """Update the wallet's coins from the chain."""
        ...

    def balance(self) -> Balance:
        """Its balance at the last `sync`."""
        ...

    def new_address(self) -> Address:
        """Return an unused receiving address; that it is given out is durable."""
        ...

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        """Return those of `scripts` that it can spend."""
        ...

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """Return those of `outpoints` that pay it, spent or not, as far as it knows the chain."""
        ...

    def coins(self) -> tuple[Coin, ...]:
        """Return its confirmed spendable coins, with the PSBT fields for signing."""
        ...

    def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        """Lock the coins of sessions, so that nothing else spends them from this wallet.

        `reserved` returns all coins to lock; coins that were locked before and are not among them
        become free. Call `reserved` under the wallet's own lock, so that of two callers the later
        one has the newer set. A wallet that only sessions spend from does nothing. The runtime
        calls this often.
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
        """Return a signed and finalized PSBT that pays `amount` to `script`: an Original PSBT.

        It spends none of `unspendable` and is not broadcast. Raises `InsufficientFunds`.
        """
        ...

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        """Sign and finalize those of `inputs` that it owns, with sighash ALL or DEFAULT.

        All other inputs stay unchanged, even if the wallet owns them: the counterparty may have
        added them.
        """
        ...

    def revoke(self, outpoint: OutPoint, *, fee_rate: FeeRate) -> Transaction:
        """Return a signed transaction that spends a coin back to itself; not broadcast."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletTransaction:
    """A transaction that pays a wallet or spends from it, as of the last `sync`."""

    txid: Txid
    received: Sats
    """The value of its outputs to the wallet."""
    sent: Sats
    """The value of the wallet's coins that it spends."""
    fee: Sats | None
    """Its whole fee, also if others paid a part; None if not all inputs are known."""
    depth: int
    """Its confirmations; 0 in the mempool."""
    at: UnixTime | None
    """The time of its block, or when it was last seen in the mempool; None if unknown."""


@runtime_checkable
class SweepingWallet(Protocol):
    """A `Wallet` that can also pay its whole balance minus the fee."""

    def pay_all(
        self, script: Script, *, fee_rate: FeeRate, unspendable: Collection[OutPoint] = ()
    ) -> Psbt:
        """Pay all coins except `unspendable` to one output; see `Wallet.pay`."""
        ...


@runtime_checkable
class SettlingWallet(Protocol):
    """A `Wallet` whose payjoins pay scripts that it keeps elsewhere, such as in cold storage."""

    def settlement_script(self, script: Script) -> Script | None:
        """Return the script to pay in place of `script` where the sender allows substitution.

        None: keep `script`. The script is durable before it is returned, and the same at each call
        with the same `script`. Nobody else has been given it (BIP 78, Payment output substitution).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """The transaction that spends an outpoint; `depth` is its confirmations, 0 in the mempool."""

    transaction: Transaction
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A transaction that pays a script; `depth` is its confirmations, 0 in the mempool."""

    txid: Txid
    amount: Sats
    depth: int


@dataclass(frozen=True, slots=True)
class Output:
    """An existing output, spent or not; `depth` is its confirmations, 0 in the mempool."""

    txout: TxOut
    depth: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The network has accepted the transaction, would accept it, or knew it already."""

    tested: bool = False
    """Whether a node tested the scripts and its policy. It is False for a broadcast, and for a
    transaction that is known only by its txid, which does not commit to signatures."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The network refused the transaction; `reason`, the node's, is for the debug log."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The source's answer is unclear: look at the chain, and try again.

    `reason` is its message, for the debug log only.
    """

    reason: str


class Chain(Protocol):
    """One source of chain and mempool data."""

    def height(self) -> int:
        """Return the height of its best block."""
        ...

    def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        """Return whether the network would accept the transaction now, as far as is known."""
        ...

    def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        """Broadcast the transaction. One that is already known counts as accepted.

        Raises `ChainError` only if the source could not be reached.
        """
        ...

    def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        """Return those of the outputs that exist, in the mempool or a block, spent or not."""
        ...

    def spends_of(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Spend]:
        """Return the spends of the outpoints in mempool and blocks, without unspent ones."""
        ...

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        """Return the transactions that pay a script, most confirmations first."""
        ...

    def payments_to_each(self, scripts: Collection[Script]) -> Mapping[Script, tuple[Payment, ...]]:
        """Return the payments to many scripts; scripts whose request failed are left out.

        Use `query_each` if the source has no better way. Raises `ChainError` if all requests
        failed.
        """
        ...

    def fee_rate(self, *, target: int) -> FeeRate:
        """Return the fee rate to confirm within `target` blocks; at least the relay minimum."""
        ...

    def min_fee_rate(self) -> FeeRate:
        """Return the minimum fee rate that it relays; Bitcoin Core's default is 0.1 sat/vB."""
        ...


class TransactionChain(Chain, Protocol):
    """A `Chain` that also gives the transactions that it names."""

    def transactions(self, txids: Collection[Txid]) -> Mapping[Txid, Transaction]:
        """Return those of the transactions that it has, in the mempool or a block."""
        ...

    def block_time(self, height: int) -> UnixTime:
        """Return the time in the header of its block at this height."""
        ...


def query_each(wanted: Collection[K], ask: Callable[[K], T]) -> dict[K, T]:
    """Call `ask` for each of `wanted`; those that fail are left out.

    It stops after three failures in a row. Raises the `ChainError` if nothing was found.
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
