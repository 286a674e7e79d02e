import json
from dataclasses import replace

import pytest
from tests.support.scripted_http import Answer

from dovetail.bitcoin import (
    FeeRate,
    Network,
    OutPoint,
    Sats,
    Script,
    Transaction,
    Txid,
)
from dovetail.bitcoin.hashes import sha256
from dovetail.errors import ChainError, ConfigurationError
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.ports import Accepted, Refused, Unknown

RATE = FeeRate.from_sat_per_vb(2)
TARGET = Script(b"\x00\x14" + bytes(20))
UNKNOWN = OutPoint(Txid(bytes(31) + b"\x01"), 0)


@pytest.fixture
def payment(make_wallet):
    return make_wallet(100_000).pay(TARGET, Sats(30_000), fee_rate=RATE).extract()


@pytest.fixture
def scripted_chain(scripted):
    with EsploraChain(scripted.url, Network.MAINNET, timeout=2, pace=0) as opened:
        scripted.answers["/blocks/tip/height"] = Answer(body=b"100")
        yield opened


def _json(value: object) -> Answer:
    return Answer(body=json.dumps(value).encode())


def _bytes(transaction: Transaction) -> Answer:
    return Answer(body=transaction.serialize().hex().encode())


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


def test_the_regtest_node_sees_a_wrong_signature(chain, payment):
    txin = payment.inputs[0]
    broken = replace(payment, inputs=(replace(txin, witness=(bytes(72), txin.witness[1])),))
    verdict = chain.acceptance(broken)
    assert isinstance(verdict, Refused)
    assert "script-verify" in verdict.reason


def test_mempools_esplora_asks_its_node(scripted, scripted_chain, payment):
    scripted.answers["/txs/test"] = _json([{"txid": "", "allowed": True}])
    assert scripted_chain.acceptance(payment) == Accepted(tested=True)
    scripted.answers["/txs/test"] = _json([{"allowed": False, "reject-reason": "dust\n"}])
    assert scripted_chain.acceptance(payment) == Refused("dust ")
    known = "txn-already-in-mempool"
    scripted.answers["/txs/test"] = _json([{"allowed": False, "reject-reason": known}])
    assert scripted_chain.acceptance(payment) == Accepted(tested=True)
    other = "txn-same-nonwitness-data-in-mempool"  # which tells nothing of these signatures
    scripted.answers["/txs/test"] = _json([{"allowed": False, "reject-reason": other}])
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
    assert scripted.asked[0] == "/txs/test"


def test_a_long_reason_is_cut(scripted, scripted_chain, payment):
    scripted.answers["/tx"] = Answer(400, b'{"code":-26,"message":"' + b"x" * 1000)
    verdict = scripted_chain.broadcast(payment)
    assert isinstance(verdict, Refused)
    assert len(verdict.reason) == 200


@pytest.mark.parametrize("answer", [Answer(400, b"no node"), Answer(body=b"<html>")])
def test_the_servers_own_trouble_is_no_refusal(scripted, scripted_chain, payment, answer):
    scripted.answers["/tx"] = answer
    assert isinstance(scripted_chain.broadcast(payment), Unknown)


def test_a_server_that_takes_no_transactions_cannot_be_asked(scripted, scripted_chain, payment):
    scripted.answers["/tx"] = Answer(404)
    with pytest.raises(ChainError):
        scripted_chain.broadcast(payment)


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


def test_a_transaction_is_fetched_once_and_whether_it_is_there_each_time(
    scripted, scripted_chain, payment
):
    coin, path = OutPoint(payment.txid, 0), f"/tx/{payment.txid}"
    scripted.answers[path] = _json(
        {"txid": str(payment.txid), "vout": [], "status": {"confirmed": False}}
    )
    scripted.answers[f"{path}/hex"] = _bytes(payment)
    for _ in range(3):
        assert scripted_chain.outputs([coin])[coin].txout == payment.outputs[0]
    assert scripted.asked.count(f"{path}/hex") == 1
    assert scripted.asked.count(path) == 3
    scripted.answers[path] = Answer(404)
    assert scripted_chain.outputs([coin]) == {}


def test_a_server_that_knows_nothing_does_not_count_as_unspent(scripted):
    with EsploraChain(scripted.url, Network.MAINNET, pace=0) as chain, pytest.raises(ChainError):
        chain.spend_of(UNKNOWN)


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


@pytest.mark.parametrize(
    ("estimates", "target", "rate"),
    [
        ({"1": 20.5, "6": 10.0, "144": 0.2}, 1, "20.5"),
        ({"1": 20.5, "6": 10.0, "144": 0.2}, 5, "20.5"),
        ({"1": 20.5, "6": 10.0, "144": 0.2}, 12, "10"),
        ({"1": 20.5, "6": 10.0, "144": 0.2}, 1000, "0.2"),
        ({"1": 0.321, "6": 0.2, "144": 0.1}, 3, "0.321"),
        ({"1": 0.01}, 3, "0.1"),
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


@pytest.mark.parametrize("status", [400, 403, 422, 500])
def test_a_refusal_is_known_whatever_status_it_comes_with(
    scripted, scripted_chain, payment, status
):
    words = b'sendrawtransaction RPC error: {"code":-25,"message":"bad-txns-inputs-missingorspent"}'
    scripted.answers["/tx"] = Answer(status, words)
    assert scripted_chain.broadcast(payment) == Refused("bad-txns-inputs-missingorspent")


@pytest.mark.parametrize(
    "words",
    [
        (
            b'sendrawtransaction RPC error: {"code":-27,'
            b'"message":"Transaction outputs already in utxo set"}'
        ),
        b"sendrawtransaction RPC error -27: Transaction already in block chain",
    ],
)
def test_what_its_node_has_counts_as_accepted_while_the_index_lags(
    scripted, scripted_chain, payment, words
):
    scripted.answers["/tx"] = Answer(400, words)
    assert f"/tx/{payment.txid}" not in scripted.answers  # where it answers 404
    assert scripted_chain.broadcast(payment) == Accepted()
