"""What every chain source says, whatever server it asks."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.support.certificates import make_certificate

from dovetail.bitcoin import (
    FeeRate,
    Network,
    OutPoint,
    Sats,
    Script,
    Transaction,
    Txid,
    TxIn,
    TxOut,
    Weight,
)
from dovetail.regtest.electrum_server import ElectrumServer
from dovetail.wallets.electrum.chain import ElectrumChain
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.esplora.http import EsploraHttp
from dovetail.wallets.ports import Accepted, Chain, Output, Payment, Refused, Spend
from dovetail.wallets.server_url import ChainServer

RATE = FeeRate.from_sat_per_vb(2)
TARGET = Script(b"\x00\x14" + bytes(20))
UNKNOWN = OutPoint(Txid(bytes(31) + b"\x01"), 0)


@pytest.fixture(params=["esplora", "electrum", "electrum over TLS"])
def chain(request, server, electrum, tmp_path) -> Iterator[Chain]:
    match request.param:
        case "esplora":
            with EsploraChain(server.url, Network.REGTEST) as opened:
                yield opened
        case "electrum":
            with ElectrumChain(electrum.url, Network.REGTEST) as opened:
                yield opened
        case _:
            certificate = make_certificate(tmp_path)
            with (
                ElectrumServer(server.node, tls=certificate.server()) as secured,
                ElectrumChain(
                    ChainServer(secured.url, certificate.cert), Network.REGTEST
                ) as opened,
            ):
                yield opened


@pytest.fixture
def untested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Esplora servers know no `/txs/test`, as Blockstream makes them."""
    post = EsploraHttp.post

    def knowing(http: EsploraHttp, path: str, body: bytes) -> tuple[bool, bytes] | None:
        return None if path == "/txs/test" else post(http, path, body)

    monkeypatch.setattr(EsploraHttp, "post", knowing)


@pytest.fixture(params=["esplora", "electrum"])
def public(request, server, electrum, untested) -> Iterator[Chain]:
    """A source that cannot ask a node to test a transaction."""
    if request.param == "esplora":
        with EsploraChain(server.url, Network.SIGNET) as opened:
            yield opened
    else:
        with ElectrumChain(electrum.url, Network.REGTEST) as opened:
            yield opened


@pytest.fixture
def payment(make_wallet):
    return make_wallet(100_000).pay(TARGET, Sats(30_000), fee_rate=RATE).extract()


def _locked(transaction: Transaction, lock_time: int, sequence: int = 0) -> Transaction:
    inputs = tuple(replace(txin, sequence=sequence) for txin in transaction.inputs)
    return replace(transaction, inputs=inputs, lock_time=lock_time)


def test_the_height_follows_the_chain(server, chain):
    before = chain.height()
    server.node.mine(2)
    assert chain.height() == before + 2 == server.node.height


def test_a_good_transaction_is_acceptable_before_and_after_its_broadcast(chain, payment):
    assert isinstance(chain.acceptance(payment), Accepted)
    assert chain.broadcast(payment) == Accepted()
    assert isinstance(chain.acceptance(payment), Accepted)


def test_only_a_node_that_tested_it_says_so(chain, payment):
    asks_its_node = isinstance(chain, EsploraChain)
    assert chain.acceptance(payment) == Accepted(tested=asks_its_node)


def test_a_source_without_a_node_to_ask_says_that_it_did_not(public, payment):
    assert public.acceptance(payment) == Accepted()


def test_outputs_are_there_whether_they_are_spent_or_not(server, chain, payment):
    coin, made = payment.contested()[0], OutPoint(payment.txid, 0)
    beyond = OutPoint(payment.txid, 99)
    before = chain.outputs([coin, made, UNKNOWN])
    assert [*before] == [coin]
    assert before[coin].depth >= 1
    chain.broadcast(payment)
    after = chain.outputs([coin, made, beyond])
    assert after == before | {made: Output(payment.outputs[0], 0)}
    server.node.mine(2)
    assert chain.outputs([made]) == {made: Output(payment.outputs[0], 2)}


def test_spends_are_told_of_many_coins_at_once(server, chain, payment):
    coin = payment.contested()[0]
    assert chain.spends_of([coin, UNKNOWN]) == {}
    chain.broadcast(payment)
    assert chain.spends_of([coin, UNKNOWN]) == {coin: Spend(transaction=payment, depth=0)}
    server.node.mine(3)
    assert chain.spends_of([coin]) == {coin: Spend(transaction=payment, depth=3)}


def test_a_public_server_tells_what_it_can(server, public, payment):
    assert public.acceptance(payment) == Accepted()
    txin, change = payment.inputs[0], payment.outputs[-1]
    unsigned = payment.without_signatures()
    missing = replace(payment, inputs=(replace(txin, previous_output=UNKNOWN),))
    beyond = OutPoint(txin.previous_output.txid, 99)
    absent = replace(payment, inputs=(replace(txin, previous_output=beyond),))
    greedy = replace(payment, outputs=(TxOut(Sats(100_001), change.script_pubkey),))
    stingy = replace(payment, outputs=(TxOut(Sats(99_999), change.script_pubkey),))
    early = _locked(payment, server.node.height + 1)
    reasons = [
        public.acceptance(each) for each in (unsigned, missing, absent, greedy, stingy, early)
    ]
    assert reasons == [
        Refused("an input is not signed"),
        Refused("bad-txns-inputs-missingorspent"),
        Refused("bad-txns-inputs-missingorspent"),
        Refused("bad-txns-in-belowout"),
        Refused("min relay fee not met"),
        Refused("non-final"),
    ]


def test_lock_times_that_do_not_bind_are_acceptable(server, public, payment):
    future = server.node.height + 1
    assert public.acceptance(_locked(payment, future, sequence=0xFFFFFFFF)) == Accepted()
    assert public.acceptance(_locked(payment, 500_000_000)) == Accepted()


def test_a_lock_time_in_seconds_runs_out_with_the_median_time_past(server, public, payment):
    median = server.node.chain.median_time()
    assert public.acceptance(_locked(payment, median - 1)) == Accepted()
    assert public.acceptance(_locked(payment, median)) == Refused("non-final")


def test_a_relative_lock_runs_out_with_the_depth_of_the_coin(server, public, payment):
    coin = payment.inputs[0].previous_output
    depth = server.node.confirmations(coin.txid)
    assert public.acceptance(_locked(payment, 0, sequence=depth)) == Accepted()
    assert public.acceptance(_locked(payment, 0, sequence=depth + 1)) == Refused("non-BIP68-final")
    in_time = 1 << 22
    assert public.acceptance(_locked(payment, 0, sequence=in_time)) == Accepted()
    assert public.acceptance(_locked(payment, 0, sequence=in_time | 1)) == Refused(
        "non-BIP68-final"
    )


def test_what_nodes_do_not_relay_is_refused(public, payment):
    assert public.acceptance(replace(payment, version=4)) == Refused("version")


def test_a_public_server_knows_what_is_spent(chain, public, make_wallet):
    wallet = make_wallet(100_000)
    first, second = (
        wallet.pay(TARGET, Sats(amount), fee_rate=RATE).extract() for amount in (30_000, 40_000)
    )
    assert chain.broadcast(first) == Accepted()
    assert public.acceptance(first) == Accepted()
    assert public.acceptance(second) == Refused("bad-txns-inputs-missingorspent")


def test_a_broadcast_of_what_is_known_counts_as_accepted(server, chain, payment):
    assert [chain.broadcast(payment), chain.broadcast(payment)] == [Accepted(), Accepted()]
    assert server.node.in_mempool(payment.txid)
    server.node.mine()
    assert chain.broadcast(payment) == Accepted()


def test_a_refused_broadcast_carries_the_nodes_reason(chain, payment):
    missing = replace(payment, inputs=(replace(payment.inputs[0], previous_output=UNKNOWN),))
    verdict = chain.broadcast(missing)
    assert isinstance(verdict, Refused)
    assert "bad-txns-inputs-missingorspent" in verdict.reason


def test_a_spend_gains_depth_with_every_block(server, chain, payment):
    outpoint = payment.inputs[0].previous_output
    assert chain.spend_of(outpoint) is None
    chain.broadcast(payment)
    assert chain.spend_of(outpoint) == Spend(transaction=payment, depth=0)
    server.node.mine(2)
    assert chain.spend_of(outpoint) == Spend(transaction=payment, depth=2)
    server.node.reorg(2)
    assert chain.spend_of(outpoint) == Spend(transaction=payment, depth=0)


def test_an_unknown_outpoint_is_not_spent(chain):
    assert chain.spend_of(UNKNOWN) is None


def test_payments_are_told_the_deepest_first(server, chain, make_wallet):
    script = make_wallet(name="payee").new_address().script_pubkey
    assert chain.payments_to(script) == ()
    first = server.node.fund(script, Sats(20_000), confirmations=2)
    second = server.node.fund(script, Sats(30_000), confirmations=0)
    assert chain.payments_to(script) == (
        Payment(txid=first.txid, amount=Sats(20_000), depth=2),
        Payment(txid=second.txid, amount=Sats(30_000), depth=0),
    )


def test_two_outputs_of_one_payment_count_together(server, chain, make_wallet):
    script = make_wallet(name="payee").new_address().script_pubkey
    outputs = [TxOut(Sats(20_000), script), TxOut(Sats(1_000), script)]
    funding = server.node.fund_many(outputs)
    assert chain.payments_to(script) == (Payment(txid=funding.txid, amount=Sats(21_000), depth=1),)


def test_spending_from_an_address_is_no_payment_to_it(server, chain, make_wallet):
    wallet = make_wallet(100_000)
    script = wallet.coins()[0].utxo.script_pubkey
    chain.broadcast(wallet.pay(TARGET, Sats(30_000), fee_rate=RATE).extract())
    assert [payment.amount for payment in chain.payments_to(script)] == [100_000]


def test_a_long_history_is_read_page_by_page(server, chain, make_wallet):
    script = make_wallet(name="payee").new_address().script_pubkey
    for value in range(1_000, 1_060):
        server.node.fund(script, Sats(value), confirmations=0)
    server.node.mine()
    assert sum(payment.amount for payment in chain.payments_to(script)) == sum(range(1_000, 1_060))


def test_the_regtest_fee_rate_is_at_least_the_minimum(chain):
    assert chain.fee_rate(target=6) >= FeeRate.BROADCAST_MIN


def test_a_transaction_out_of_nothing_is_refused(public):
    nothing = Transaction(
        version=2,
        inputs=(TxIn(UNKNOWN),),
        outputs=(TxOut(Sats(1_000), TARGET),),
        lock_time=0,
    )
    assert public.acceptance(nothing) == Refused("bad-txns-inputs-missingorspent")


def test_below_one_sat_a_byte_is_fine_where_nodes_relay_it(server, untested, payment):
    # 437 weight units and 50 sats, from what was measured against a node with the usual floor
    rate = FeeRate.of(Sats(50), Weight(437))
    assert FeeRate.RELAY_MIN < rate < FeeRate.BROADCAST_MIN
    change = payment.outputs[-1]
    least = rate.fee(payment.weight)
    spent = Sats(100_000 - payment.outputs[0].value - least)
    cheap = replace(payment, outputs=(payment.outputs[0], replace(change, value=spent)))
    with EsploraChain(server.url, Network.SIGNET) as chain:
        assert chain.min_fee_rate() == FeeRate.RELAY_MIN
        assert chain.acceptance(cheap) == Accepted()
    strict = EsploraChain(server.url, Network.SIGNET, min_fee_rate=FeeRate.BROADCAST_MIN)
    with strict as chain:
        assert chain.acceptance(cheap) == Refused("min relay fee not met")
        assert chain.fee_rate(target=6) >= FeeRate.BROADCAST_MIN


def test_a_source_gives_the_transactions_that_it_names(chain, server) -> None:
    outpoint = server.node.fund(TARGET, Sats(7_000))
    payment = next(each for each in chain.payments_to(TARGET) if each.txid == outpoint.txid)
    found = chain.transactions([payment.txid, UNKNOWN.txid, payment.txid])
    assert set(found) == {payment.txid}
    assert found[payment.txid] == server.node.transaction(outpoint.txid)


def test_a_source_gives_the_time_of_a_block(chain, server) -> None:
    height = chain.height()
    assert chain.block_time(height) == server.node.chain.block_at(height).header.time
