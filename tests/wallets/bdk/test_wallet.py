import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from tests.support.scripted_http import Answer
from tests.wallets.keys import descriptors_of_a_key_like_a_script

from dovetail.bitcoin import FeeRate, Network, OutPoint, Sats, Script, ScriptType, Txid, TxOut
from dovetail.errors import ChainError, InsufficientFunds, WalletError
from dovetail.protocol.witness_scripts import may_succeed
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.ports import Accepted, Balance
from dovetail.wallets.server_url import ChainServer

KINDS = [ScriptType.P2WPKH, ScriptType.P2TR, ScriptType.P2SH, ScriptType.P2PKH]
RATE = FeeRate.from_sat_per_vb(2)
TARGET = Script(b"\x00\x14" + bytes(20))


def test_the_balance_tells_what_can_be_spent_now(server, make_wallet):
    wallet = make_wallet(50_000)
    server.node.fund(wallet.new_address().script_pubkey, Sats(7_000), confirmations=0)
    wallet.sync()
    assert wallet.balance() == Balance(confirmed=Sats(50_000), unconfirmed=Sats(7_000))
    assert [coin.utxo.value for coin in wallet.coins()] == [50_000]


def test_a_payment_that_was_replaced_is_gone_after_a_sync(server, chain, make_wallet):
    payer, payee = make_wallet(100_000), make_wallet(name="payee")
    script = payee.new_address().script_pubkey
    paid = payer.pay(script, Sats(30_000), fee_rate=RATE).extract()
    assert chain.broadcast(paid) == Accepted()
    payee.sync()
    assert payee.balance().unconfirmed == 30_000
    revoked = payer.revoke(paid.inputs[0].previous_output, fee_rate=FeeRate.from_sat_per_vb(20))
    assert chain.broadcast(revoked) == Accepted()
    payee.sync()
    assert payee.balance().unconfirmed == 0


def test_mined_coins_can_be_spent_once_they_are_mature(server, make_wallet):
    wallet = make_wallet()
    server.node.mine(1, wallet.new_address().script_pubkey)
    wallet.sync()
    assert wallet.coins() == ()
    assert wallet.balance().confirmed == 0
    assert wallet.balance().unconfirmed > 0
    server.node.mine(98)
    wallet.sync()
    assert wallet.coins() == ()
    server.node.mine(1)
    wallet.sync()
    assert len(wallet.coins()) == 1
    psbt = wallet.pay(TARGET, Sats(10_000), fee_rate=RATE)
    assert server.node.send(psbt.extract()).__class__.__name__ == "Accepted"


def test_an_address_is_given_out_once_to_threads_processes_and_restarts(
    server, make_wallet, tmp_path
):
    wallet = make_wallet()
    twin = BdkWallet.open(tmp_path / "wallet", server=server.url)
    given: list[str] = []

    def take(source):
        given.extend(str(source.new_address()) for _ in range(5))

    threads = [threading.Thread(target=take, args=(each,)) for each in (wallet, wallet, twin)]
    for thread in threads:
        thread.start()
    program = (
        "import sys, pathlib\n"
        "from dovetail.wallets.bdk.wallet import BdkWallet\n"
        "wallet = BdkWallet.open(pathlib.Path(sys.argv[1]), server=sys.argv[2])\n"
        "for _ in range(5): print(wallet.new_address())\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "wallet", server.url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for thread in threads:
        thread.join()
    given += output.split()
    given.append(str(BdkWallet.open(tmp_path / "wallet", server=server.url).new_address()))
    assert len(given) == len(set(given)) == 21


def test_what_another_process_learns_is_known_here(server, make_wallet, tmp_path):
    wallet = make_wallet()
    twin = BdkWallet.open(tmp_path / "wallet", server=server.url)
    script = [twin.new_address().script_pubkey for _ in range(60)][-1]
    server.node.fund(script, Sats(9_000))
    assert wallet.owned([script]) == {script}
    twin.sync()
    assert wallet.balance().confirmed == 9_000


def test_a_wallet_owns_payments_and_change_and_nothing_else(make_wallet):
    wallet, other = make_wallet(100_000), make_wallet(name="other")
    mine, theirs = wallet.new_address().script_pubkey, other.new_address().script_pubkey
    change = [
        txout.script_pubkey
        for txout in wallet.pay(TARGET, Sats(1_000), fee_rate=RATE).unsigned_transaction.outputs
        if txout.script_pubkey != TARGET
    ]
    weird = (Script(b""), Script(b"\x6a"), Script(bytes(10_001)))
    assert wallet.owned([mine, theirs, *change, TARGET, *weird]) == {mine, *change}
    assert wallet.owned([]) == frozenset()


@pytest.mark.parametrize("kind", KINDS)
def test_coins_carry_what_signing_needs(make_wallet, kind):
    wallet = make_wallet(40_000, 60_000, kind=kind)
    coins = wallet.coins()
    assert sorted(coin.utxo.value for coin in coins) == [40_000, 60_000]
    for coin in coins:
        assert wallet.owned([coin.utxo.script_pubkey])
        known = coin.psbt_input
        assert coin.weight > 164
        assert bool(known.bip32_derivations) == (kind is not ScriptType.P2TR)
        assert bool(known.tap_bip32_derivations) == (kind is ScriptType.P2TR)
        assert (known.redeem_script is not None) == (kind is ScriptType.P2SH)
        assert (known.non_witness_utxo is not None) == (kind is ScriptType.P2PKH)
        assert (known.witness_utxo is not None) == (kind is not ScriptType.P2PKH)


def test_a_coin_whose_key_may_be_a_script_tells_its_whole_transaction(server, tmp_path):
    # Without it a sender refuses the payjoin: the coin may be P2WSH, and its amount another.
    keys = descriptors_of_a_key_like_a_script("receiver")
    wallet = BdkWallet.create(
        tmp_path / "wallet", Network.REGTEST, server=server.url, descriptors=keys
    )
    odd, plain = (wallet.new_address().script_pubkey for _ in range(2))
    for script in (odd, plain):
        server.node.fund(script, Sats(40_000))
    wallet.sync()
    told = {coin.utxo.script_pubkey: coin for coin in wallet.coins()}
    assert {script: coin.has_only_previous for script, coin in told.items()} == {
        odd: True,
        plain: False,
    }
    previous = told[odd].psbt_input.non_witness_utxo
    assert previous is not None
    assert previous.txid == told[odd].outpoint.txid
    assert may_succeed(next(iter(told[odd].psbt_input.bip32_derivations)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_payment_is_final_replaceable_and_tells_no_key_paths(chain, make_wallet, kind):
    wallet = make_wallet(100_000, kind=kind)
    psbt = wallet.pay(TARGET, Sats(30_000), fee_rate=RATE)
    transaction = psbt.extract()
    assert TxOut(Sats(30_000), TARGET) in transaction.outputs
    assert {txin.sequence for txin in transaction.inputs} == {0xFFFFFFFD}
    assert RATE <= FeeRate.of(psbt.fee, transaction.weight) < FeeRate.from_sat_per_vb("2.1")
    assert not any(each.map.entries for each in psbt.outputs)
    kinds = {"final", "utxo"}
    for each in psbt.inputs:
        assert not each.bip32_derivations
        assert not each.tap_bip32_derivations
        assert len(each.map.entries) == len(kinds) + (kind is ScriptType.P2SH)
    assert chain.acceptance(transaction) == Accepted(tested=True)


def test_change_goes_to_a_fresh_address_each_time(make_wallet):
    wallet = make_wallet(100_000)
    changes = {
        txout.script_pubkey
        for _ in range(3)
        for txout in wallet.pay(TARGET, Sats(1_000), fee_rate=RATE).extract().outputs
    } - {TARGET}
    assert len(changes) == 3


def test_a_payment_leaves_unspendable_coins_alone(make_wallet):
    wallet = make_wallet(60_000, 60_000)
    first, second = (coin.outpoint for coin in wallet.coins())
    psbt = wallet.pay(TARGET, Sats(10_000), fee_rate=RATE, unspendable=[first])
    assert psbt.unsigned_transaction.contested() == (second,)
    with pytest.raises(InsufficientFunds, match="has 0 sats"):
        wallet.pay(TARGET, Sats(10_000), fee_rate=RATE, unspendable=[first, second])


def test_a_payment_spends_no_unconfirmed_coins(server, make_wallet):
    wallet = make_wallet(20_000)
    server.node.fund(wallet.new_address().script_pubkey, Sats(90_000), confirmations=0)
    wallet.sync()
    with pytest.raises(InsufficientFunds, match="20,000 sats confirmed and free"):
        wallet.pay(TARGET, Sats(30_000), fee_rate=RATE)


def test_a_failed_payment_takes_no_change_address(server, make_wallet):
    wallet = make_wallet(20_000)
    before = wallet._core.derivation_index
    from bdkpython import KeychainKind  # noqa: PLC0415  only this test looks inside

    taken = before(KeychainKind.INTERNAL)
    with pytest.raises(InsufficientFunds):
        wallet.pay(TARGET, Sats(30_000), fee_rate=RATE)
    assert wallet._core.derivation_index(KeychainKind.INTERNAL) == taken


def test_dust_is_not_paid(make_wallet):
    with pytest.raises(WalletError, match="so small"):
        make_wallet(20_000).pay(TARGET, Sats(100), fee_rate=RATE)


def test_an_absurd_fee_rate_does_no_harm(make_wallet):
    wallet = make_wallet(20_000)
    for rate in (FeeRate(2**32), FeeRate(2**32 + 1), FeeRate(2**63), FeeRate(2**64 - 1)):
        with pytest.raises(WalletError):
            wallet.pay(TARGET, Sats(1_000), fee_rate=rate)
        with pytest.raises(InsufficientFunds):
            wallet.revoke(wallet.coins()[0].outpoint, fee_rate=rate)
    assert wallet.pay(TARGET, Sats(1_000), fee_rate=RATE).is_finalized


@pytest.mark.parametrize("kind", KINDS)
def test_a_coin_is_taken_back_from_a_payment_in_the_mempool(server, chain, make_wallet, kind):
    wallet = make_wallet(100_000, kind=kind)
    paid = wallet.pay(TARGET, Sats(30_000), fee_rate=RATE).extract()
    assert chain.broadcast(paid) == Accepted()
    wallet.sync()
    # At the same rate the smaller transaction would pay too little to replace the larger one.
    revoked = wallet.revoke(paid.inputs[0].previous_output, fee_rate=RATE)
    assert chain.broadcast(revoked) == Accepted()
    assert not server.node.in_mempool(paid.txid)
    server.node.mine()
    wallet.sync()
    assert wallet.balance().confirmed == revoked.outputs[0].value
    assert wallet.owned([revoked.outputs[0].script_pubkey])


def test_an_unknown_server_error_keeps_what_was_known(scripted, make_wallet, tmp_path):
    make_wallet(30_000)
    wallet = BdkWallet.open(tmp_path / "wallet", server=scripted.url)
    for answer in (Answer(404), Answer(body=b"nonsense"), Answer(400)):
        scripted.otherwise = answer
        with pytest.raises(ChainError, match="did not answer properly"):
            wallet.sync()
    assert wallet.balance().confirmed == 30_000


def test_a_sync_takes_the_answer_to_what_was_asked_before_it(server, make_wallet):
    wallet = make_wallet(30_000)
    script = wallet.new_address().script_pubkey
    server.node.fund(script, Sats(2_000))
    wallet.begin_sync()
    wallet._pending_update.result()
    server.node.fund(script, Sats(500))
    assert wallet.balance().confirmed == 30_000
    wallet.sync()
    assert wallet.balance().confirmed == 32_000
    wallet.sync()
    assert wallet.balance().confirmed == 32_500


def test_a_sync_that_was_begun_in_vain_is_told_once(server, scripted, make_wallet, tmp_path):
    make_wallet(30_000)
    wallet = BdkWallet.open(tmp_path / "wallet", server=scripted.url)
    wallet.begin_sync()
    with pytest.raises(ChainError, match="did not answer properly"):
        wallet.sync()
    wallet._server = ChainServer(server.url)
    server.node.fund(wallet.new_address().script_pubkey, Sats(2_000))
    wallet.sync()
    assert wallet.balance().confirmed == 32_000


def test_a_server_that_stalls_is_given_up(scripted, make_wallet, tmp_path, monkeypatch):
    monkeypatch.setenv("MINREQ_TIMEOUT", "1")
    make_wallet(30_000)
    scripted.stalls = True
    wallet = BdkWallet.open(tmp_path / "wallet", server=scripted.url)
    with pytest.raises(ChainError):
        wallet.sync()


def test_the_time_limit_of_one_answer_is_set_unless_the_user_chose_one(make_wallet, monkeypatch):
    monkeypatch.delenv("MINREQ_TIMEOUT", raising=False)
    make_wallet()
    assert os.environ["MINREQ_TIMEOUT"] == "30"
    monkeypatch.setenv("MINREQ_TIMEOUT", "7")
    make_wallet(name="second")
    assert os.environ["MINREQ_TIMEOUT"] == "7"


def test_a_server_that_is_gone_is_told_without_its_url(make_wallet, tmp_path):
    make_wallet()
    wallet = BdkWallet.open(tmp_path / "wallet", server="http://127.0.0.1:1")
    with pytest.raises(ChainError) as caught:
        wallet.sync()
    assert "127.0.0.1" not in str(caught.value)


def test_a_server_of_another_network_is_refused(server, tmp_path):
    wallet = BdkWallet.create(tmp_path / "wallet", Network.SIGNET, server=server.url)
    with pytest.raises(ChainError, match="not on signet"):
        wallet.sync()


def test_a_server_whose_chain_was_replaced_is_told(make_wallet, monkeypatch):
    from bdkpython import CannotConnectError, EsploraClient  # noqa: PLC0415  a fault to inject

    wallet = make_wallet(10_000)
    real = EsploraClient.sync

    class Unconnected:
        def __init__(self, core):
            self._core = core

        def __getattr__(self, name):
            return getattr(self._core, name)

        def apply_update(self, _):
            raise CannotConnectError.Include(7)

    load = wallet._load
    monkeypatch.setattr(wallet, "_load", lambda persister: Unconnected(load(persister)))
    with pytest.raises(ChainError, match="sync again"):
        wallet.sync()
    monkeypatch.undo()
    assert EsploraClient.sync is real
    wallet.sync()
    assert wallet.balance().confirmed == 10_000


def test_a_reorganisation_is_followed(server, make_wallet):
    wallet = make_wallet(10_000)
    server.node.reorg(1)
    wallet.sync()
    assert wallet.balance() == Balance(confirmed=Sats(0), unconfirmed=Sats(10_000))
    server.node.mine()
    wallet.sync()
    assert wallet.balance().confirmed == 10_000


def test_only_known_coins_are_taken_back(make_wallet):
    wallet, other = make_wallet(10_000), make_wallet(20_000, name="other")
    known = wallet.coins()[0].outpoint
    for outpoint in (
        OutPoint(Txid(bytes(32)), 0),
        replace(known, vout=99),
        replace(known, vout=1 - known.vout),
        other.coins()[0].outpoint,
    ):
        with pytest.raises(WalletError, match="does not know"):
            wallet.revoke(outpoint, fee_rate=RATE)


def test_a_coin_worth_less_than_its_fee_stays(make_wallet):
    wallet = make_wallet(1_000)
    with pytest.raises(InsufficientFunds, match="lower fee rate"):
        wallet.revoke(wallet.coins()[0].outpoint, fee_rate=FeeRate.from_sat_per_vb(8))
