from dataclasses import replace

import pytest

from dovetail.bitcoin import FeeRate, Network, OutPoint, Sats, Script, Txid, TxOut
from dovetail.errors import ChainError, ConfigurationError
from dovetail.wallets import transaction_cache
from dovetail.wallets.electrum.chain import ElectrumChain
from dovetail.wallets.ports import Accepted, Payment, Refused, Spend, Unknown

RATE = FeeRate.from_sat_per_vb(2)
TARGET = Script(b"\x00\x14" + bytes(20))
UNKNOWN = OutPoint(Txid(bytes(31) + b"\x01"), 0)
BROADCAST = "blockchain.transaction.broadcast"
HISTORY = "blockchain.scripthash.get_history"
GET = "blockchain.transaction.get"


@pytest.fixture
def payment(make_wallet):
    return make_wallet(100_000).pay(TARGET, Sats(30_000), fee_rate=RATE).extract()


@pytest.fixture
def chain(scripted_electrum):
    with ElectrumChain(scripted_electrum.url, Network.REGTEST, timeout=5) as opened:
        yield opened


def test_a_chain_shows_no_url():
    with ElectrumChain("ssl://chain.example:50002", Network.SIGNET) as chain:
        assert repr(chain) == "<ElectrumChain on signet>"
    with pytest.raises(ConfigurationError):
        ElectrumChain("chain.example", Network.SIGNET)


def test_a_server_of_another_network_is_refused(electrum):
    for network in (Network.MAINNET, Network.TESTNET, Network.SIGNET):
        with (
            ElectrumChain(electrum.url, network) as chain,
            pytest.raises(ChainError, match=f"not on {network}; set `chain` to one that is"),
        ):
            chain.height()


@pytest.mark.parametrize("header", ["", "zz", "00" * 80, 5, None, ["00"]])
def test_a_server_must_show_the_first_block(scripted_electrum, chain, header):
    scripted_electrum.results["blockchain.block.header"] = header
    with pytest.raises(ChainError):
        chain.height()


@pytest.mark.parametrize("height", [-1, 100_000_001, "1", None, 1.5, {}])
def test_a_height_that_cannot_be_is_not_understood(scripted_electrum, chain, height):
    scripted_electrum.results["blockchain.headers.subscribe"] = {"height": height, "hex": ""}
    with pytest.raises(ChainError, match="not what an Electrum server gives"):
        chain.height()


def test_what_was_fetched_is_not_fetched_again(server, scripted_electrum, chain, payment):
    outpoint = payment.inputs[0].previous_output
    chain.broadcast(payment)
    spends = [chain.spend_of(outpoint) for _ in range(3)]
    assert spends == [Spend(transaction=payment, depth=0)] * 3
    # The one that made the coin and the one that spends it.
    assert scripted_electrum.asked.count(GET) == 2
    server.node.mine()
    assert chain.spend_of(outpoint) == Spend(transaction=payment, depth=1)


def test_what_was_kept_longest_makes_room(server, scripted_electrum, chain, payment, monkeypatch):
    monkeypatch.setattr(transaction_cache, "MOST", 1)
    chain.broadcast(payment)
    for _ in range(2):
        assert chain.spend_of(payment.inputs[0].previous_output) is not None
    # Each time the coin, what made it, and what spends it.
    assert scripted_electrum.asked.count(GET) == 6


def test_a_transaction_that_left_the_mempool_meanwhile_spends_nothing(
    scripted_electrum, chain, payment
):
    outpoint = payment.inputs[0].previous_output
    chain.spend_of(outpoint)
    scripted_electrum.results[HISTORY] = [{"tx_hash": str(payment.txid), "height": 0}]
    assert chain.spend_of(outpoint) is None
    assert chain.payments_to(TARGET) == ()


def test_a_block_newer_than_the_height_is_one_deep(server, scripted_electrum, chain, payment):
    chain.broadcast(payment)
    entry = {"tx_hash": str(payment.txid), "height": server.node.height + 2}
    scripted_electrum.results[HISTORY] = [entry]
    spend = chain.spend_of(payment.inputs[0].previous_output)
    assert spend is not None
    assert spend.depth == 1


@pytest.mark.parametrize("height", [0, -1])
def test_what_waits_has_no_depth(scripted_electrum, chain, payment, height):
    chain.broadcast(payment)
    scripted_electrum.results[HISTORY] = [{"tx_hash": str(payment.txid), "height": height}]
    assert chain.payments_to(TARGET) == (Payment(txid=payment.txid, amount=Sats(30_000), depth=0),)


@pytest.mark.parametrize("raw", ["", "zz", "00", "deadbeef" * 20])
def test_bytes_that_are_no_transaction_are_not_understood(scripted_electrum, chain, payment, raw):
    scripted_electrum.results[GET] = raw
    with pytest.raises(ChainError, match="not what an Electrum server gives"):
        chain.spend_of(payment.inputs[0].previous_output)


def test_another_transaction_than_asked_for_is_not_believed(scripted_electrum, chain, payment):
    scripted_electrum.results[GET] = payment.serialize().hex()
    with pytest.raises(ChainError, match="not what an Electrum server gives"):
        chain.spend_of(payment.inputs[0].previous_output)


@pytest.mark.parametrize(
    "message",
    [
        "daemon error: DaemonError({'code': -5, 'message': 'No such mempool transaction'})",
        '{"code":-5,"message":"No such mempool or blockchain transaction."}',
        "missing transaction",
        "No such mempool or blockchain transaction.",
    ],
)
def test_each_way_to_say_that_a_transaction_is_missing_is_known(scripted_electrum, chain, message):
    for error in ({"code": 2, "message": message}, message):
        scripted_electrum.errors[GET] = error
        assert chain.spend_of(UNKNOWN) is None


@pytest.mark.parametrize(
    "message", ["unknown method", "server busy - request timed out", "excessive resource usage"]
)
def test_the_servers_own_trouble_does_not_count_as_unspent(scripted_electrum, chain, message):
    scripted_electrum.errors[GET] = {"code": -32601, "message": message}
    with pytest.raises(ChainError, match="refuses to answer") as caught:
        chain.spend_of(UNKNOWN)
    assert message not in str(caught.value)


@pytest.mark.parametrize(
    "history",
    [
        None,
        {},
        [{}],
        [{"tx_hash": "short", "height": 1}],
        [{"tx_hash": 5, "height": 1}],
        [{"tx_hash": "00" * 32, "height": "1"}],
    ],
)
def test_a_history_that_cannot_be_is_not_understood(scripted_electrum, chain, history):
    scripted_electrum.results[HISTORY] = history
    with pytest.raises(ChainError, match="not what an Electrum server gives"):
        chain.payments_to(TARGET)


def test_an_address_that_is_used_without_end_is_not_followed(scripted_electrum, chain):
    entry = {"tx_hash": "00" * 32, "height": 1}
    scripted_electrum.results[HISTORY] = [entry] * 5001
    with pytest.raises(ChainError, match="has too many transactions"):
        chain.payments_to(TARGET)


def test_amounts_that_cannot_be_are_not_believed(scripted_electrum, chain, payment):
    rich = TxOut(Sats(2_100_000_000_000_000), TARGET)
    impossible = replace(payment, outputs=(rich, rich))
    scripted_electrum.results[HISTORY] = [{"tx_hash": str(impossible.txid), "height": 1}]
    scripted_electrum.results[GET] = impossible.serialize().hex()
    with pytest.raises(ChainError, match="not what an Electrum server gives"):
        chain.payments_to(TARGET)


@pytest.mark.parametrize(
    "message",
    [
        "the transaction was rejected by network rules.\n\nbad-txns-inputs-missingorspent\n[{raw}]",
        'sendrawtransaction RPC error: {{"code":-25,"message":"bad-txns-inputs-missingorspent"}}',
        "sendrawtransaction RPC error -26: bad-txns-inputs-missingorspent {raw}",
    ],
)
def test_a_refusal_keeps_the_reason_and_drops_the_transaction(
    scripted_electrum, chain, payment, message
):
    raw = payment.serialize().hex()
    scripted_electrum.errors[BROADCAST] = {"code": 1, "message": message.format(raw=raw)}
    verdict = chain.broadcast(payment)
    assert isinstance(verdict, Refused)
    assert "bad-txns-inputs-missingorspent" in verdict.reason
    assert raw[:40] not in verdict.reason
    assert verdict.reason.isprintable()


@pytest.mark.parametrize("error", ["warming up", {"code": -32603, "message": "internal error"}])
def test_the_servers_own_trouble_is_no_refusal(scripted_electrum, chain, payment, error):
    scripted_electrum.errors[BROADCAST] = error
    with pytest.raises(ChainError, match="could not broadcast"):
        chain.broadcast(payment)


def test_words_that_tell_neither_are_told_as_such(scripted_electrum, chain, payment):
    scripted_electrum.errors[BROADCAST] = {"code": 1, "message": "not here"}
    assert isinstance(chain.broadcast(payment), Unknown)


def test_a_server_that_names_another_transaction_is_not_believed(scripted_electrum, chain, payment):
    scripted_electrum.results[BROADCAST] = "00" * 32
    assert isinstance(chain.broadcast(payment), Unknown)


def test_a_refusal_of_what_is_known_counts_as_accepted(server, scripted_electrum, chain, payment):
    server.node.send(payment)
    message = "rejected by network rules: Transaction outputs already in utxo set"
    scripted_electrum.errors[BROADCAST] = {"code": 1, "message": message}
    assert chain.broadcast(payment) == Accepted()


def test_a_transaction_without_an_address_is_known_by_itself(server, chain, payment):
    data = Script(b"\x6a\x04data")
    silent = replace(payment, outputs=(TxOut(Sats(0), data),))
    assert chain.acceptance(silent) == Accepted()
    assert isinstance(chain.broadcast(silent), Refused)  # its signature is for another one


@pytest.mark.parametrize(
    ("estimate", "least", "rate"),
    [
        (0.00012345, 0.00001, "12.345"),
        (0.00001, 0.00003, "3"),
        (-1, 0.00002, "2"),
        (-1, -1, "1"),
        (-1, 0.00003, "3"),
        (0.000001, 0.000001, "0.1"),
        (0.00000321, 0.000001, "0.321"),
        (1, 0.00001, "100000"),
    ],
)
def test_the_fee_rate_is_the_estimate_or_the_minimum(
    scripted_electrum, chain, estimate, least, rate
):
    scripted_electrum.results["blockchain.estimatefee"] = estimate
    scripted_electrum.results["blockchain.relayfee"] = least
    assert chain.fee_rate(target=3) == FeeRate.from_sat_per_vb(rate)


def test_a_server_without_a_relay_fee_has_the_usual_one(scripted_electrum, chain):
    scripted_electrum.errors["blockchain.relayfee"] = {"code": -32601, "message": "unknown"}
    scripted_electrum.results["blockchain.estimatefee"] = -1
    assert chain.min_fee_rate() == FeeRate.RELAY_MIN
    assert chain.fee_rate(target=3) == FeeRate.BROADCAST_MIN


def test_a_server_of_protocol_1_6_tells_its_relay_fee_with_the_mempool(scripted_electrum, chain):
    scripted_electrum.errors["blockchain.relayfee"] = {"code": -32601, "message": "unknown"}
    told = {"mempoolminfee": 0.00001, "minrelaytxfee": 0.000002, "incrementalrelayfee": 0.000001}
    scripted_electrum.results["mempool.get_info"] = told
    assert chain.min_fee_rate() == FeeRate.from_sat_per_vb("0.2")


@pytest.mark.parametrize("estimate", [-2, 1e300, None, "fast", [1]])
def test_a_fee_rate_that_cannot_be_is_not_understood(scripted_electrum, chain, estimate):
    scripted_electrum.results["blockchain.estimatefee"] = estimate
    with pytest.raises(ChainError, match="not what an Electrum server gives"):
        chain.fee_rate(target=3)
