"""A shop's process: one agent with thousands of waiting receivers. `waiting` starts and asks it."""

import asyncio
import gc
import resource
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time

from tests.support.keys import Keys

from dovetail import rare_collections
from dovetail.bitcoin import Address, FeeRate, Network, OutPoint, Psbt, Sats, Script, Transaction
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.transaction import TxOut
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.coin import Coin
from dovetail.runtime.agent import Agent
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.ports import Balance

NAME = "shop"
AMOUNT = 50_000
COIN = 70_000
_BEGUN_AT_ONCE = 50
_PAGE = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Shop:
    """What its process is told: where everything is, and which coins it owns."""

    folder: Path
    directory: str
    chain: str
    pace: float
    sessions: int
    coins: tuple[OutPoint, ...]
    """Coin n is guarded by key n."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the process used while it waited: bytes of memory, and of one core which part."""

    resident: int
    cores: float


class Till:
    """A `Wallet` of keys that sign; what a real one does besides is not measured here."""

    network = Network.REGTEST

    def __init__(self, coins: Collection[OutPoint]) -> None:
        self._keys = KnownKeys(NAME)
        self._next = count(len(coins))
        self._coins = tuple(map(self._coin, range(len(coins)), coins))

    def _coin(self, index: int, outpoint: OutPoint) -> Coin:
        utxo = TxOut(Sats(COIN), self._keys.learn(index).script_pubkey)
        return Coin(outpoint, PsbtInput().with_witness_utxo(utxo), utxo)

    def sync(self) -> None:
        """See `Wallet`."""

    def balance(self) -> Balance:
        total = Sats.sum(coin.utxo.value for coin in self._coins)
        return Balance(confirmed=total, unconfirmed=Sats(0))

    def new_address(self) -> Address:
        return self._keys.learn(next(self._next))

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        return frozenset(script for script in scripts if script in self._keys.known)

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        return frozenset(coin.outpoint for coin in self._coins).intersection(outpoints)

    def coins(self) -> tuple[Coin, ...]:
        return self._coins

    def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        """See `Wallet`."""

    def pay(
        self,
        script: Script,
        amount: Sats,
        *,
        fee_rate: FeeRate,
        unspendable: Collection[OutPoint] = (),
    ) -> Psbt:
        raise NotImplementedError(script, amount, fee_rate, unspendable)

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        signed = self._keys.sign(psbt)
        for index, outpoint in enumerate(psbt.unsigned_transaction.contested()):
            if outpoint in inputs:
                psbt = psbt.with_input(index, signed.inputs[index])
        return psbt

    def revoke(self, outpoint: OutPoint, *, fee_rate: FeeRate) -> Transaction:
        raise NotImplementedError(outpoint, fee_rate)


class KnownKeys(Keys):
    """Keys by their scripts, however many there are."""

    known: dict[Script, SecretKey]

    def __init__(self, name: str) -> None:
        super().__init__(name)
        object.__setattr__(self, "known", {})

    def learn(self, index: int) -> Address:
        script = self.script(index)
        self.known[script] = self.key(index)
        return Address.from_script(script, Network.REGTEST)

    def scripts(self) -> dict[Script, SecretKey]:
        return self.known


def work(shop: Shop, told: Connection) -> None:
    """Begin the sessions and say their URIs; then answer each number of seconds with a `Cost`."""
    with rare_collections():
        asyncio.run(_work(shop, told))


async def _work(shop: Shop, told: Connection) -> None:
    chain = EsploraChain(shop.chain, Network.REGTEST, pace=shop.pace)
    async with Agent.open(
        shop.folder, wallet=Till(shop.coins), chain=chain, directory=shop.directory, direct=True
    ) as agent:
        uris: list[str] = []
        for start in range(0, shop.sessions, _BEGUN_AT_ONCE):
            some = range(start, min(start + _BEGUN_AT_ONCE, shop.sessions))
            begun = await asyncio.gather(*(agent.receive(AMOUNT) for _ in some))
            uris += [session.uri for session in begun]
        gc.collect()
        told.send(uris)
        while seconds := await asyncio.to_thread(told.recv):
            used, began = process_time(), perf_counter()
            await asyncio.sleep(seconds)
            cores = (process_time() - used) / (perf_counter() - began)
            told.send(Cost(_resident(), cores))
    chain.close()


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * _PAGE
