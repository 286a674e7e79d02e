"""Two BDK wallets sign one transaction, each for itself; Bitcoin Core's consensus code judges."""

import random

import pytest
from tests.wallets.signing import sign_all

from dovetail.bitcoin import FeeRate, Network, Psbt, Sats, ScriptType, Transaction, TxIn, TxOut
from dovetail.protocol.contribution import begin_draft, finalize, place_coins
from dovetail.protocol.fees import apply_fees
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.regtest import RegtestServer
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.ports import Accepted

pytestmark = pytest.mark.property

KINDS = (ScriptType.P2WPKH, ScriptType.P2TR, ScriptType.P2SH, ScriptType.P2PKH)
RATE = FeeRate.from_sat_per_vb(4)


@pytest.fixture(scope="module")
def server():
    with RegtestServer() as running:
        yield running


@pytest.fixture(scope="module")
def wallets(server, tmp_path_factory) -> dict[tuple[str, ScriptType], BdkWallet]:
    root = tmp_path_factory.mktemp("wallets")
    made = {
        (role, kind): BdkWallet.create(
            root / role / kind.name, Network.REGTEST, server=server.url, kind=kind
        )
        for role in ("sender", "receiver")
        for kind in KINDS
    }
    outputs = [
        TxOut(Sats(50_000 + value), wallet.new_address().script_pubkey)
        for wallet in made.values()
        for value in range(6)
    ]
    server.node.fund_many(outputs)
    for wallet in made.values():
        wallet.sync()
    return made


@pytest.mark.parametrize("receiver_kind", KINDS)
@pytest.mark.parametrize("sender_kind", KINDS)
def test_two_wallets_of_any_types_sign_one_transaction(server, wallets, sender_kind, receiver_kind):
    sender, receiver = wallets["sender", sender_kind], wallets["receiver", receiver_kind]
    rng = random.Random(f"{sender_kind}{receiver_kind}")
    coins = [*rng.sample(sender.coins(), 2), *rng.sample(receiver.coins(), 2)]
    rng.shuffle(coins)
    transaction = Transaction(
        version=2,
        inputs=tuple(TxIn(coin.outpoint, sequence=0xFFFFFFFD) for coin in coins),
        outputs=(
            TxOut(Sats(120_000), receiver.new_address().script_pubkey),
            TxOut(Sats(75_000), sender.new_address().script_pubkey),
        ),
        lock_time=0,
    )
    psbt = Psbt.from_unsigned(transaction)
    for index, coin in enumerate(coins):
        psbt = psbt.with_input(index, coin.signing_input)
    by_sender, by_receiver = sign_all(sender, psbt), sign_all(receiver, psbt)
    assert [each.is_finalized for each in by_sender.inputs] != [
        each.is_finalized for each in by_receiver.inputs
    ]
    for one_after_the_other in (
        sign_all(sender, by_receiver),
        sign_all(receiver, by_sender),
        by_sender.combine(by_receiver),
    ):
        with EsploraChain(server.url, Network.REGTEST) as chain:
            assert chain.acceptance(one_after_the_other.extract()) == Accepted(tested=True)


@pytest.mark.parametrize("receiver_kind", KINDS)
@pytest.mark.parametrize("sender_kind", KINDS)
def test_a_proposal_for_a_wallets_own_payment_is_signed_by_both(
    server, wallets, sender_kind, receiver_kind
):
    sender, receiver = wallets["sender", sender_kind], wallets["receiver", receiver_kind]
    script = receiver.new_address().script_pubkey
    original = sender.pay(script, Sats(30_000), fee_rate=RATE)
    outputs = [txout.script_pubkey for txout in original.unsigned_transaction.outputs]
    change = 1 - outputs.index(script)
    params = SenderParams(fee_contribution=FeeContribution(Sats(2_000), change))
    placed = place_coins(
        begin_draft(original, params, [outputs.index(script)]), receiver.coins()[:1]
    )
    with_fees = apply_fees(placed, min_fee_rate=RATE, max_fee_rate=FeeRate.from_sat_per_vb(10))
    proposal = finalize(with_fees, sign_all(receiver, with_fees.psbt()))
    for index, outpoint in enumerate(proposal.unsigned_transaction.contested()):
        place = original.unsigned_transaction.spends(outpoint)
        if place is not None:
            proposal = proposal.with_input(index, original.inputs[place])
    signed = sign_all(sender, proposal)
    with EsploraChain(server.url, Network.REGTEST) as chain:
        assert chain.acceptance(signed.extract()) == Accepted(tested=True)
