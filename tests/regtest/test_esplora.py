"""Over real HTTP, as wallets and other tools see it."""

import httpx2 as httpx
import pytest
from tests.regtest.spending import OPEN_SCRIPT, SOME_SCRIPT, Wallet, open_coins, spend

from dovetail.bitcoin.hashes import hash256, sha256
from dovetail.bitcoin.script import Address, Network
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid
from dovetail.bitcoin.units import Sats
from dovetail.regtest.blocks import Block, Header
from dovetail.regtest.miner import REWARD_SCRIPT

NOWHERE = "00" * 32


@pytest.fixture
def http(server):
    with httpx.Client(base_url=server.url) as client:
        yield client


@pytest.fixture
def node(server):
    return server.node


def ok(http, path):
    response = http.get(path)
    assert response.status_code == 200, response.text
    return response


def address_of(script):
    return str(Address.from_script(script, Network.REGTEST))


def test_the_tip_is_told_by_height_and_hash(http, node):
    assert ok(http, "/blocks/tip/height").text == "110"
    assert ok(http, "/blocks/tip/hash").text == str(node.tip)
    assert ok(http, "/api/blocks/tip/height").text == "110"


def test_ten_blocks_are_listed_from_the_newest_down(http, node):
    newest = ok(http, "/blocks").json()
    assert [block["height"] for block in newest] == list(range(110, 100, -1))
    assert [block["height"] for block in ok(http, "/blocks/3").json()] == [3, 2, 1, 0]
    assert ok(http, "/blocks/500").json() == []
    assert newest[0]["previousblockhash"] == newest[1]["id"] == str(node.chain.at(109))
    assert ok(http, "/blocks/0").json()[0]["previousblockhash"] is None


def test_a_block_is_told_in_every_form(http, node):
    name = ok(http, "/block-height/110").text
    summary = ok(http, f"/block/{name}").json()
    raw = ok(http, f"/block/{name}/raw").content
    block = Block.parse(raw)
    assert raw == block.serialize()
    assert summary["id"] == name == str(block.header.hash)
    assert summary["merkle_root"] == block.header.merkle_root[::-1].hex()
    assert summary["mediantime"] == node.median_time
    assert summary["size"] == len(raw)
    base = 81 + len(block.transactions[0].serialize(witness=False))
    assert summary["weight"] == 3 * base + len(raw)
    header = Header.parse(bytes.fromhex(ok(http, f"/block/{name}/header").text))
    assert header == block.header
    assert ok(http, f"/block/{name}/txids").json() == [str(block.transactions[0].txid)]
    assert ok(http, f"/block/{name}/txid/0").text == str(block.transactions[0].txid)
    assert http.get(f"/block/{name}/txid/1").status_code == 404


def test_a_block_knows_whether_it_is_in_the_best_chain(http, node):
    old, parent = node.tip, node.chain.at(109)
    assert ok(http, f"/block/{old}/status").json() == {
        "in_best_chain": True,
        "height": 110,
        "next_best": None,
    }
    assert ok(http, f"/block/{parent}/status").json()["next_best"] == str(old)
    node.reorg(1)
    assert ok(http, f"/block/{old}/status").json() == {"in_best_chain": False}
    assert ok(http, f"/block/{NOWHERE}/status").json() == {"in_best_chain": False}


@pytest.mark.parametrize(
    "path",
    [
        "/block-height/111",
        f"/block/{NOWHERE}",
        f"/tx/{NOWHERE}",
        f"/tx/{NOWHERE}/hex",
        f"/tx/{NOWHERE}/raw",
        f"/tx/{NOWHERE}/outspends",
        f"/tx/{NOWHERE}/merkle-proof",
        f"/tx/{NOWHERE}/merkleblock-proof",
        "/no/such/path",
    ],
)
def test_what_is_not_there_is_not_found(http, path):
    assert http.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/block-height/x",
        "/block-height/-1",
        "/block-height/99999999999",
        "/blocks/x",
        "/block/abc",
        "/tx/abc",
        f"/tx/{NOWHERE}/outspend/x",
        "/scripthash/abc",
        "/address/nonsense/utxo",
        "/address/bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        f"/scripthash/{NOWHERE}/txs/chain/abc",
    ],
)
def test_what_makes_no_sense_is_a_bad_request(http, path):
    response = http.get(path)
    assert response.status_code == 400
    assert response.text


def test_a_transaction_is_told_in_every_form(http, node):
    (coin,) = open_coins(node, 50_000)
    made = spend([coin], [(20_000, SOME_SCRIPT), (29_000, OPEN_SCRIPT)])
    node.send(made)
    txid = str(made.txid)
    told = ok(http, f"/tx/{txid}").json()
    assert told["status"] == {"confirmed": False}
    assert (told["fee"], told["weight"]) == (1000, made.weight)
    assert told["size"] == len(made.serialize())
    assert told["vin"] == [
        {
            "txid": str(coin.txid),
            "vout": 0,
            "prevout": {
                "scriptpubkey": OPEN_SCRIPT.hex(),
                "scriptpubkey_type": "v0_p2wsh",
                "scriptpubkey_address": address_of(OPEN_SCRIPT),
                "value": 50_000,
            },
            "scriptsig": "",
            "is_coinbase": False,
            "sequence": 0xFFFFFFFD,
            "witness": ["5161"],
        }
    ]
    assert [(out["value"], out["scriptpubkey_type"]) for out in told["vout"]] == [
        (20_000, "v0_p2wpkh"),
        (29_000, "v0_p2wsh"),
    ]
    assert ok(http, f"/tx/{txid}/hex").text == made.serialize().hex()
    assert ok(http, f"/tx/{txid}/raw").content == made.serialize()
    (name,) = node.mine()
    status = ok(http, f"/tx/{txid}/status").json()
    assert status == {
        "confirmed": True,
        "block_height": 112,
        "block_hash": str(name),
        "block_time": node.chain.block_at(112).header.time,
    }
    assert ok(http, f"/tx/{txid}").json()["status"] == status


def test_a_coinbase_has_no_previous_output_and_its_commitment_no_address(http, node):
    coinbase = node.chain.block_at(1).transactions[0]
    told = ok(http, f"/tx/{coinbase.txid}").json()
    assert told["vin"][0]["is_coinbase"]
    assert told["vin"][0]["prevout"] is None
    assert told["fee"] == 0
    assert told["vout"][1]["scriptpubkey_type"] == "op_return"
    assert "scriptpubkey_address" not in told["vout"][1]


def test_an_unknown_transaction_s_status_is_unconfirmed(http):
    assert ok(http, f"/tx/{NOWHERE}/status").json() == {"confirmed": False}


def test_spending_is_followed_from_the_mempool_into_the_chain(http, node):
    coins = open_coins(node, 50_000, 50_000)
    made = spend(coins[1:], [(40_000, SOME_SCRIPT)])
    path = f"/tx/{coins[0].txid}/outspend/1"
    assert ok(http, path).json() == {"spent": False}
    node.send(made)
    assert ok(http, path).json() == {
        "spent": True,
        "txid": str(made.txid),
        "vin": 0,
        "status": {"confirmed": False},
    }
    node.mine()
    assert ok(http, path).json()["status"]["block_height"] == 112
    spends = ok(http, f"/tx/{coins[0].txid}/outspends").json()
    assert [item["spent"] for item in spends] == [False, True, False]


def test_merkle_proofs_lead_to_the_header(http, node):
    coins = open_coins(node, 50_000, 50_000)
    for coin in coins:
        node.send(spend([coin], [(40_000, SOME_SCRIPT)]))
    node.mine()
    header = node.chain.block_at(112).header
    for position, txid in enumerate(node.chain.block_at(112).txids):
        proof = ok(http, f"/tx/{txid}/merkle-proof").json()
        assert (proof["block_height"], proof["pos"]) == (112, position)
        climbed = bytes(txid)
        for level, text in enumerate(proof["merkle"]):
            sibling = bytes.fromhex(text)[::-1]
            is_right = position >> level & 1
            climbed = hash256(sibling + climbed if is_right else climbed + sibling)
        assert climbed == header.merkle_root
        block_proof = bytes.fromhex(ok(http, f"/tx/{txid}/merkleblock-proof").text)
        assert block_proof.startswith(header.serialize())
        assert txid in block_proof


def test_a_script_s_history_is_paged_newest_first(http, node):
    script = sha256(REWARD_SCRIPT).hex()
    node.mine()
    first = ok(http, f"/scripthash/{script}/txs/chain").json()
    assert [item["status"]["block_height"] for item in first] == list(range(111, 86, -1))
    second = ok(http, f"/scripthash/{script}/txs/chain/{first[-1]['txid']}").json()
    assert [item["status"]["block_height"] for item in second] == list(range(86, 61, -1))
    assert ok(http, f"/scripthash/{script}/txs/chain/{NOWHERE}").json() == []


def test_a_script_s_state_is_the_same_by_hash_and_by_address(http, node):
    node.fund(SOME_SCRIPT, Sats(5000))
    waiting = node.fund(SOME_SCRIPT, Sats(7000), confirmations=0)
    by_hash, by_address = (
        f"/scripthash/{sha256(SOME_SCRIPT).hex()}",
        (f"/address/{address_of(SOME_SCRIPT)}"),
    )
    for base in (by_hash, by_address):
        told = ok(http, base).json()
        assert told["chain_stats"] == {
            "tx_count": 1,
            "funded_txo_count": 1,
            "funded_txo_sum": 5000,
            "spent_txo_count": 0,
            "spent_txo_sum": 0,
        }
        assert told["mempool_stats"]["funded_txo_sum"] == 7000
        txs = ok(http, f"{base}/txs").json()
        assert [item["status"]["confirmed"] for item in txs] == [False, True]
        assert ok(http, f"{base}/txs/mempool").json() == txs[:1]
        assert ok(http, f"{base}/txs/chain").json() == txs[1:]
        assert [item["value"] for item in ok(http, f"{base}/utxo").json()] == [5000, 7000]
    assert ok(http, by_address).json()["address"] == address_of(SOME_SCRIPT)
    assert ok(http, f"{by_hash}/utxo").json()[1] == {
        "txid": str(waiting.txid),
        "vout": 0,
        "status": {"confirmed": False},
        "value": 7000,
    }


def test_what_the_mempool_spends_is_no_longer_unspent(http, node):
    coins = open_coins(node, 50_000, 60_000)
    base = f"/scripthash/{sha256(OPEN_SCRIPT).hex()}"
    node.send(spend(coins[:1], [(49_000, SOME_SCRIPT)]))
    assert [item["value"] for item in ok(http, f"{base}/utxo").json()] == [60_000]
    assert ok(http, base).json()["mempool_stats"]["spent_txo_sum"] == 50_000


def test_an_unknown_script_has_no_history(http):
    assert ok(http, f"/scripthash/{NOWHERE}/txs").json() == []
    assert ok(http, f"/scripthash/{NOWHERE}/utxo").json() == []
    assert ok(http, f"/scripthash/{NOWHERE}").json()["chain_stats"]["tx_count"] == 0


def test_the_mempool_is_summed_up(http, node):
    assert ok(http, "/mempool").json() == {
        "count": 0,
        "vsize": 0,
        "total_fee": 0,
        "fee_histogram": [],
    }
    (coin,) = open_coins(node, 50_000)
    made = spend([coin], [(40_000, SOME_SCRIPT)])
    node.send(made)
    told = ok(http, "/mempool").json()
    size = made.weight.vbytes
    assert (told["count"], told["vsize"], told["total_fee"]) == (1, size, 10_000)
    assert told["fee_histogram"] == [[round(10_000 / size, 3), size]]
    assert ok(http, "/mempool/txids").json() == [str(made.txid)]


def test_the_fee_estimate_is_the_usual_rate(http):
    estimates = ok(http, "/fee-estimates").json()
    assert estimates["1"] == estimates["1008"] == 1.0


@pytest.mark.parametrize("taproot", [False, True])
def test_a_bdk_wallet_scans_is_funded_sends_and_syncs(server, taproot):
    wallet, node = Wallet(server.url, taproot=taproot), server.node
    address = Address.parse(wallet.address())
    node.fund(address.script_pubkey, Sats(1_000_000))
    wallet.full_scan()
    assert wallet.confirmed == 1_000_000

    payment = wallet.payment(SOME_SCRIPT, 200_000)
    wallet.client.broadcast(payment)
    txid = Txid(payment.compute_txid().serialize())
    assert node.in_mempool(txid)
    sent = node.transaction(txid)
    assert isinstance(sent, Transaction)
    assert sent.outputs
    fee = 1_000_000 - sum(output.value for output in sent.outputs)

    wallet.sync()
    assert (wallet.confirmed, wallet.total) == (0, 800_000 - fee)
    node.mine()
    wallet.sync()
    assert wallet.confirmed == 800_000 - fee
    assert node.utxo(OutPoint(txid, 0)) is not None

    node.reorg(1)
    wallet.sync()
    assert wallet.confirmed == 0
    assert wallet.total == 800_000 - fee


def test_bdk_s_client_understands_every_answer(server):
    wallet, node = Wallet(server.url), server.node
    node.fund(SOME_SCRIPT, Sats(5000))
    client = wallet.client
    tip = client.get_tip_hash()
    assert str(tip) == str(node.tip)
    assert client.get_height() == 111
    assert str(client.get_block_hash(111)) == str(node.tip)
    block = node.chain.block_at(111)
    assert len(client.get_block_by_hash(tip).txdata) == 2
    assert client.get_header_by_hash(tip).time == block.header.time
    txid = client.get_txid_at_block_index(tip, 1)
    assert str(txid) == str(block.txids[1])
    assert client.get_tx(txid).serialize() == block.transactions[1].serialize()
    assert client.get_tx_info(txid).fee > 0
    assert client.get_tx_status(txid).block_height == 111
    assert client.get_merkle_proof(txid).pos == 1
    assert not client.get_output_status(txid, 0).spent
    assert client.get_fee_estimates()[6] == 1.0
