"""Customers of a shop: each pays an invoice from a coin of its own, and is timed."""

from time import perf_counter

from benchmarks import shop
from benchmarks.payjoin_round import Entries
from tests.support.keys import SEQUENCE, Keys

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.transaction import Transaction, TxIn, TxOut
from dovetail.protocol.params import SenderParams
from dovetail.protocol.uri import PayjoinUri
from dovetail.regtest.node import RegtestNode
from dovetail.runtime.agent import now
from dovetail.runtime.transport import HttpTransport
from dovetail.sessions import sender

NAME = "customers"
_FEE = 1_000


async def pay(uri_text: str, index: int, coin: OutPoint, web: HttpTransport) -> float:
    """The seconds from the POST of an Original until its Proposal is here."""
    uri, log = PayjoinUri.parse(uri_text), Entries(sender.events.CODEC)
    original = _original(uri, index, coin)
    session = sender.create(
        uri=uri, original=original, params=SenderParams(min_fee_rate=_RATE), now=now()
    ).save(log)
    posting = session.start_posting().save(log)
    request, context = posting.post(None, now=now())
    began = perf_counter()
    reply = await web.post(request)
    waiting: sender.SenderSession = posting.process_post(reply.body, context).save(log)
    while isinstance(waiting, sender.PollingForProposal):
        request, context = waiting.poll(None, now=now())
        reply = await web.post(request)
        waiting = waiting.process_poll(reply.body, context).save(log)
    took = perf_counter() - began
    if not isinstance(waiting, sender.ProposalReceived):
        raise TypeError(f"a customer got {waiting!r}")
    return took


_RATE = FeeRate.from_sat_per_vb(1)


def _original(uri: PayjoinUri, index: int, coin: OutPoint) -> Psbt:
    keys = Keys(NAME)
    utxo = TxOut(Sats(shop.COIN), keys.script(index))
    outputs = (
        TxOut(Sats(shop.AMOUNT), uri.address.script_pubkey),
        TxOut(Sats(shop.COIN - shop.AMOUNT - _FEE), keys.script(index)),
    )
    unsigned = Transaction(2, (TxIn(coin, sequence=SEQUENCE),), outputs, 0)
    psbt = Psbt.from_unsigned(unsigned).with_input(0, PsbtInput().with_witness_utxo(utxo))
    return _sign(keys, psbt, index)


def _sign(keys: Keys, psbt: Psbt, index: int) -> Psbt:
    knowing = shop.KnownKeys(keys.name)
    knowing.learn(index)
    return knowing.sign(psbt)


def fund(node: RegtestNode, name: str, value: int, many: int) -> tuple[OutPoint, ...]:
    """So many coins of keys 0 and on."""
    keys = Keys(name)
    outputs = [TxOut(Sats(value), keys.script(index)) for index in range(many)]
    funding = node.fund_many(outputs)
    places = {output.script_pubkey: vout for vout, output in enumerate(funding.outputs)}
    return tuple(OutPoint(funding.txid, places[output.script_pubkey]) for output in outputs)
