"""How a sender's session begins."""

from dataclasses import replace

import pytest
from tests.sessions.sender import play
from tests.sessions.sender.play import NOW, PARAMS, URI, V1_URI

from dovetail.bitcoin.psbt import InputField, KeyMap, Psbt, PsbtInput
from dovetail.bitcoin.transaction import Transaction, TxOut
from dovetail.bitcoin.units import Sats, UnixTime
from dovetail.errors import PayloadTooLarge, UsageError
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.protocol.uri import V2Endpoint
from dovetail.sessions import sender


def create(uri=URI, original=None, params=PARAMS, **terms):
    return sender.create(
        uri=uri, original=original or play.original(), params=params, **{"now": NOW} | terms
    )


def test_a_session_begins_with_the_payment_and_its_fallback(log):
    session = create(signing_deadline=play.SIGNING_DEADLINE, depth=3).save(log)
    assert isinstance(session, sender.WithReplyKey)
    assert session.seq == 1
    assert session.payjoin_uri == URI
    assert session.original == play.original()
    assert session.fallback_transaction == play.fallback()
    assert session.contested == tuple(play.COINS)
    assert session.expires_at == play.EXPIRES_AT
    assert session.created.created_at == NOW
    assert session.created.depth == 3
    assert log.replay() == session


@pytest.mark.parametrize("beyond", [0, 1, 2**31])
def test_a_payer_waits_for_thirty_days_at_most(beyond):
    latest = UnixTime(NOW + 30 * 86_400)
    assert isinstance(URI.endpoint, V2Endpoint)
    endpoint = replace(URI.endpoint, expires_at=UnixTime(latest + beyond))
    assert create(replace(URI, endpoint=endpoint)).save(play.Log()).expires_at == latest


def test_the_parameters_survive_the_log(log):
    params = SenderParams(fee_contribution=FeeContribution(Sats(7), 1), output_substitution=False)
    create(params=params).save(log)
    assert log.replay().terms.params == params


def test_a_session_may_do_without_a_fee_contribution(log):
    session = create(params=SenderParams()).save(log)
    assert session.terms.params == SenderParams()


def test_the_endpoint_sets_the_version(log):
    assert create(V1_URI).save(log).terms.params == replace(PARAMS, version=1)


def test_the_receiver_is_told_that_its_own_uri_rules_out_output_substitution(log):
    session = create(replace(URI, output_substitution=False)).save(log)
    assert session.terms.params == replace(PARAMS, output_substitution=False)


def test_every_session_draws_its_own_reply_key():
    keys = {create().save(play.Log()).created.reply_key for _ in range(2)}
    assert len(keys) == 2


def test_a_v1_session_has_no_reply_key_and_a_short_end(log):
    session = create(V1_URI).save(log)
    assert session.created.reply_key is None
    assert session.expires_at == NOW + 600
    with pytest.raises(UsageError, match="no reply key"):
        _ = session.terms.reply_key


def test_the_caller_may_end_a_session_earlier_but_not_later():
    sooner, later = UnixTime(NOW + 60), UnixTime(play.EXPIRES_AT + 60)
    assert create(expires_at=sooner).save(play.Log()).expires_at == sooner
    assert create(expires_at=later).save(play.Log()).expires_at == play.EXPIRES_AT
    assert create(V1_URI, expires_at=later).save(play.Log()).expires_at == later


@pytest.mark.parametrize("now", [play.EXPIRES_AT, play.EXPIRES_AT + 1])
def test_an_expired_uri_is_not_paid(now):
    with pytest.raises(UsageError, match="expired"):
        create(now=UnixTime(now))


def test_a_payment_settles_after_one_confirmation_at_least():
    with pytest.raises(UsageError, match="depth"):
        create(depth=0)


def test_an_original_that_is_signed_but_not_final_is_finalized(log):
    signed = play.sign(play.unsigned_original(), finalize=False)
    assert create(original=signed).save(log).fallback_transaction == play.fallback()


def test_an_unsigned_original_is_refused():
    with pytest.raises(UsageError, match="not signed in full"):
        create(original=play.unsigned_original())


def paying(*outputs: TxOut) -> Psbt:
    transaction = replace(play.payment(), outputs=outputs)
    return play.sign(play.unsigned_original(transaction))


def test_an_original_that_does_not_pay_the_address_is_refused():
    with pytest.raises(UsageError, match="exactly once"):
        create(original=paying(TxOut(play.AMOUNT, play.ELSEWHERE)), params=SenderParams())


def test_an_original_that_pays_less_than_asked_is_refused():
    with pytest.raises(UsageError, match="less than the URI asks for"):
        create(original=paying(TxOut(Sats(play.AMOUNT - 1), play.PAYEE)), params=SenderParams())


def test_an_original_may_pay_more_than_asked_and_anything_where_no_amount_is_asked(log):
    generous = paying(TxOut(Sats(play.AMOUNT + 1), play.PAYEE))
    create(original=generous, params=SenderParams()).save(play.Log())
    small = paying(TxOut(Sats(1_000), play.PAYEE))
    create(replace(URI, amount=None), original=small, params=SenderParams()).save(log)


@pytest.mark.parametrize(
    "contribution", [FeeContribution(Sats(48_001), 1), FeeContribution(Sats(1), 2)]
)
def test_a_fee_contribution_must_be_in_its_output(contribution):
    with pytest.raises(UsageError, match="fee contribution"):
        create(params=SenderParams(fee_contribution=contribution))


def test_a_payment_too_large_for_a_message_is_refused_before_it_is_created():
    outputs = (TxOut(play.AMOUNT, play.PAYEE), *(TxOut(Sats(1), play.CHANGE),) * 200)
    large = paying(*outputs)
    with pytest.raises(PayloadTooLarge):
        create(original=large, params=SenderParams())
    create(V1_URI, original=large, params=SenderParams()).save(play.Log())


def with_secrets(psbt: Psbt) -> Psbt:
    """What some wallets leave in a finalized PSBT: key origins and previous transactions."""
    key, value = b"\x06" + play.SENDER_KEY, b"\x01\x02\x03\x04" + b"\x00\x00\x00\x80"
    first = psbt.inputs[0]
    return psbt.with_input(0, PsbtInput(KeyMap((*first.map.entries, (key, value)))))


def test_key_origins_are_kept_for_the_wallet_and_hidden_from_the_receiver(log):
    """P4; BIP 78: nothing the receiver does not need."""
    original = with_secrets(play.original())
    payment = create(original=original).save(log).terms
    assert payment.original.inputs[0].bip32_derivations
    assert not payment.disclosed.inputs[0].bip32_derivations
    kinds = {key[0] for each in payment.disclosed.inputs for key, _ in each.map.entries}
    assert kinds <= {
        InputField.WITNESS_UTXO,
        InputField.FINAL_SCRIPTSIG,
        InputField.FINAL_SCRIPTWITNESS,
    }
    assert payment.disclosed.extract() == play.fallback()


def test_the_fallback_is_signed(log):
    fallback = play.create(log).fallback_transaction
    assert isinstance(fallback, Transaction)
    assert all(txin.witness for txin in fallback.inputs)
