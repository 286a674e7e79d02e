"""What a watched payment costs a public Electrum server, and what is still seen of it."""

import json
import secrets

import pytest
from tests.wallets.test_cached_chain import BLOCK_INTERVAL, HOUR, WATCH_INTERVAL, coin

from dovetail.bitcoin import FeeRate, Network, Sats, Script
from dovetail.bitcoin.hashes import sha256
from dovetail.errors import ChainError
from dovetail.wallets.cached_chain import PACE
from dovetail.wallets.electrum.chain import ElectrumChain
from dovetail.wallets.ports import Spend

TIP, CHANGED = "blockchain.headers.subscribe", "blockchain.scripthash.subscribe"
HISTORY = "blockchain.scripthash.get_history"
RATE = FeeRate.from_sat_per_vb(2)


@pytest.fixture
def clock():
    """The time as the chain has it, in a list of one."""
    return [0.0]


@pytest.fixture
def chain(scripted_electrum, clock):
    with ElectrumChain(scripted_electrum.url, Network.REGTEST, pace=PACE) as opened:
        assert opened._script_watch is not None
        opened._script_watch._clock = lambda: clock[0]
        yield opened


@pytest.fixture
def target():
    """An address that nobody paid before, on a chain that tests share."""
    return Script(b"\x00\x14" + secrets.token_bytes(20))


@pytest.fixture
def payment(make_wallet, target):
    return make_wallet(100_000).pay(target, Sats(30_000), fee_rate=RATE).extract()


def told(method: str, *parameters: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": parameters}).encode() + b"\n"


def name(script: Script) -> str:
    return sha256(script)[::-1].hex()


def test_a_watched_payment_keeps_to_the_budget_however_many_there_are(
    server, scripted_electrum, chain, clock, make_wallet
):
    wallet = make_wallet(100_000, 60_000, 50_000)
    coins = [each.outpoint for each in wallet.coins()]
    scripts = [Script(b"\x00\x14" + bytes([number]) * 20) for number in range(20)]
    counts = []
    for watched in (1, 20):
        chain.spends_of(coins)
        scripted_electrum.asked.clear()
        for second in range(0, HOUR, WATCH_INTERVAL):
            clock[0] += WATCH_INTERVAL
            if second % BLOCK_INTERVAL == 0:
                server.node.mine(1)
            chain.spends_of(coins)
            for script in scripts[:watched]:
                chain.payments_to(script)
        counts.append(len(scripted_electrum.asked))
    assert counts[0] <= 120
    assert counts[1] - counts[0] < 19 * HOUR / BLOCK_INTERVAL


def test_what_the_server_says_unasked_is_heard(
    server, scripted_electrum, chain, clock, payment, target
):
    spent = payment.contested()[0]
    assert chain.spends_of([spent]) == {}
    assert chain.payments_to(target) == ()
    server.node.send(payment)
    scripts = [target, *(txout.script_pubkey for txout in _spent(server, payment))]
    scripted_electrum.before[TIP] = b"".join(told(CHANGED, name(each), "00") for each in scripts)
    assert chain.spends_of([spent]) == {}  # as nothing was said yet
    clock[0] += PACE
    chain.height()
    assert chain.spends_of([spent]) == {spent: Spend(transaction=payment, depth=0)}
    assert chain.payments_to(target)[0].depth == 0


def _spent(server, payment):
    for outpoint in payment.contested():
        yield server.node.transaction(outpoint.txid).outputs[outpoint.vout]


def test_a_new_tip_is_heard_without_being_asked_for(server, scripted_electrum, chain, target):
    height = chain.height()
    scripted_electrum.before[HISTORY] = told(TIP, {"height": height + 3, "hex": ""})
    chain.payments_to(target)
    assert chain.height() == height + 3
    assert scripted_electrum.asked.count(TIP) == 1


def test_a_connection_that_broke_is_followed_anew(
    server, scripted_electrum, chain, clock, payment, target
):
    assert chain.payments_to(target) == ()
    server.node.send(payment)
    scripted_electrum.raw[TIP] = b""
    clock[0] += PACE
    with pytest.raises(ChainError):
        chain.height()
    del scripted_electrum.raw[TIP]
    assert chain.payments_to(target)[0].depth == 0
    assert scripted_electrum.asked.count(CHANGED) == 2


def test_a_server_that_hung_up_is_noticed_without_asking(scripted_electrum, chain, payment, target):
    chain.payments_to(target)
    assert chain._rpc._line is not None
    chain._rpc._line.connection.shutdown(2)
    chain.payments_to(target)
    assert scripted_electrum.asked.count(CHANGED) == 2


def test_nobody_is_trusted_for_ever_to_tell_every_change(server, chain, clock, payment, target):
    assert chain.payments_to(target) == ()
    server.node.send(payment)
    clock[0] += HOUR - 1
    assert chain.payments_to(target) == ()
    clock[0] += 1
    assert chain.payments_to(target)[0].depth == 0


def test_what_is_said_unasked_must_make_sense(scripted_electrum, chain):
    chain.height()
    for news in (told(TIP, {"height": -1}), told(TIP), told(CHANGED, 1), b"nonsense\n"):
        scripted_electrum.before[HISTORY] = news
        with pytest.raises(ChainError):
            _look_and_hear(chain, Script(news[:1]))
        chain.close()


def test_a_coin_that_is_not_there_is_not_asked_for_again_and_again(scripted_electrum, chain):
    for _ in range(5):
        assert chain.spends_of([coin(1)]) == {}
    assert scripted_electrum.asked.count("blockchain.transaction.get") == 1


def _look_and_hear(chain, script):
    chain.payments_to(script)
    chain.height()
