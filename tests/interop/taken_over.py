"""Sessions that rust-payjoin began and that Dovetail takes over from its event log."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from tests.interop.combinations import THEM, US, at_once
from tests.interop.dovetail_peer import (
    EAGER,
    AheadClock,
    OurReceiver,
    OurSender,
    ending_of,
    trusting,
)
from tests.interop.environment import Ending, Stage
from tests.interop.pairing import AMOUNT, Pairing, both
from tests.interop.rust_peer import TheirReceiver, Theirs, TheirSender

from dovetail import Agent
from dovetail.bitcoin import Network, OutPoint, Psbt, PsbtInput, Sats, Script
from dovetail.errors import DovetailError, WalletError
from dovetail.protocol import Coin
from dovetail.stores.ports import Role
from dovetail.stores.rust_payjoin import export_of, receiver_events, sender_events
from dovetail.stores.transfer import import_sessions
from dovetail.wallets.ports import Balance

Play = Callable[[Stage, Pairing], Awaitable[None]]
_GROUP = "Taken over from rust-payjoin"


def taken_over() -> Iterator[Pairing]:
    """Each role, from where its log may end."""
    for what, play in (
        ("the sender, before its log says that it posted", _sender(_nothing)),
        ("the sender, which polls", _sender(_posts)),
        ("the sender, which has a proposal", _sender(_hears)),
    ):
        yield Pairing(_GROUP, what, THEM, US, US, THEM, play)
    for what, play in (
        ("the receiver, which waits", _receiver(_nothing)),
        ("the receiver, which checks the Original", _receiver(_checks)),
        ("the receiver, which has signed its proposal", _receiver(_signs)),
        ("the receiver, whose proposal is out", _receiver(_proposes)),
    ):
        yield Pairing(_GROUP, what, US, THEM, THEM, US, play)


@dataclass
class PeerWallet:
    """The keys and coins of a rust-payjoin, as a wallet; it makes no payment of its own."""

    party: Theirs
    scripts: frozenset[Script]
    loop: asyncio.AbstractEventLoop
    network: Network = Network.REGTEST

    def sync(self) -> None:
        """It knows its coins."""

    def balance(self) -> Balance:
        """Nobody asks."""
        return Balance(confirmed=Sats(0), unconfirmed=Sats(0))

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        """Those that its keys have made."""
        return self.scripts & frozenset(scripts)

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """Those that it came with."""
        return frozenset(self.party.coins) & frozenset(outpoints)

    def coins(self) -> tuple[Coin, ...]:
        """All that it came with."""
        return tuple(map(self._coin, self.party.coins))

    def hold(self, _: object) -> None:
        """Nothing else spends from it."""

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        """By the keys of rust-payjoin, which knows no other inputs of its own than these."""
        assert frozenset(inputs) <= frozenset(self.party.coins)
        order = self.party.peer.order("sign", psbt=psbt.to_base64())
        answer = asyncio.run_coroutine_threadsafe(order, self.loop).result()
        return Psbt.from_base64(str(answer["psbt"]))

    def new_address(self):
        """What it takes over has an address."""
        raise WalletError("no address is needed")

    def pay(self, *_: object, **__: object):
        """What it takes over has its payment."""
        raise WalletError("no payment is needed")

    def revoke(self, *_: object, **__: object):
        """Nobody takes a payment back."""
        raise WalletError("nothing is revoked")

    def _coin(self, outpoint: OutPoint) -> Coin:
        transaction = self.party.stage.confirmed(outpoint.txid)
        assert transaction is not None
        utxo = transaction.outputs[outpoint.vout]
        return Coin(outpoint, PsbtInput().with_witness_utxo(utxo), utxo)


async def _to_its_end(stage: Stage, party: Theirs, role: Role) -> Ending:
    """Take the party's session over, and wait for its outcome."""
    clock = AheadClock()
    entries = [json.dumps(event) for event in (await party.peer.order("log"))["events"]]
    scripts = (await party.peer.order("scripts"))["scripts"]
    wallet = PeerWallet(
        party,
        frozenset(Script(bytes.fromhex(each)) for each in scripts),
        asyncio.get_running_loop(),
    )
    log = (
        sender_events(entries, network=Network.REGTEST, now=clock())
        if role is Role.SENDER
        else receiver_events(entries, now=clock())
    )
    export = io.BytesIO(b"".join(export_of([(role, log)], now=clock())))
    async with (
        trusting(stage) as transport,
        Agent.open(
            stage.place("successor"),
            wallet=wallet,
            chain=stage.chain,
            relays=[party.relay],
            policy=EAGER,
            clock=clock,
            transport=transport,
        ) as agent,
    ):
        (taken,) = await asyncio.to_thread(
            lambda: list(import_sessions(agent.services.store, export))
        )
        assert not isinstance(taken.result, DovetailError), taken
        return await ending_of(agent.follow(taken.result.session_id))


Began = Callable[[Any], Awaitable[object]]
"""What rust-payjoin does before it is taken over."""


async def _nothing(_: Theirs) -> None:
    pass


async def _posts(payer: TheirSender) -> None:
    await payer.post()


async def _hears(payer: TheirSender) -> None:
    await payer.post()
    await payer.answer()


async def _checks(payee: TheirReceiver) -> None:
    await payee.fetch()
    await payee.check()


async def _signs(payee: TheirReceiver) -> None:
    await _checks(payee)
    await payee.peer.order("propose", max_fee_rate=100)


async def _proposes(payee: TheirReceiver) -> None:
    await _checks(payee)
    await payee.propose()


def _sender(began: Began) -> Play:
    async def play(stage: Stage, pairing: Pairing) -> None:
        async with both(stage, pairing) as (payer, payee, books):
            assert isinstance(payer, TheirSender)
            assert isinstance(payee, OurReceiver)
            await payer.prepare(await payee.ask(AMOUNT))
            await began(payer)
            paid, got = await at_once(_to_its_end(stage, payer, Role.SENDER), payee.serve())
            await books.close(paid, got)

    return play


def _receiver(began: Began) -> Play:
    async def play(stage: Stage, pairing: Pairing) -> None:
        async with both(stage, pairing) as (payer, payee, books):
            assert isinstance(payer, OurSender)
            assert isinstance(payee, TheirReceiver)
            uri = await payee.ask(AMOUNT)

            async def charged() -> Ending:
                await began(payee)
                return await _to_its_end(stage, payee, Role.RECEIVER)

            paid, got = await at_once(payer.pay(uri), charged())
            await books.close(paid, got)

    return play
