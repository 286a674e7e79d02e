"""What a watched payment costs a public server, and what is still seen of it."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from tests.support.scripted_http import Answer

from dovetail.bitcoin import FeeRate, Network, OutPoint, Sats, Script, Transaction, Txid
from dovetail.errors import ChainError
from dovetail.wallets import bounded_answers
from dovetail.wallets.cached_chain import PACE, AnswerCache, Block, Queue
from dovetail.wallets.esplora import http
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.ports import Spend

TARGET = Script(b"\x00\x14" + b"\x07" * 20)
RATE = FeeRate.from_sat_per_vb(2)
HOUR, WATCH_INTERVAL, BLOCK_INTERVAL = 3_600, 15, 600


@dataclass
class Chain:
    """Blocks that a test makes, named by their height and branch."""

    blocks: list[Block] = field(default_factory=lambda: [Block("a0", 100, None)])
    holds: dict[str, bytes] = field(default_factory=dict)
    gives_raw: bool = True
    asked: Counter[str] = field(default_factory=Counter)

    def mine(self, holding: bytes = b"", branch: str = "a") -> None:
        last = self.blocks[-1]
        self.blocks.append(Block(f"{branch}{last.height + 1}", last.height + 1, last.name))
        self.holds[self.blocks[-1].name] = holding

    def tip(self) -> str:
        self.asked["tip"] += 1
        return self.blocks[-1].name

    def block(self, name: str) -> Block:
        self.asked["block"] += 1
        return next(each for each in self.blocks if each.name == name)

    def raw(self, name: str) -> bytes | None:
        self.asked["raw"] += 1
        return bytes(80) + self.holds[name] if self.gives_raw else None


class Watching:
    """A server's looks on a clock of the test's, and what was asked of it."""

    def __init__(self) -> None:
        self.chain, self.now = Chain(), 0.0
        self.looks = AnswerCache[int](self.chain, pace=PACE, clock=lambda: self.now)
        self.asked: list[OutPoint] = []
        self.settled: set[OutPoint] = set()

    def get(self, coin: OutPoint) -> int:
        def ask() -> tuple[int, bool]:
            self.asked.append(coin)
            return len(self.asked), coin in self.settled

        return self.looks.get(coin, ask)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def coin(number: int) -> OutPoint:
    return OutPoint(Txid(number.to_bytes(32, "big")), number)


@pytest.fixture
def watching() -> Watching:
    return Watching()


def test_what_is_new_is_asked_for_at_once_and_once(watching) -> None:
    assert [watching.get(coin(1)), watching.get(coin(1)), watching.get(coin(2))] == [1, 1, 2]
    assert watching.chain.asked == {"tip": 1, "block": 1}


def test_turns_go_to_what_was_asked_of_longest_ago(watching) -> None:
    for _ in range(12):
        for number in (1, 2, 3):
            watching.get(coin(number))
        watching.pass_by(PACE / 2)
    assert watching.asked[:3] == [coin(1), coin(2), coin(3)]
    assert watching.asked[3:] == [coin(1), coin(2), coin(3), coin(1), coin(2)]


def test_who_left_takes_no_turns(watching) -> None:
    watching.get(coin(1))
    watching.pass_by(1)
    for _ in range(60):
        watching.get(coin(2))
        watching.pass_by(PACE)
    assert watching.asked.count(coin(2)) > 50


def test_who_looks_seldom_keeps_its_turns(watching) -> None:
    for _ in range(12):
        for number in (1, 2, 3):
            watching.get(coin(number))
        watching.pass_by(2 * PACE)
    assert watching.asked[3:9] == [coin(1), coin(2), coin(3)] * 2


def test_a_block_is_asked_for_once_and_what_it_may_touch(watching) -> None:
    for number in (1, 2):
        watching.get(coin(number))
    watching.chain.mine()
    watching.pass_by(2 * PACE)
    for _ in range(3):
        for number in (1, 2):
            watching.get(coin(number))
    assert watching.asked == [coin(1), coin(2), coin(1), coin(2)]
    assert watching.chain.asked == {"tip": 2, "block": 2}


def test_of_many_coins_a_block_is_searched_and_those_in_it_asked_for(watching) -> None:
    for number in range(1, 8):
        watching.get(coin(number))
    watching.chain.mine(holding=b"..." + coin(5).serialize())
    watching.looks._turn_at = 2 * PACE  # no turn is due
    watching.pass_by(2 * PACE)
    for number in range(1, 8):
        watching.get(coin(number))
    assert watching.asked[7:] == [coin(5)]
    watching.chain.gives_raw = False
    watching.chain.mine()
    watching.looks._turn_at = 4 * PACE
    watching.pass_by(2 * PACE)
    for number in range(1, 8):
        watching.get(coin(number))
    assert len(watching.asked) == 15


def test_what_a_block_holds_is_asked_for_again_after_a_reorganisation_alone(watching) -> None:
    watching.settled.add(coin(1))
    watching.get(coin(1))
    for _ in range(10):
        watching.chain.mine()
        watching.pass_by(2 * PACE)
        watching.get(coin(1))
    assert len(watching.asked) == 1
    watching.chain.blocks.pop()
    watching.chain.mine(branch="b")
    watching.pass_by(2 * PACE)
    watching.get(coin(1))
    assert len(watching.asked) == 2
    for _ in range(20):  # more than is followed back: whatever happened there is not known
        watching.chain.mine()
    watching.pass_by(2 * PACE)
    watching.get(coin(1))
    assert len(watching.asked) == 3


def test_what_we_changed_ourselves_is_asked_for_at_once(watching) -> None:
    watching.get(coin(1))
    watching.looks.drop([coin(1), coin(2)])
    watching.get(coin(1))
    assert len(watching.asked) == 2


def test_who_waited_while_the_server_failed_does_not_try_it_as_well() -> None:
    queue, inside, leave = Queue(), threading.Event(), threading.Event()
    tried: list[str] = []

    def first() -> None:
        with queue.turn():
            inside.set()
            leave.wait(10)
            raise ChainError("too slow")

    def second() -> None:
        with queue.turn():
            tried.append("second")

    with ThreadPoolExecutor() as pool:
        one = pool.submit(first)
        inside.wait(10)
        other = pool.submit(second)
        while other.running() is False:
            time.sleep(0.001)
        time.sleep(0.05)
        leave.set()
        assert [str(each.exception()) for each in (one, other)] == ["too slow", "too slow"]
    assert tried == []
    second()  # who comes afterwards does
    assert tried == ["second"]


# A server of Esplora


@pytest.fixture
def spared(server, monkeypatch):
    """A chain that spares its server, its clock, and what was asked."""
    with EsploraChain(server.url, Network.REGTEST, pace=PACE) as chain:
        now, asked = [0.0], Counter[str]()
        looks = chain._cache
        assert looks is not None
        monkeypatch.setattr(looks, "_clock", lambda: now[0])
        usual = chain._http._ask

        def ask(method, path, body=None):
            asked[path] += 1
            return usual(method, path, body)

        monkeypatch.setattr(chain._http, "_ask", ask)
        yield chain, now, asked


def _hour(server, spared, sessions: list[tuple[tuple[OutPoint, ...], Script]]) -> int:
    chain, now, asked = spared
    asked.clear()
    for second in range(0, HOUR, WATCH_INTERVAL):
        now[0] += WATCH_INTERVAL
        if second % BLOCK_INTERVAL == 0:
            server.node.mine(1)
        for outpoints, script in sessions:
            chain.spends_of(outpoints)
            chain.payments_to(script)
    return int(asked.total())


def _session(number: int) -> tuple[tuple[OutPoint, ...], Script]:
    script = Script(b"\x00\x14" + number.to_bytes(20, "big"))
    return (coin(2 * number + 1), coin(2 * number + 2)), script


def test_one_watched_payment_of_two_inputs_keeps_to_the_budget(server, spared) -> None:
    assert _hour(server, spared, [_session(1)]) <= 120


def test_many_sessions_cost_less_than_one_request_each_and_block(server, spared) -> None:
    one = _hour(server, spared, [_session(1)])
    sessions = [_session(number) for number in range(1, 21)]
    _hour(server, spared, sessions)  # the first look at each is asked for at once
    many = _hour(server, spared, sessions)
    assert many - one < 19 * HOUR / BLOCK_INTERVAL
    assert many <= 130


def test_a_spend_is_seen_in_the_mempool_and_in_each_block(server, spared, make_wallet) -> None:
    chain, now, asked = spared
    payment: Transaction = make_wallet(100_000).pay(TARGET, Sats(30_000), fee_rate=RATE).extract()
    spent = payment.contested()[0]
    assert chain.spends_of([spent]) == {}
    assert chain.payments_to(TARGET) == ()
    chain.broadcast(payment)
    assert chain.spends_of([spent]) == {spent: Spend(transaction=payment, depth=0)}
    assert chain.payments_to(TARGET)[0].depth == 0
    for depth in (1, 2, 3):
        server.node.mine(1)
        now[0] += 2 * PACE
        assert chain.spends_of([spent]) == {spent: Spend(transaction=payment, depth=depth)}
        assert chain.payments_to(TARGET)[0].depth == depth
    assert asked[f"/tx/{payment.txid}/hex"] == 1


def test_strange_blocks_are_not_understood(scripted) -> None:
    scripted.answers["/blocks/tip/hash"] = Answer(body=b"ab" * 32)
    block = f"/block/{'ab' * 32}"
    for body in (b"{}", b'{"height":-1}', b'{"height":1,"previousblockhash":"../x"}'):
        scripted.answers[block] = Answer(body=body)
        with EsploraChain(scripted.url, Network.MAINNET) as chain, pytest.raises(ChainError):
            chain.height()
    scripted.answers["/blocks/tip/hash"] = Answer(body=b"../../x")
    with EsploraChain(scripted.url, Network.MAINNET) as chain, pytest.raises(ChainError):
        chain.height()


@pytest.mark.parametrize("pace", [0, PACE])
def test_a_look_comes_to_its_end_where_each_second_request_is_refused(
    server, monkeypatch, make_wallet, pace
) -> None:
    payment: Transaction = make_wallet(100_000).pay(TARGET, Sats(30_000), fee_rate=RATE).extract()
    server.node.send(payment)
    count, now = [0], [0.0]
    usual = bounded_answers.fetch_bounded

    def every_other(*arguments, **named):
        count[0] += 1
        if count[0] % 2 == 0:
            return bounded_answers.Reply(429, b"")
        return usual(*arguments, **named)

    monkeypatch.setattr(http, "fetch_bounded", every_other)
    with EsploraChain(server.url, Network.REGTEST, pace=pace) as chain:
        monkeypatch.setattr(chain._http._back_off, "_clock", lambda: now[0])
        for _ in range(12):
            now[0] += 10
            try:
                found = chain.spends_of(payment.contested())
            except ChainError:
                continue
            assert list(found.values()) == [Spend(transaction=payment, depth=0)]
            return
    pytest.fail("it never came to its end")
