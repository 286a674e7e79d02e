"""What watched sessions cost a public chain server in an hour: requests, counted by the server.

Each session waits for a payment to its address, and has two coins that may be spent. A clock of
the benchmark's own makes the hour short; blocks come each ten minutes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.chainserver import counting
from tests.support.scripted_electrum import ScriptedElectrum

from dovetail.bitcoin import Network, OutPoint, Sats, Script
from dovetail.bitcoin.transaction import TxOut
from dovetail.regtest.node import RegtestNode
from dovetail.wallets.cached_chain import PACE
from dovetail.wallets.electrum.chain import ElectrumChain
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.ports import Chain

HOUR, INTERVAL, BLOCK = 3_600, 15, 600
SESSIONS = (1, 10, 100)
MOST = 120
"""For one session; each further one may cost less than one more in each block."""
SERVERS = ("esplora", "electrum")


@dataclass(frozen=True, slots=True)
class Cost:
    """Requests of the first hour, in which each session is looked at for the first time, and of
    an hour after it."""

    sessions: int
    first: int
    later: int

    @property
    def most(self) -> int:
        return MOST + (self.sessions - 1) * HOUR // BLOCK


@dataclass(frozen=True, slots=True)
class _Watched:
    node: RegtestNode
    chain: Chain
    pass_by: Callable[[int], None]
    asked: Callable[[], int]


def costs(kind: str, watched_at_once: Sequence[int] = SESSIONS) -> Iterator[Cost]:
    """What so many sessions cost a server of `esplora` or of `electrum`."""
    opened = {"esplora": _esplora, "electrum": _electrum}[kind]
    with RegtestNode(blocks=110) as node:
        for sessions in watched_at_once:
            scripts = [_script(b"s", number) for number in range(sessions)]
            coins = _funded(node, sessions)
            with opened(node) as watched:
                first, later = (_hour(watched, scripts, coins) for _ in range(2))
            yield Cost(sessions, first, later)


def _hour(watched: _Watched, scripts: list[Script], coins: list[OutPoint]) -> int:
    before = watched.asked()
    for second in range(0, HOUR, INTERVAL):
        watched.pass_by(INTERVAL)
        if second % BLOCK == 0:
            watched.node.mine(1)
        watched.chain.payments_to_each(scripts)
        watched.chain.spends_of(coins)
    return watched.asked() - before


def _funded(node: RegtestNode, sessions: int) -> list[OutPoint]:
    """Two coins for each session, each of a script of its own."""
    outputs = [TxOut(Sats(10_000), _script(b"c", n)) for n in range(2 * sessions)]
    funding = node.fund_many(outputs)
    ours = {output.script_pubkey for output in outputs}
    return [
        OutPoint(funding.txid, vout)
        for vout, output in enumerate(funding.outputs)
        if output.script_pubkey in ours
    ]


def _script(kind: bytes, number: int) -> Script:
    return Script(b"\x00\x14" + kind + number.to_bytes(19, "big"))


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: int) -> None:
        self.now += seconds


@contextmanager
def _esplora(node: RegtestNode) -> Iterator[_Watched]:
    clock = _Clock()
    with counting(node) as server, EsploraChain(server.url, Network.REGTEST, pace=PACE) as chain:
        assert chain._cache is not None  # noqa: SLF001
        chain._cache._clock = clock  # noqa: SLF001
        yield _Watched(node, chain, clock.pass_by, lambda: len(server.asked))


@contextmanager
def _electrum(node: RegtestNode) -> Iterator[_Watched]:
    clock = _Clock()
    with (
        ScriptedElectrum(node) as server,
        ElectrumChain(server.url, Network.REGTEST, pace=PACE) as chain,
    ):
        assert chain._script_watch is not None  # noqa: SLF001
        chain._script_watch._clock = clock  # noqa: SLF001
        yield _Watched(node, chain, clock.pass_by, lambda: len(server.asked))


def report(*, quick: bool) -> None:
    """Print a table; a quick one has no row of a hundred."""
    print("\nRequests to a public chain server in an hour, by how many sessions are watched")
    print(f"  {'':24}{'first hour':>12}{'later':>8}  target")
    for kind in SERVERS:
        for cost in costs(kind, SESSIONS[:-1] if quick else SESSIONS):
            met = "met" if cost.later <= cost.most else "MISSED"
            name = f"{kind}, {cost.sessions} watched"
            print(f"  {name:24}{cost.first:12}{cost.later:8}  <= {cost.most:<6} {met}", flush=True)
