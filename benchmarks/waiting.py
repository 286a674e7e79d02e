"""Ten thousand receivers wait in one agent, at a mailroom in a process of its own.

Each process has its own core time: the shop's is measured while nothing happens, then senders
come and are timed from the POST of their Original to the Proposal in their hands.
"""

import asyncio
import multiprocessing
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks import shop
from benchmarks.chainserver import Counted, counting
from benchmarks.payjoin_round import Entries
from tests.support.keys import SEQUENCE, Keys

from dovetail import open_files
from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.transaction import Transaction, TxIn, TxOut
from dovetail.mailroom import MailroomSettings
from dovetail.mailroom.server import serve
from dovetail.protocol.params import SenderParams
from dovetail.protocol.uri import PayjoinUri
from dovetail.regtest.node import RegtestNode
from dovetail.runtime.agent import now
from dovetail.runtime.transport import HttpTransport
from dovetail.sessions import sender

_FEE = 1_000
_BETWEEN = 0.2
"""Seconds between two customers."""
_PACE = 60.0
_AFTER = 5
"""Seconds for what was begun last to come to rest."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many wait, how many of them are paid, and for how many seconds it is looked at."""

    sessions: int
    customers: int
    seconds: int


WHOLE = Size(sessions=10_000, customers=200, seconds=90)
SMALL = Size(sessions=50, customers=4, seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured; times in seconds, one for each customer."""

    cost: shop.Cost
    begun_in: float
    chain_requests_a_minute: float
    times: list[float] = field(default_factory=list)


def measure(size: Size) -> Found:
    """Start everything, look, and stop it."""
    open_files.raise_limit()
    with TemporaryDirectory() as folder, RegtestNode(blocks=110) as node, counting(node) as chain:
        coins = _fund(node, shop.NAME, shop.COIN, size.customers)
        theirs = _fund(node, "customers", shop.COIN, size.customers)
        with _mailroom(Path(folder) / "mailroom", size) as url:
            told = shop.Shop(Path(folder) / "shop", url, chain.url, _PACE, size.sessions, coins)
            with _process(shop.work, told) as channel:
                return _looked_at(size, channel, chain, theirs)


def _looked_at(
    size: Size, channel: Connection, chain: Counted, coins: tuple[OutPoint, ...]
) -> Found:
    began = perf_counter()
    uris = channel.recv()
    begun_in = perf_counter() - began
    asyncio.run(asyncio.sleep(min(_AFTER, size.seconds)))
    asked = len(chain.asked)
    channel.send(size.seconds)
    cost = channel.recv()
    asked = len(chain.asked) - asked
    times = asyncio.run(_customers(uris, coins))
    return Found(
        cost=cost,
        begun_in=begun_in,
        chain_requests_a_minute=asked * 60 / size.seconds,
        times=times,
    )


async def _customers(uris: list[str], coins: tuple[OutPoint, ...]) -> list[float]:
    """Pay invoices all over the list, one customer after the other beginning to."""
    web, step = HttpTransport(), len(uris) // len(coins)
    try:
        paying: list[asyncio.Task[float]] = []
        for index, coin in enumerate(coins):
            paying.append(asyncio.create_task(_pay(uris[index * step], index, coin, web)))
            await asyncio.sleep(_BETWEEN)
        return await asyncio.gather(*paying)
    finally:
        await web.aclose()


async def _pay(uri_text: str, index: int, coin: OutPoint, web: HttpTransport) -> float:
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
    keys = Keys("customers")
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


def _fund(node: RegtestNode, name: str, value: int, many: int) -> tuple[OutPoint, ...]:
    """So many coins of keys 0 and on."""
    keys = Keys(name)
    outputs = [TxOut(Sats(value), keys.script(index)) for index in range(many)]
    funding = node.fund_many(outputs)
    places = {output.script_pubkey: vout for vout, output in enumerate(funding.outputs)}
    return tuple(OutPoint(funding.txid, places[output.script_pubkey]) for output in outputs)


@contextmanager
def _mailroom(folder: Path, size: Size) -> Iterator[str]:
    """A mailroom with the limits that an operator sets for a shop of this size."""
    room = size.sessions + size.customers + 100
    settings = MailroomSettings(
        folder,
        relay=False,
        local=True,
        max_connections=room,
        max_connections_per_client=room,
        max_waits=2 * room,  # one client has as many as are still free
        max_new_mailboxes=10 * room,
        max_new_mailboxes_per_client=10 * room,
    )
    with _process(_serve, settings) as channel:
        yield channel.recv()


def _serve(settings: MailroomSettings, told: Connection) -> None:
    serve("127.0.0.1", 0, settings, ready=told.send)


@contextmanager
def _process(work: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """A process that is told its arguments and a channel; ended with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.terminate()
        process.join(20)


def rows(found: Found) -> Iterator[tuple[str, float, float]]:
    """What is measured, how much it is, and the most it shall be."""
    yield "resident memory, MB", found.cost.resident / 1e6, 500
    yield "cores", found.cost.cores, 0.5
    yield "requests to the chain source in a minute", found.chain_requests_a_minute, 2
    centiles = statistics.quantiles(found.times, n=100, method="inclusive")
    yield "Original posted to Proposal received, median, s", centiles[49], 2
    yield "the same, 99th percentile, s", centiles[98], 2


def report(*, quick: bool) -> None:
    """Measure and print a table."""
    size = SMALL if quick else WHOLE
    print(f"\n{size.sessions:,} receivers waiting in one agent, {size.customers} of them paid")
    found = measure(size)
    print(f"  begun in {found.begun_in:.0f} s\n  {'':52}{'ours':>10}  target")
    for name, value, most in rows(found):
        met = "met" if value <= most else "MISSED"
        print(f"  {name:52}{value:10.2f}  <= {most:<6g} {met}", flush=True)
