import json
from dataclasses import replace

import pytest

from dovetail.bitcoin import OutPoint, Sats, Script, Transaction, TxOut
from dovetail.bitcoin.hashes import sha256
from dovetail.regtest import RegtestNode
from dovetail.regtest.electrum import ElectrumSession
from dovetail.regtest.miner import REWARD_SCRIPT
from dovetail.regtest.policy import PolicyRejection

TARGET = Script(b"\x00\x14" + bytes(20))
NAME = sha256(TARGET)[::-1].hex()


@pytest.fixture
def node():
    with RegtestNode(blocks=101) as opened:
        yield opened


@pytest.fixture
def session(node):
    return ElectrumSession(node)


def ask(session: ElectrumSession, method: str, *parameters: object):
    line = session.answer(
        json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": parameters}).encode()
    )
    reply = json.loads(line)
    assert reply["id"] == 7
    assert reply["jsonrpc"] == "2.0"
    return reply.get("result", reply.get("error"))


def news(session: ElectrumSession):
    return [json.loads(line) for line in session.news().splitlines()]


@pytest.mark.parametrize("offer", ["1.7", ["1.6", "1.7"], [], None, {"a": 1}])
def test_another_version_of_the_protocol_is_refused(session, offer):
    assert "1.4" in ask(session, "server.version", "client", offer)["message"]


def test_a_server_says_what_it_is(node, session):
    assert ask(session, "server.version", "client", ["1.4", "1.6"]) == ["dovetail-regtest", "1.4"]
    assert ask(session, "server.ping") is None
    assert ask(session, "server.banner") == ""
    assert ask(session, "server.donation_address") == ""
    assert ask(session, "server.peers.subscribe") == []
    features = ask(session, "server.features")
    assert features["genesis_hash"] == str(node.chain.at(0))
    assert features["hash_function"] == "sha256"


def test_headers_are_told_by_height(node, session):
    raw = [node.chain.block_at(height).header.serialize().hex() for height in range(102)]
    assert ask(session, "blockchain.headers.subscribe") == {"height": 101, "hex": raw[101]}
    assert ask(session, "blockchain.block.header", 5) == raw[5]
    assert ask(session, "blockchain.block.headers", 100, 9) == {
        "count": 2,
        "hex": raw[100] + raw[101],
        "max": 2016,
    }
    assert ask(session, "blockchain.block.headers", 102, 1)["count"] == 0
    for height in (-1, 102):
        assert "out of range" in ask(session, "blockchain.block.header", height)["message"]


def test_a_history_lists_blocks_first_and_the_mempool_last(node, session):
    assert ask(session, "blockchain.scripthash.get_history", NAME) == []
    first = node.fund(TARGET, Sats(20_000))
    second = node.fund(TARGET, Sats(30_000), confirmations=0)
    waiting = ask(session, "blockchain.scripthash.get_mempool", NAME)
    assert [(entry["tx_hash"], entry["height"]) for entry in waiting] == [(str(second.txid), 0)]
    assert waiting[0]["fee"] > 0
    confirmed = {"tx_hash": str(first.txid), "height": 102}
    history = ask(session, "blockchain.scripthash.get_history", NAME)
    assert history == [confirmed, *waiting]


def test_what_builds_on_the_mempool_has_another_height(node, session):
    parent = node.fund_many([TxOut(Sats(20_000), TARGET)], confirmations=0)
    change = parent.outputs[1]
    child = replace(
        parent,
        inputs=(replace(parent.inputs[0], previous_output=OutPoint(parent.txid, 1)),),
        outputs=(TxOut(Sats(change.value - 1_000), TARGET),),
    )
    assert not isinstance(node.send(child), PolicyRejection)
    waiting = ask(session, "blockchain.scripthash.get_mempool", NAME)
    assert [(entry["tx_hash"], entry["height"]) for entry in waiting] == [
        (str(parent.txid), 0),
        (str(child.txid), -1),
    ]


def test_coins_are_listed_until_they_are_spent(node, session):
    coin = node.fund(TARGET, Sats(20_000))
    assert ask(session, "blockchain.scripthash.listunspent", NAME) == [
        {"tx_hash": str(coin.txid), "tx_pos": coin.vout, "height": 102, "value": 20_000}
    ]
    name = sha256(REWARD_SCRIPT)[::-1].hex()
    before = ask(session, "blockchain.scripthash.listunspent", name)
    node.fund(TARGET, Sats(30_000), confirmations=0)
    after = ask(session, "blockchain.scripthash.listunspent", name)
    assert len([entry for entry in before if entry not in after]) == 1
    assert ask(session, "blockchain.scripthash.listunspent", NAME)[-1]["height"] == 0


def test_transactions_are_told_whole_and_proved(node, session):
    coin = node.fund(TARGET, Sats(20_000))
    raw = ask(session, "blockchain.transaction.get", str(coin.txid))
    assert Transaction.parse(bytes.fromhex(raw)).txid == coin.txid
    proof = ask(session, "blockchain.transaction.get_merkle", str(coin.txid), 102)
    assert (proof["block_height"], proof["pos"], len(proof["merkle"])) == (102, 1, 1)
    assert ask(session, "blockchain.transaction.id_from_pos", 102, 1) == str(coin.txid)
    for place in ((102, 2), (103, 0)):
        assert ask(session, "blockchain.transaction.id_from_pos", *place)["code"] == 1
    unknown = "00" * 32
    assert "-5" in ask(session, "blockchain.transaction.get", unknown)["message"]
    assert (
        "not in block" in ask(session, "blockchain.transaction.get_merkle", unknown, 1)["message"]
    )
    assert ask(session, "blockchain.transaction.get", str(coin.txid), True)["code"] == 1


def test_a_broadcast_is_taken_once_and_again_until_it_is_confirmed(node, session):
    payment = node.fund_many([TxOut(Sats(20_000), TARGET)], confirmations=0)
    raw = payment.serialize().hex()
    assert ask(session, "blockchain.transaction.broadcast", raw) == str(payment.txid)
    node.mine()
    refused = ask(session, "blockchain.transaction.broadcast", raw)
    assert refused["message"].startswith("the transaction was rejected by network rules.")
    for other in ("zz", "00"):
        assert "TX decode" in ask(session, "blockchain.transaction.broadcast", other)["message"]


def test_fees_are_the_usual_ones(session):
    assert ask(session, "blockchain.estimatefee", 6) == 0.00001
    assert ask(session, "blockchain.relayfee") == 0.000001
    assert ask(session, "mempool.get_fee_histogram") == []


def test_news_come_to_those_who_subscribed(node, session):
    node.mine()
    assert news(session) == []
    ask(session, "blockchain.headers.subscribe")
    assert ask(session, "blockchain.scripthash.subscribe", NAME) is None
    assert news(session) == []
    coin = node.fund(TARGET, Sats(20_000))
    blocks, script = news(session)
    assert blocks["method"] == "blockchain.headers.subscribe"
    assert blocks["params"][0]["height"] == node.height
    status = sha256(f"{coin.txid}:{node.height}:".encode()).hex()
    assert script == {
        "jsonrpc": "2.0",
        "method": "blockchain.scripthash.subscribe",
        "params": [NAME, status],
    }
    assert news(session) == []
    assert ask(session, "blockchain.scripthash.unsubscribe", NAME) is True
    assert ask(session, "blockchain.scripthash.unsubscribe", NAME) is False
    node.fund(TARGET, Sats(20_000))
    assert [each["method"] for each in news(session)] == ["blockchain.headers.subscribe"]


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"\xff", b'{"id":1}', b"[" * 100_000])
def test_a_line_that_is_no_question_is_refused(session, line):
    reply = json.loads(session.answer(line))
    assert reply["id"] is None
    assert reply["error"]["code"] == -32700


def test_wrong_questions_are_refused(session):
    assert ask(session, "no.such.method")["code"] == -32601
    wrong: list[tuple[str, list[object]]] = [
        ("blockchain.block.header", ["5"]),
        ("blockchain.block.headers", [0]),
        ("blockchain.scripthash.get_history", [5]),
        ("blockchain.transaction.get", ["short"]),
    ]
    for method, parameters in wrong:
        assert ask(session, method, *parameters)["code"] == -32602
