import pytest
from tests.wallets.taped_node import Stage

from dovetail.bitcoin import FeeRate, OutPoint, Sats, Transaction, Txid
from dovetail.errors import ChainError
from dovetail.wallets.ports import Accepted, Refused, Spend

RATE = FeeRate.from_sat_per_vb(2)


def paying(stage: Stage, amount: int = 40_000) -> tuple[OutPoint, Transaction]:
    """A coin, and a payment that spends it."""
    coin = stage.fund(100_000)
    original = stage.wallet.pay(stage.stranger(), Sats(amount), fee_rate=RATE)
    return coin, original.extract()


def foreign_payment(stage: Stage) -> tuple[OutPoint, Txid]:
    """A coin that is not the wallet's, and the transaction that spends it, unconfirmed."""

    def spend(node):
        if "other" not in node.rpc("listwallets"):
            node.make_wallet("other")
        coin = node.fund(node.rpc("getnewaddress", wallet="other"), 300_000)
        there = node.rpc("getnewaddress", wallet="miner")
        txid = node.rpc(
            "send",
            outputs=[{there: "0.001"}],
            options={"inputs": [{"txid": str(coin.txid), "vout": coin.vout}]},
            wallet="other",
        )["txid"]
        return [str(coin), txid]

    coin, txid = stage.do(spend)
    return OutPoint.parse(coin), Txid.from_hex(txid)


def test_chain_tells_its_height(stage: Stage) -> None:
    height = stage.chain.height()
    stage.mine(2)
    assert stage.chain.height() == height + 2
    assert repr(stage.chain) == "<CoreChain on regtest>"


def test_chain_accepts_what_is_sound_and_what_it_knows_already(stage: Stage) -> None:
    _, payment = paying(stage)
    assert stage.chain.acceptance(payment) == Accepted(tested=True)
    assert stage.chain.broadcast(payment) == Accepted()
    assert stage.chain.acceptance(payment) == Accepted(tested=True)
    assert stage.chain.broadcast(payment) == Accepted()
    stage.mine()
    assert stage.chain.acceptance(payment) == Accepted()
    assert stage.chain.broadcast(payment) == Accepted()


def test_chain_knows_a_payment_whose_outputs_are_all_spent_again(stage: Stage) -> None:
    coin = stage.fund(100_000)
    first = stage.wallet.revoke(coin, fee_rate=RATE)
    stage.chain.broadcast(first)
    stage.mine()
    again = stage.wallet.revoke(OutPoint(first.txid, 0), fee_rate=RATE)
    stage.chain.broadcast(again)
    stage.mine()
    assert stage.chain.broadcast(first) == Accepted()
    assert stage.chain.acceptance(first) == Accepted()


def test_chain_refuses_in_the_nodes_words_for_the_log(stage: Stage) -> None:
    coin, payment = paying(stage)
    unsigned = payment.without_signatures()
    assert isinstance(stage.chain.acceptance(unsigned), Refused)
    assert isinstance(stage.chain.broadcast(unsigned), Refused)
    stage.chain.broadcast(stage.wallet.revoke(coin, fee_rate=FeeRate.from_sat_per_vb(40)))
    stage.mine()
    told = stage.chain.broadcast(payment)
    assert isinstance(told, Refused)
    assert "missingorspent" in told.reason
    assert isinstance(stage.chain.acceptance(payment), Refused)


def test_chain_follows_a_spend_from_the_mempool_into_the_blocks(stage: Stage) -> None:
    coin, payment = paying(stage)
    assert stage.chain.spend_of(coin) is None
    stage.chain.broadcast(payment)
    assert stage.chain.spend_of(coin) == Spend(transaction=payment, depth=0)
    stage.mine()
    assert stage.chain.spend_of(coin) == Spend(transaction=payment, depth=1)
    stage.mine(2)
    assert stage.chain.spend_of(coin) == Spend(transaction=payment, depth=3)
    later = stage.another_chain()
    assert later.spend_of(coin) == Spend(transaction=payment, depth=3)


def test_chain_finds_a_spend_of_its_wallet_without_ever_having_looked_before(stage: Stage) -> None:
    coin, payment = paying(stage)
    stage.chain.broadcast(payment)
    stage.mine(3)
    assert stage.chain.spend_of(coin) == Spend(transaction=payment, depth=3)


def test_chain_finds_what_spends_somebody_elses_coin_in_the_blocks(stage: Stage) -> None:
    coin, txid = foreign_payment(stage)
    waiting = stage.chain.spend_of(coin)
    assert waiting is not None
    assert (waiting.transaction.txid, waiting.depth) == (txid, 0)
    stage.mine(2)
    found = stage.chain.spend_of(coin)
    assert found is not None
    assert (found.transaction, found.depth) == (waiting.transaction, 2)


def test_chain_goes_on_from_where_it_looked_before_the_restart(stage: Stage) -> None:
    coin, payment = paying(stage)
    assert stage.chain.acceptance(payment) == Accepted(tested=True)
    later = stage.another_chain()
    assert later.spend_of(coin) is None
    stage.chain.broadcast(payment)
    stage.mine()
    assert later.spend_of(coin) == Spend(transaction=payment, depth=1)


def test_chain_notices_that_a_reorganisation_took_a_spend_away(stage: Stage) -> None:
    coin, payment = paying(stage)
    stage.chain.broadcast(payment)
    stage.mine(2)
    assert stage.chain.spend_of(coin) == Spend(transaction=payment, depth=2)

    def reorganise(node):
        gone = node.rpc("getblockhash", node.rpc("getblockcount") - 1)
        node.rpc("invalidateblock", gone)
        there = node.rpc("getnewaddress", wallet="miner")
        for _ in range(3):
            node.rpc("generateblock", there, [])

    stage.do(reorganise)
    assert stage.chain.spend_of(coin) == Spend(transaction=payment, depth=0)
    stage.mine()
    assert stage.chain.spend_of(coin) == Spend(transaction=payment, depth=1)


def test_chain_does_not_take_an_output_to_come_for_a_spent_one(stage: Stage) -> None:
    waiting = stage.fund(50_000, blocks=0)
    assert stage.chain.spend_of(waiting) is None
    stage.mine()
    assert stage.chain.spend_of(waiting) is None
    assert stage.chain.spend_of(OutPoint(waiting.txid, 7)) is None


def test_chain_lists_what_pays_an_address_the_deepest_first(stage: Stage) -> None:
    address = stage.wallet.new_address()
    assert stage.chain.payments_to(address.script_pubkey) == ()
    stage.do(lambda node: str(node.fund(str(address), 10_000)))
    stage.do(lambda node: str(node.fund(str(address), 20_000, blocks=0)))
    told = [(each.amount, each.depth) for each in stage.chain.payments_to(address.script_pubkey)]
    assert told == [(10_000, 1), (20_000, 0)]
    with pytest.raises(ChainError, match="not of the wallet that `core_wallet` names"):
        stage.chain.payments_to(stage.stranger())


def test_chain_asks_for_at_least_what_the_node_relays(stage: Stage) -> None:
    assert stage.chain.fee_rate(target=6) >= FeeRate.from_sat_per_vb("0.1")
