import json
from dataclasses import replace

import pytest
from tests.wallets.scripted import Answer

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
)
from dovetail.bitcoin.hashes import sha256
from dovetail.errors import ChainError, ConfigurationError
from dovetail.wallets.esplora import EsploraChain
from dovetail.wallets.ports import Accepted, Payment, Refused, Spend

RATE = FeeRate.from_sat_per_vb(2)
TARGET = Script(b"\x00\x14" + bytes(20))
UNKNOWN = OutPoint(Txid(bytes(31) + b"\x01"), 0)


@pytest.fixture
def payment(make_wallet):
    return make_wallet(100_000).pay(TARGET, Sats(30_000), fee_rate=RATE).extract()


@pytest.fixture
def public(server):
    """The same server as one that cannot ask its node."""
    with EsploraChain(server.url, Network.SIGNET) as opened:
        yield opened


@pytest.fixture
def scripted_chain(scripted):
    with EsploraChain(scripted.url, Network.MAINNET, timeout=2) as opened:
        scripted.answers["/blocks/tip/height"] = Answer(body=b"100")
        yield opened


def _json(value: object) -> Answer:
    return Answer(body=json.dumps(value).encode())


def _bytes(transaction: Transaction) -> Answer:
    return Answer(body=transaction.serialize().hex().encode())


def _locked(transaction: Transaction, lock_time: int, sequence: int = 0) -> Transaction:
    inputs = tuple(replace(txin, sequence=sequence) for txin in transaction.inputs)
    return replace(transaction, inputs=inputs, lock_time=lock_time)


def test_the_height_follows_the_chain(server, chain):
    before = chain.height()
    server.node.mine(2)
    assert chain.height() == before + 2 == server.node.height


@pytest.mark.parametrize("body", [b"", b"-1", b"many", b"1" * 10, b"999999999"])
def test_a_height_that_cannot_be_is_not_understood(scripted, scripted_chain, body):
    scripted.answers["/blocks/tip/height"] = Answer(body=body)
    with pytest.raises(ChainError, match="Esplora"):
        scripted_chain.height()


def test_a_chain_shows_no_url():
    with EsploraChain("https://chain.example/secret", Network.SIGNET) as chain:
        assert repr(chain) == "<EsploraChain on signet>"
    with pytest.raises(ConfigurationError):
        EsploraChain("chain.example", Network.SIGNET)


def test_a_good_transaction_is_acceptable_before_and_after_its_broadcast(chain, payment):
    assert chain.acceptance(payment) == Accepted()
    assert chain.broadcast(payment) == Accepted()
    assert chain.acceptance(payment) == Accepted()


def test_the_regtest_node_sees_a_wrong_signature(chain, payment):
    txin = payment.inputs[0]
    broken = replace(payment, inputs=(replace(txin, witness=(bytes(72), txin.witness[1])),))
    verdict = chain.acceptance(broken)
    assert isinstance(verdict, Refused)
    assert "script-verify" in verdict.reason


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


def test_a_public_server_knows_what_is_spent(chain, public, make_wallet):
    wallet = make_wallet(100_000)
    first, second = (
        wallet.pay(TARGET, Sats(amount), fee_rate=RATE).extract() for amount in (30_000, 40_000)
    )
    assert chain.broadcast(first) == Accepted()
    assert public.acceptance(first) == Accepted()
    assert public.acceptance(second) == Refused("bad-txns-inputs-missingorspent")


def test_mempools_esplora_asks_its_node(scripted, scripted_chain, payment):
    scripted.answers["/txs/test"] = _json([{"txid": "", "allowed": True}])
    assert scripted_chain.acceptance(payment) == Accepted()
    scripted.answers["/txs/test"] = _json([{"allowed": False, "reject-reason": "dust\n"}])
    assert scripted_chain.acceptance(payment) == Refused("dust ")
    known = "txn-already-in-mempool"
    scripted.answers["/txs/test"] = _json([{"allowed": False, "reject-reason": known}])
    assert scripted_chain.acceptance(payment) == Accepted()
    scripted.answers["/txs/test"] = _json([{"allowed": False}])
    assert scripted_chain.acceptance(payment) == Refused("refused")


@pytest.mark.parametrize("answer", [Answer(400, b"unknown"), Answer(404), Answer(body=b"[]")])
def test_a_server_that_cannot_test_is_asked_for_the_inputs(
    scripted, scripted_chain, payment, answer
):
    scripted.answers["/txs/test"] = answer
    assert scripted_chain.acceptance(payment) == Refused("bad-txns-inputs-missingorspent")


def test_a_regtest_server_of_another_make_is_asked_for_the_inputs(scripted, payment):
    scripted.answers["/blocks/tip/height"] = Answer(body=b"100")
    with EsploraChain(scripted.url, Network.REGTEST) as chain:
        assert chain.acceptance(payment) == Refused("bad-txns-inputs-missingorspent")
    assert scripted.asked[0] == "/regtest/accept"


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


def test_a_long_reason_is_cut(scripted, scripted_chain, payment):
    scripted.answers["/tx"] = Answer(400, b'{"code":-26,"message":"' + b"x" * 1000)
    verdict = scripted_chain.broadcast(payment)
    assert isinstance(verdict, Refused)
    assert len(verdict.reason) == 200


@pytest.mark.parametrize("answer", [Answer(400, b"no node"), Answer(body=b"<html>"), Answer(404)])
def test_the_servers_own_trouble_is_no_refusal(scripted, scripted_chain, payment, answer):
    scripted.answers["/tx"] = answer
    with pytest.raises(ChainError):
        scripted_chain.broadcast(payment)


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


def _outspend(spender: Transaction, **status: object) -> Answer:
    return _json({"spent": True, "txid": str(spender.txid), "status": status})


def test_a_spender_that_left_meanwhile_spends_nothing(scripted, scripted_chain, payment):
    scripted.answers[f"/tx/{UNKNOWN.txid}/outspend/0"] = _outspend(payment, confirmed=False)
    assert scripted_chain.spend_of(UNKNOWN) is None


def test_a_block_newer_than_the_height_is_one_deep(scripted, scripted_chain, payment):
    outpoint = payment.inputs[0].previous_output
    path = f"/tx/{outpoint.txid}/outspend/{outpoint.vout}"
    scripted.answers[path] = _outspend(payment, confirmed=True, block_height=102)
    scripted.answers[f"/tx/{payment.txid}/hex"] = _bytes(payment)
    spend = scripted_chain.spend_of(outpoint)
    assert spend is not None
    assert spend.depth == 1
    scripted.answers[path] = _outspend(payment, confirmed=True)
    assert scripted_chain.spend_of(outpoint) == replace(spend, depth=0)


def test_a_lying_server_is_not_believed(scripted, scripted_chain, payment):
    path = f"/tx/{UNKNOWN.txid}/outspend/0"
    scripted.answers[path] = _outspend(payment, confirmed=False)
    hex_path = f"/tx/{payment.txid}/hex"
    other = replace(payment, lock_time=1)
    for answer in (_bytes(payment), _bytes(other), Answer(body=b"zz"), Answer(body=b"00")):
        scripted.answers[hex_path] = answer
        with pytest.raises(ChainError, match="Esplora"):
            scripted_chain.spend_of(UNKNOWN)
    scripted.answers[path] = _json({"spent": True, "txid": "short"})
    with pytest.raises(ChainError, match="Esplora"):
        scripted_chain.spend_of(UNKNOWN)


def test_a_server_that_knows_nothing_does_not_count_as_unspent(scripted):
    with EsploraChain(scripted.url, Network.MAINNET) as chain, pytest.raises(ChainError):
        chain.spend_of(UNKNOWN)


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


def test_a_history_without_end_is_cut(scripted, scripted_chain):
    def page(number: int) -> Answer:
        status = {"confirmed": True, "block_height": 1}
        output = {"value": 1, "scriptpubkey": TARGET.hex()}
        return _json([{"txid": f"{number:064x}", "vout": [output], "status": status}])

    path = f"/scripthash/{sha256(TARGET).hex()}/txs"
    scripted.answers[path] = page(0)
    for number in range(50):
        scripted.answers[f"{path}/chain/{number:064x}"] = page(number + 1)
    assert len(scripted_chain.payments_to(TARGET)) == 21


@pytest.mark.parametrize("txid", ["short", "../../secret"])
def test_a_history_of_nonsense_is_not_understood(scripted, scripted_chain, txid):
    payer = {"txid": txid, "vout": [], "status": {"confirmed": True}}
    scripted.answers[f"/scripthash/{sha256(TARGET).hex()}/txs"] = _json([payer])
    with pytest.raises(ChainError, match="Esplora"):
        scripted_chain.payments_to(TARGET)


def test_an_impossible_amount_is_not_understood(scripted, scripted_chain):
    output = {"value": -1, "scriptpubkey": TARGET.hex()}
    payer = {"txid": "00" * 32, "vout": [output], "status": {"confirmed": False}}
    scripted.answers[f"/scripthash/{sha256(TARGET).hex()}/txs"] = _json([payer])
    with pytest.raises(ChainError, match="Esplora"):
        scripted_chain.payments_to(TARGET)


def test_the_regtest_fee_rate_is_at_least_the_minimum(chain):
    assert chain.fee_rate(target=6) >= FeeRate.BROADCAST_MIN


@pytest.mark.parametrize(
    ("estimates", "target", "rate"),
    [
        ({"1": 20.5, "6": 10.0, "144": 0.2}, 1, "20.5"),
        ({"1": 20.5, "6": 10.0, "144": 0.2}, 5, "20.5"),
        ({"1": 20.5, "6": 10.0, "144": 0.2}, 12, "10"),
        ({"1": 20.5, "6": 10.0, "144": 0.2}, 1000, "1"),
        ({"2": 3}, 1, "3"),
        ({}, 1, "1"),
    ],
)
def test_the_fee_rate_is_the_estimate_for_the_target(
    scripted, scripted_chain, estimates, target, rate
):
    scripted.answers["/fee-estimates"] = _json(estimates)
    assert scripted_chain.fee_rate(target=target) == FeeRate.from_sat_per_vb(rate)


@pytest.mark.parametrize("body", [b'{"1":-1}', b'{"1":1e300}', b'{"1":1e999}', b"[]"])
def test_a_fee_rate_that_cannot_be_is_not_understood(scripted, scripted_chain, body):
    scripted.answers["/fee-estimates"] = Answer(body=body)
    with pytest.raises(ChainError, match="Esplora"):
        scripted_chain.fee_rate(target=1)


def test_a_server_without_estimates_is_not_esplora(scripted_chain):
    with pytest.raises(ChainError, match="Esplora"):
        scripted_chain.fee_rate(target=1)


def test_a_transaction_out_of_nothing_is_refused(public):
    nothing = Transaction(
        version=2,
        inputs=(TxIn(UNKNOWN),),
        outputs=(TxOut(Sats(1_000), TARGET),),
        lock_time=0,
    )
    assert public.acceptance(nothing) == Refused("bad-txns-inputs-missingorspent")
