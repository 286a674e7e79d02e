"""Sessions that rust-payjoin began and that Dovetail takes over from its event log."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.interop.books import AMOUNT, Books
from tests.interop.dovetail_peer import (
    EAGER,
    AheadClock,
    OurReceiver,
    OurSender,
    ending_of,
    trusting,
)
from tests.interop.environment import Ending, Stage
from tests.interop.pairing import they_pay, we_pay
from tests.interop.rust_peer import TheirReceiver, Theirs, TheirSender

from dovetail import Agent
from dovetail.bitcoin import Network, OutPoint, Psbt, PsbtInput, Sats, Script
from dovetail.errors import DovetailError, WalletError
from dovetail.protocol import Coin
from dovetail.stores.ports import Role
from dovetail.stores.rust_payjoin import export_of, receiver_events, sender_events
from dovetail.stores.transfer import import_sessions
from dovetail.wallets.ports import Balance


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
        return Balance(confirmed=Sats(0), unconfirmed=Sats(0))

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        return self.scripts & frozenset(scripts)

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        return frozenset(self.party.coins) & frozenset(outpoints)

    def coins(self) -> tuple[Coin, ...]:
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
        raise WalletError("no address is needed")

    def pay(self, *_: object, **__: object):
        raise WalletError("no payment is needed")

    def revoke(self, *_: object, **__: object):
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
    scripts = frozenset(await party.scripts())
    wallet = PeerWallet(party, scripts, asyncio.get_running_loop())
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


async def _sender(payer: TheirSender, payee: OurReceiver, books: Books, *, began: Began) -> None:
    await payer.prepare(await payee.ask(AMOUNT))
    await began(payer)
    await books.both(_to_its_end(books.stage, payer, Role.SENDER), payee.serve())


async def _receiver(payer: OurSender, payee: TheirReceiver, books: Books, *, began: Began) -> None:
    uri = await payee.ask(AMOUNT)

    async def charged() -> Ending:
        await began(payee)
        return await _to_its_end(books.stage, payee, Role.RECEIVER)

    await books.both(payer.pay(uri), charged())


TAKEN_OVER = tuple(
    way("Taken over from rust-payjoin", what, partial(act, began=began))
    for way, act, ends in (
        (
            they_pay,
            _sender,
            {
                "the sender, before its log says that it posted": _nothing,
                "the sender, which polls": _posts,
                "the sender, which has a proposal": _hears,
            },
        ),
        (
            we_pay,
            _receiver,
            {
                "the receiver, which waits": _nothing,
                "the receiver, which checks the Original": _checks,
                "the receiver, which has signed its proposal": _signs,
                "the receiver, whose proposal is out": _proposes,
            },
        ),
    )
    for what, began in ends.items()
)
