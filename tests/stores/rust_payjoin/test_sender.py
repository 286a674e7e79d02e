import json

import pytest
from tests.stores.rust_payjoin.recorded import NOW, PAYJOINS, log_of, recorded

from dovetail.bitcoin import Network, UnixTime
from dovetail.errors import InvalidUri, ParseError, UsageError
from dovetail.protocol import PayjoinUri
from dovetail.sessions import sender
from dovetail.sessions.reasons import Reason
from dovetail.stores.rust_payjoin import sender_events

LONG_BEFORE = UnixTime(1_000_000_000)


class Anywhere:
    """A log whose entries nobody reads."""

    def append(self, event, /, *, seq, closes):
        pass


def taken_over(log, now=NOW):
    return sender.replay(sender_events(log, network=Network.REGTEST, now=now))


def changed(log, change):
    """The log with something else in its first event."""
    first = json.loads(log[0])
    change(first["Created"])
    return [json.dumps(first), *log[1:]]


@pytest.mark.parametrize("kind", PAYJOINS)
def test_a_sender_goes_on_from_where_it_stood(kind):
    steps = [taken_over(log_of(f"payjoin-{kind}", "sender", length)) for length in (1, 2, 3)]
    assert [type(each) for each in steps] == [
        sender.PostingOriginal,
        sender.PollingForProposal,
        sender.ProposalReceived,
    ]


@pytest.mark.parametrize("kind", PAYJOINS)
def test_it_pays_the_same_uri_with_the_same_fallback(kind):
    session = taken_over(log_of(f"payjoin-{kind}", "sender", 2))
    asked = PayjoinUri.parse(recorded(f"payjoin-{kind}")["uri"])
    assert session.payjoin_uri.endpoint == asked.endpoint
    assert session.payjoin_uri.address == asked.address
    assert session.payjoin_uri.amount == asked.amount
    original = recorded(f"payjoin-{kind}")["sender"][0]["Created"]["psbt_ctx"]["original_psbt"]
    spent = original["unsigned_tx"]["input"][0]["previous_output"]
    assert [str(each) for each in session.contested] == [spent]
    assert (
        session.fallback_transaction.outputs[0].value
        + session.fallback_transaction.outputs[1].value
        < 1_000_000
    )


def test_the_original_may_have_left_before_that_was_noted():
    """rust-payjoin writes nothing before it posts; cancelling must not free the coins."""
    pending = taken_over(log_of("payjoin-p2wpkh", "sender", 1)).cancel().save(Anywhere())
    released = pending.release(spends=[]).save(Anywhere())
    assert isinstance(released, sender.Monitor)


@pytest.mark.parametrize("kind", PAYJOINS)
def test_a_proposal_is_checked_again_and_waits_for_signatures(kind):
    session = taken_over(log_of(f"payjoin-{kind}", "sender"))
    assert isinstance(session, sender.ProposalReceived)
    assert session.inputs_to_sign == session.contested
    transaction = session.psbt_to_sign.unsigned_transaction
    assert len(transaction.inputs) == 2


def test_a_proposal_that_takes_too_much_is_not_signed():
    log = changed(
        log_of("payjoin-p2wpkh", "sender"),
        lambda created: created["psbt_ctx"].update(fee_contribution=None),
    )
    session = taken_over(log)
    assert isinstance(session, sender.PendingFallback)
    assert session.reason is Reason.PROPOSAL_BROKE_RULE


def test_a_cancelled_payment_waits_for_its_person():
    session = taken_over(log_of("cancelled", "sender"))
    assert isinstance(session, sender.PendingFallback)
    assert session.reason is Reason.CANCELLED_BY_US


def test_a_session_that_ended_is_left_where_it_is():
    with pytest.raises(UsageError, match="has ended where it comes from"):
        taken_over(log_of("refused", "sender"))


def test_it_waits_no_longer_than_a_sender_does():
    session = taken_over(log_of("payjoin-p2wpkh", "sender", 2), now=LONG_BEFORE)
    assert session.expires_at == LONG_BEFORE + 30 * 86_400


def test_a_mailbox_that_is_not_the_receivers_is_refused():
    log = changed(
        log_of("payjoin-p2wpkh", "sender"),
        lambda created: created["pj_param"].update(directory="http://127.0.0.1:1/TXJCGKTKXLUUZ#"),
    )
    with pytest.raises(InvalidUri, match="is not its receiver's"):
        taken_over(log)


@pytest.mark.parametrize(
    "log",
    [
        [],
        ["{"],
        ["7"],
        ['{"Created": {}}'],
        ['{"Created": null}'],
        ['"Cancelled"'],
        ['{"Created": null, "Cancelled": null}'],
        ['{"Renamed": []}'],
        [b"\xff"],
    ],
)
def test_what_is_no_log_of_rust_payjoin_is_refused(log):
    with pytest.raises(ParseError):
        taken_over(log)


@pytest.mark.parametrize(
    "change",
    [
        {"payee": "zz"},
        {"payee": "51"},
        {"original_psbt": {"unsigned_tx": {}, "inputs": []}},
        {"min_fee_rate": -1},
        {"new": 1},
    ],
)
def test_a_field_that_is_not_as_it_was_written_is_refused(change):
    log = changed(
        log_of("payjoin-p2wpkh", "sender"), lambda created: created["psbt_ctx"].update(change)
    )
    with pytest.raises(ParseError):
        taken_over(log)


def test_an_input_too_many_is_refused():
    def more(created):
        inputs = created["psbt_ctx"]["original_psbt"]["inputs"]
        inputs.append(inputs[0])

    with pytest.raises(ParseError):
        taken_over(changed(log_of("payjoin-p2wpkh", "sender"), more))


def test_scripts_of_an_input_go_along():
    def scripted(created):
        created["psbt_ctx"]["original_psbt"]["inputs"][0].update(
            redeem_script="51", witness_script="52"
        )

    session = taken_over(changed(log_of("payjoin-p2wpkh", "sender", 2), scripted))
    (known,) = session.original.inputs
    assert (known.redeem_script, known.witness_script) == (b"\x51", b"\x52")
