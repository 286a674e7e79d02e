from dataclasses import replace

import httpx2 as httpx
import pytest
from tests.regtest.spending import OPEN_SCRIPT, SOME_SCRIPT, open_coins, spend

from dovetail.bitcoin import OutPoint, Txid
from dovetail.bitcoin.script import Address, Network
from dovetail.regtest.policy import Accepted

ADDRESS = str(Address.from_script(SOME_SCRIPT, Network.REGTEST))
UNKNOWN = OutPoint(Txid(bytes(31) + b"\1"), 0)
MAINNET_ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


@pytest.fixture
def http(server):
    with httpx.Client(base_url=server.url) as client:
        yield client


@pytest.fixture
def node(server):
    return server.node


def broadcast(http, transaction):
    return http.post("/tx", content=transaction.serialize().hex())


def test_a_broadcast_transaction_waits_in_the_mempool(http, node):
    (coin,) = open_coins(node, 50_000)
    made = spend([coin], [(40_000, SOME_SCRIPT)])
    response = broadcast(http, made)
    assert (response.status_code, response.text) == (200, str(made.txid))
    assert node.in_mempool(made.txid)


def test_a_second_broadcast_succeeds_until_it_is_confirmed(http, node):
    (coin,) = open_coins(node, 50_000)
    made = spend([coin], [(40_000, SOME_SCRIPT)])
    broadcast(http, made)
    assert broadcast(http, made).status_code == 200
    node.mine()
    response = broadcast(http, made)
    assert response.status_code == 400
    assert response.text == (
        'sendrawtransaction RPC error: {"code":-27,'
        '"message":"Transaction outputs already in utxo set"}'
    )


def test_refusals_carry_bitcoin_core_s_codes_and_words(http, node):
    (coin,) = open_coins(node, 50_000)
    broadcast(http, spend([coin], [(40_000, OPEN_SCRIPT)]))
    cases = [
        (spend([coin], [(41_000, OPEN_SCRIPT)]), -26, "insufficient fee, rejecting replacement"),
        (spend([coin], [(1, SOME_SCRIPT)]), -26, "dust"),
    ]
    node.mine()
    cases.append((spend([coin], [(30_000, SOME_SCRIPT)]), -25, "bad-txns-inputs-missingorspent"))
    (coin,) = open_coins(node, 50_000)
    broadcast(http, spend([coin], [(40_000, OPEN_SCRIPT)]))
    cases[0] = (spend([coin], [(41_000, OPEN_SCRIPT)]), -26, "insufficient fee, rejecting")
    for transaction, code, words in cases:
        response = broadcast(http, transaction)
        assert response.status_code == 400
        assert response.text.startswith(
            f'sendrawtransaction RPC error: {{"code":{code},"message":"{words}'
        )


@pytest.mark.parametrize("body", [b"", b"zz", b"00", b"\xff\xfe", b"0" * 1001])
def test_what_is_no_transaction_does_not_decode(http, body):
    response = http.post("/tx", content=body)
    assert response.status_code == 400
    assert '"code":-22' in response.text


def test_a_body_beyond_any_transaction_is_cut_off(http):
    assert http.post("/tx", content=b"0" * 8_000_001).status_code == 413


def test_blocks_are_mined_on_demand(http, node):
    assert http.post("/regtest/mine").json() == {"blocks": [str(node.tip)]}
    answer = http.post("/regtest/mine", json={"blocks": 2, "address": ADDRESS}).json()
    assert len(answer["blocks"]) == 2
    assert node.height == 113
    assert node.chain.block_at(113).transactions[0].outputs[0].script_pubkey == SOME_SCRIPT


def test_an_address_is_funded_on_demand(http, node):
    answer = http.post("/regtest/fund", json={"address": ADDRESS, "sats": 5000}).json()
    told = http.get(f"/tx/{answer['txid']}").json()
    assert told["vout"][answer["vout"]]["value"] == 5000
    assert told["status"]["confirmed"]
    http.post("/regtest/fund", json={"address": ADDRESS, "sats": 5000, "confirmations": 0})
    assert len(node.mempool_txids()) == 1


def ask(http, *transactions):
    return http.post("/txs/test", json=[each.serialize().hex() for each in transactions])


def test_acceptance_is_tested_without_consequence_as_mempools_esplora_does(http, node):
    (coin,) = open_coins(node, 50_000)
    made = spend([coin], [(40_000, SOME_SCRIPT)])
    named = {"txid": str(made.txid), "wtxid": str(made.wtxid)}
    vsize = -(-made.weight // 4)
    fine = named | {"allowed": True, "vsize": vsize, "fees": {"base": 0.0001}}
    assert ask(http, made).json() == [fine]
    assert node.mempool_txids() == ()
    assert isinstance(node.send(made), Accepted)
    known = "txn-already-in-mempool"
    refused = named | {"allowed": False, "reject-reason": known, "reject-details": known}
    assert ask(http, made).json() == [refused]


def test_a_test_of_missing_inputs_says_so_in_a_nodes_words(http, node):
    (coin,) = open_coins(node, 50_000)
    parent = spend([coin], [(40_000, SOME_SCRIPT)])
    gone = replace(parent, inputs=(replace(parent.inputs[0], previous_output=UNKNOWN),))
    (first, second) = ask(http, parent, gone).json()
    assert first["allowed"]
    assert second["reject-reason"] == "missing-inputs"


@pytest.mark.parametrize("body", [[], ["00"] * 26, {"tx": "00"}, ["00"], ["zz"], [1]])
def test_what_cannot_be_tested_is_refused(http, body):
    assert http.post("/txs/test", json=body).status_code == 400


def test_a_reorganisation_is_made_on_demand(http, node):
    old = node.tip
    answer = http.post("/regtest/reorg", json={"depth": 1}).json()
    assert len(answer["blocks"]) == 2
    assert not node.chain.is_active(old)


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("mine", b"{"),
        ("mine", b"[]"),
        ("mine", b"[" * 100_000),
        ("mine", b'{"blocks": "1"}'),
        ("mine", b'{"blocks": 1001}'),
        ("mine", b'{"blocks": -1}'),
        ("mine", b'{"surprise": 1}'),
        ("mine", b'{"address": "nonsense"}'),
        ("fund", b"{}"),
        ("fund", b'{"address": "%s", "sats": 1}' % ADDRESS.encode()),
        ("fund", b'{"address": "%s", "sats": 2100000000000001}' % ADDRESS.encode()),
        ("fund", b'{"address": "%s", "sats": 100000000000}' % ADDRESS.encode()),
        ("fund", b'{"address": "%s", "sats": 1000}' % MAINNET_ADDRESS.encode()),
        ("reorg", b'{"depth": 0}'),
        ("reorg", b'{"depth": 500}'),
    ],
)
def test_a_wrong_request_is_refused_with_a_sentence(http, node, action, body):
    tip = node.tip
    response = http.post(f"/regtest/{action}", content=body)
    assert response.status_code == 400
    assert response.json()["error"].endswith(".")
    assert node.tip == tip
    assert node.mempool_txids() == ()
