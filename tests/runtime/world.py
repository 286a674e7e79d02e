"""A chain by real consensus code, wallets that sign, a clock: what a pair of agents lives in."""

import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from tests.runtime.directory import Wire
from tests.sessions.wallet import Wallet as Keys

from dovetail.bitcoin import (
    Address,
    FeeRate,
    Network,
    OutPoint,
    Psbt,
    Sats,
    Script,
    Transaction,
    Txid,
    TxIn,
    TxOut,
    UnixTime,
)
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import ChainError, InsufficientFunds, WalletError
from dovetail.protocol.contribution import Coin
from dovetail.regtest.index import script_hash
from dovetail.regtest.node import RegtestNode
from dovetail.runtime.agent import Agent
from dovetail.runtime.live_session import LiveReceiver, LiveSender
from dovetail.runtime.policy import Policy
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.sender import SenderSession
from dovetail.stores.ports import Rows
from dovetail.wallets.ports import (
    Accepted,
    Balance,
    Output,
    Payment,
    Refused,
    Spend,
    Unknown,
    told_each,
)

NOW = UnixTime(1_800_000_000)
QUICK = Policy(
    grace=600,
    watch_interval=0.01,
    poll_pause=0.01,
    log_interval=0.01,
    last_word=0.05,
    first_retry=0.01,
    longest_retry=0.05,
    tries=4,
)
KNOWN = ("txn-already-in-mempool", "txn-already-known")
FEE = 600

Live = TypeVar("Live", LiveReceiver, LiveSender)


@dataclass
class Clock:
    """Stands still until it is told the time."""

    now: int = NOW

    def __call__(self) -> UnixTime:
        return UnixTime(self.now)

    def pass_by(self, seconds: int) -> None:
        self.now += seconds


@dataclass
class NodeChain:
    """The `Chain` of a node in this process; it can be `away`, or blind to its mempool."""

    node: RegtestNode
    away: bool = False
    shows_mempool: bool = True
    runs_scripts: bool = True
    """Whether it tests what it is asked about, as a node does."""
    refuses: Callable[[Transaction], bool] = lambda _tx: False
    mumbles: Callable[[Transaction], bool] = lambda _tx: False
    broadcasts: list[Transaction] = field(default_factory=list)
    looks: int = 0

    def height(self) -> int:
        self._require()
        return self.node.height

    def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        self._require()
        if not self.runs_scripts:
            return Accepted()
        answer = self._verdict(self.node.test(transaction))
        return Accepted(tested=True) if isinstance(answer, Accepted) else answer

    def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        self._require()
        self.broadcasts.append(transaction)
        if self.mumbles(transaction):
            return Unknown("told to")
        if self.refuses(transaction):
            return Refused("told to")
        return self._verdict(self.node.send(transaction))

    def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        self._require()
        found: dict[OutPoint, Output] = {}
        with self.node.lock:
            for outpoint in outpoints:
                transaction = self.node.transaction(outpoint.txid)
                if transaction is not None and outpoint.vout < len(transaction.outputs):
                    depth = self.node.confirmations(outpoint.txid)
                    found[outpoint] = Output(transaction.outputs[outpoint.vout], depth)
        return found

    def spends_of(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Spend]:
        self._require()
        self.looks += 1
        spends = {outpoint: self.spend_of(outpoint) for outpoint in outpoints}
        return {outpoint: spend for outpoint, spend in spends.items() if spend is not None}

    def spend_of(self, outpoint: OutPoint) -> Spend | None:
        self._require()
        with self.node.lock:
            txid = self.node.spender(outpoint)
            transaction = None if txid is None else self.node.transaction(txid)
            if txid is None or transaction is None:
                return None
            depth = self.node.confirmations(txid)
        return Spend(transaction=transaction, depth=depth) if depth or self.shows_mempool else None

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        self._require()
        with self.node.lock:
            index = self.node.chain.index
            found = [index.transactions[t].transaction for t in index.history(script_hash(script))]
            found += [entry.transaction for entry in self.node.mempool]
            payments = [
                Payment(
                    txid=transaction.txid,
                    amount=Sats(
                        sum(o.value for o in transaction.outputs if o.script_pubkey == script)
                    ),
                    depth=self.node.confirmations(transaction.txid),
                )
                for transaction in found
                if any(output.script_pubkey == script for output in transaction.outputs)
            ]
        return tuple(sorted(payments, key=lambda payment: -payment.depth))

    def payments_to_each(self, scripts: Collection[Script]) -> Mapping[Script, tuple[Payment, ...]]:
        return told_each(scripts, self.payments_to)

    def fee_rate(self, *, target: int) -> FeeRate:  # noqa: ARG002 - the port's
        self._require()
        return FeeRate.from_sat_per_vb(2)

    def min_fee_rate(self) -> FeeRate:
        self._require()
        return FeeRate.BROADCAST_MIN

    def _require(self) -> None:
        if self.away:
            raise ChainError("The chain is away.")

    @staticmethod
    def _verdict(answer: object) -> Accepted | Refused:
        reason = getattr(answer, "reason", None)
        return Accepted() if reason is None or reason in KNOWN else Refused(str(reason))


class KeyWallet:
    """A `Wallet` of P2WPKH keys on a node; told to, it fails to sign or to answer.

    It pays with one coin, and with `also_spends` more.
    """

    network = Network.REGTEST

    def __init__(self, name: str, node: RegtestNode) -> None:
        self.keys = _ManyKeys(name)
        self.node = node
        self.given = 0
        self.cannot_sign = False
        self.signs_nothing = False
        self.away = False
        self.also_spends = 0
        self.asked_to_sign: frozenset[OutPoint] = frozenset()
        self.held: frozenset[OutPoint] = frozenset()
        """What it was told last that sessions hold."""
        self.lock = threading.Lock()

    def sync(self) -> None:
        if self.away:
            raise WalletError("The wallet is away.")

    def balance(self) -> Balance:
        total = sum(coin.utxo.value for coin in self.coins())
        return Balance(confirmed=Sats(total), unconfirmed=Sats(0))

    def new_address(self) -> Address:
        with self.lock:
            self.given += 1
            return self.keys.address(self.given)

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        if self.away:
            raise WalletError("The wallet is away.")
        return frozenset(self.keys.scripts()).intersection(scripts)

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        if self.away:
            raise WalletError("The wallet is away.")
        scripts = self.keys.scripts()
        with self.node.lock:
            utxos = {outpoint: self.node.utxo(outpoint) for outpoint in outpoints}
        return frozenset(at for at, utxo in utxos.items() if utxo and utxo.script_pubkey in scripts)

    def coins(self) -> tuple[Coin, ...]:
        found = []
        with self.node.lock:
            for script in self.keys.scripts():
                for outpoint in self.node.chain.index.unspent(script_hash(script)):
                    utxo = self.node.utxo(outpoint)
                    if utxo is not None:
                        psbt_input = PsbtInput().with_witness_utxo(utxo)
                        found.append(Coin(outpoint, psbt_input, utxo))
        return tuple(found)

    def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        self.held = frozenset(reserved())

    def pay(
        self,
        script: Script,
        amount: Sats,
        *,
        fee_rate: FeeRate,  # noqa: ARG002 - the port's
        unspendable: Collection[OutPoint] = (),
    ) -> Psbt:
        free = [coin for coin in self.coins() if coin.outpoint not in unspendable]
        free.sort(key=lambda coin: coin.outpoint)
        for coin in free:
            if coin.utxo.value > amount + FEE + 1000:
                others = [each for each in free if each is not coin]
                return self._signed_payment((coin, *others[: self.also_spends]), script, amount)
        raise InsufficientFunds("The wallet has no coin for this.")

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        if self.cannot_sign:
            raise WalletError("The wallet is locked.")
        self.asked_to_sign = frozenset(inputs)
        if self.signs_nothing:
            return psbt
        signed = self.keys.sign(psbt)
        for index, outpoint in enumerate(psbt.unsigned_transaction.contested()):
            if outpoint in inputs:
                psbt = psbt.with_input(index, signed.inputs[index])
        return psbt

    def revoke(self, outpoint: OutPoint, *, fee_rate: FeeRate) -> Transaction:  # noqa: ARG002 - too
        utxo = self.node.chain.index.coins[outpoint].output
        outputs = (TxOut(Sats(utxo.value - 20 * FEE), self.new_address().script_pubkey),)
        unsigned = Transaction(2, (TxIn(outpoint, sequence=0xFFFFFFFD),), outputs, 0)
        psbt = Psbt.from_unsigned(unsigned).with_input(0, PsbtInput().with_witness_utxo(utxo))
        return self.keys.sign(psbt).extract()

    def _signed_payment(self, coins: tuple[Coin, ...], script: Script, amount: Sats) -> Psbt:
        change = self.new_address().script_pubkey
        rest = Sats(sum(coin.utxo.value for coin in coins) - amount - FEE)
        unsigned = Transaction(
            2,
            tuple(TxIn(coin.outpoint, sequence=0xFFFFFFFD) for coin in coins),
            (TxOut(amount, script), TxOut(rest, change)),
            0,
        )
        psbt = Psbt.from_unsigned(unsigned)
        for index, coin in enumerate(coins):
            psbt = psbt.with_input(index, coin.psbt_input)
        return self.keys.sign(psbt)


class _ManyKeys(Keys):
    def scripts(self) -> dict[Script, SecretKey]:
        return {self.script(index): self.key(index) for index in range(1, 24)}


@dataclass
class Party:
    """One side: its wallet, its view of the chain, its folder."""

    wallet: KeyWallet
    chain: NodeChain
    folder: Path


@dataclass
class World:
    """Alice pays Bob, over one wire, on one chain, in one time."""

    node: RegtestNode
    folder: Path
    clock: Clock = field(default_factory=Clock)
    wire: Wire = field(default_factory=Wire)
    policy: Policy = QUICK
    relays: tuple[str, ...] = ("https://relay.example",)
    directories: tuple[str, ...] = ()
    """Where new receivers have their mailboxes; the wire's own where none is named."""

    def __post_init__(self) -> None:
        self.alice = self._party("alice")
        self.bob = self._party("bob")

    def _party(self, name: str) -> Party:
        # Keys of their own for each test, as all share one chain.
        wallet = KeyWallet(f"{name} of {self.folder.name}", self.node)
        return Party(wallet, NodeChain(self.node), self.folder / name)

    def fund(self, party: Party, *amounts: int) -> None:
        outputs = [TxOut(Sats(a), party.wallet.new_address().script_pubkey) for a in amounts]
        self.node.fund_many(outputs)

    @asynccontextmanager
    async def agent(
        self, party: Party, *, resume: bool = True, rows: Rows | None = None, **policy: object
    ) -> AsyncIterator[Agent]:
        async with Agent.open(
            party.folder,
            wallet=party.wallet,
            chain=party.chain,
            directory=self.directories or self.wire.directory.origin,
            relays=self.relays,
            transport=self.wire,
            clock=self.clock,
            resume=resume,
            rows=rows,
            policy=replace(self.policy, **policy),  # type: ignore[arg-type]  # names of its fields
        ) as agent:
            yield agent

    def evict(self, txid: Txid) -> None:
        """What a full mempool does to a transaction."""
        with self.node.lock:
            self.node.mempool._remove(txid)

    def received(self, address: Address) -> list[int]:
        """What an address got, transaction by transaction, mempool included."""
        payments = NodeChain(self.node).payments_to(address.script_pubkey)
        return [int(payment.amount) for payment in payments]


async def until(
    session: LiveReceiver | LiveSender, *states: type[ReceiverSession] | type[SenderSession]
) -> ReceiverSession | SenderSession:
    """Wait for a session to be in one of these states."""
    async for update in session.updates():
        if isinstance(update.state, states):
            return update.state
    raise AssertionError(f"the session ended as {session.state!r}")
