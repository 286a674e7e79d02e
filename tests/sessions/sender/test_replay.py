"""Replay: the declared table, every state with every event, every prefix of every story."""

import gc
import json
from dataclasses import fields, is_dataclass
from typing import get_args

import pytest
from tests.sessions.sender import play
from tests.sessions.sender.play import PLACES, Log

from dovetail.bitcoin.transaction import Transaction
from dovetail.errors import DovetailError, InvalidEvent, ReplayError
from dovetail.sessions import outcomes, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sender.machine import TRANSITIONS

KINDS: tuple[type[SenderEvent], ...] = get_args(SenderEvent)
STATES: tuple[type[sender.SenderSession], ...] = get_args(sender.SenderSession)


def samples(kind: type[SenderEvent]) -> list[SenderEvent]:
    """Sound events of one kind, as they occur in logs."""
    log = Log()
    play.closed_by_payjoin(log)
    play.plain(plain := Log())
    found = [event for event in (*log.events(), *plain.events()) if type(event) is kind]
    others: list[SenderEvent] = [
        events.Cancelled(),
        events.Expired(),
        events.SigningDeadlinePassed(),
        events.ProtocolFailed(reason=Reason.PROPOSAL_BROKE_RULE, rule="some-rule"),
        events.PayjoinDropped(),
        events.SpendDropped(),
        events.FallbackRequested(),
        events.FallbackBumped(original=play.raised(6_000).serialize()),
        events.BroadcastFallback(),
        events.ObservedSpend(txid="0a" * 32),
        events.Released(),
        events.CoinsMissed(height=play.HEIGHT + 1),
        events.CoinsFound(height=play.HEIGHT + 1),
        events.Closed(outcome=outcomes.Cancelled(why=Reason.CANCELLED_BY_US)),
    ]
    return found + [event for event in others if type(event) is kind]


def test_every_event_has_a_sample():
    assert all(samples(kind) for kind in KINDS)


def test_every_state_has_a_place():
    assert {type(place(Log())) for place in PLACES.values()} == set(STATES)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_state_takes_an_event_exactly_if_the_table_says_so(state, kind):
    successors = {after for before, by, after in TRANSITIONS if (before, by) == (state, kind)}
    reached: set[type[sender.SenderSession]] = set()
    for place in PLACES.values():
        session = place(Log())
        for event in samples(kind) if type(session) is state else []:
            try:
                after = sender.apply(session, event)
            except InvalidEvent:
                continue
            assert after.seq == session.seq + 1
            reached.add(type(after))
    assert reached == successors


def test_the_table_lists_no_edge_twice_and_one_beginning():
    assert len(set(TRANSITIONS)) == len(TRANSITIONS)
    assert [edge[1:] for edge in TRANSITIONS if edge[0] is None] == [
        (events.Created, sender.WithReplyKey),
        (events.CreatedPlain, sender.PendingFallback),
    ]


def test_every_state_is_reached_and_only_closed_is_final():
    assert {after for _, _, after in TRANSITIONS} == set(STATES)
    assert set(STATES) - {before for before, _, _ in TRANSITIONS} == {sender.Closed}


@pytest.mark.parametrize("name", PLACES)
def test_every_prefix_of_a_log_replays_to_the_state_that_was_live(name):
    """M2, also through the codec."""
    lived: list[sender.SenderSession] = []

    class Recording(Log):
        def append(self, event, /, *, seq, closes):
            super().append(event, seq=seq, closes=closes)
            lived.append(sender.replay(self.events()))

    log = Recording()
    final = PLACES[name](log)
    assert log.replay() == final
    for length, state in enumerate(lived, start=1):
        replayed = sender.replay(log.events()[:length])
        assert replayed == state
        assert replayed.seq == length


def test_a_stale_handle_cannot_append(log):
    """M5."""
    session = play.create(log)
    session.start_posting().save(log)
    with pytest.raises(DovetailError, match="moved on"):
        session.cancel().save(log)
    assert log.tags() == ["Created", "StartedPosting"]


def test_an_error_names_the_event_and_keeps_its_cause(log):
    play.create(log)
    with pytest.raises(ReplayError, match="Event 1 of the log, SignedPayjoin") as caught:
        sender.replay((*log.events(), events.SignedPayjoin(transaction=b"")))
    assert isinstance(caught.value.__cause__, InvalidEvent)


def test_an_expired_session_replays_as_any_other(log):
    session = play.polling(log)
    session.expire(play.EXPIRES_AT).save(log)
    replayed = log.replay()
    assert isinstance(replayed, sender.PendingFallback)
    assert replayed.reason is Reason.EXPIRED_WAITING_FOR_PROPOSAL


@pytest.mark.parametrize("name", PLACES)
def test_no_repr_shows_a_secret(name):
    """P4: walk everything that hangs on a state, and every event of its log."""
    log = Log()
    session = PLACES[name](log)
    secrets = [
        play.URI.serialize(),
        play.V1_URI.serialize(),
        str(play.ADDRESS),
        play.original().to_base64(),
        play.PAYEE.hex(),
        play.fallback().serialize().hex(),
        repr(play.PAYEE + b"")[2:-1],
        repr(play.SIGNATURE)[2:-1],
    ]
    reply_key = getattr(session.created, "reply_key", None)
    if reply_key is not None:
        secrets += [reply_key.hex(), repr(reply_key)[2:-1]]
    for thing in [*walk(session), *log.events()]:
        shown = f"{thing!r} {thing}"
        assert not [secret for secret in secrets if secret.lower() in shown.lower()]


def walk(session: sender.SenderSession) -> list[object]:
    """The state, its fields and everything its public properties give, one level deep."""
    assert is_dataclass(session)
    names = {each.name for each in fields(session)}
    names |= {name for name in dir(type(session)) if not name.startswith("_")}
    if session.terms.is_plain:
        names -= {"payjoin_uri"}
    values = [getattr(session, name) for name in sorted(names)]
    plain = (bytes, str, int, tuple)
    return [session, *(value for value in values if type(value) not in plain)]


def test_deciding_writes_nothing_until_it_is_saved(log):
    session = play.create(log)
    transition = session.start_posting()
    assert log.tags() == ["Created"]
    assert isinstance(transition.save(log), sender.PostingOriginal)
    assert log.tags() == ["Created", "StartedPosting"]


def test_a_transition_dropped_unsaved_warns(log):
    session = play.create(log)
    with pytest.warns(RuntimeWarning, match="StartedPosting at 1"):
        drop(session.start_posting)


def drop(decide):
    decide()
    gc.collect()


def test_events_are_stored_as_tagged_json_with_a_version(log):
    play.posting(log)
    entry = json.loads(log.entries[1])
    assert entry == {"v": 2, "event": "StartedPosting"}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"original": "AAAA"}, "not a PSBT"),
        ({"uri": "bitcoin:nowhere"}, "address"),
        ({"reply_key": "AAAA"}, "secret key"),
        ({"reply_key": None}, "reply key"),
        ({"fee_contribution": [1, 2]}, "fee contribution"),
        ({"fee_contribution": [1, -1]}, "fee contribution"),
        ({"fee_contribution": [48_001, 1]}, "fee contribution"),
        ({"fee_contribution": [-1, 1]}, "fee contribution"),
    ],
)
def test_what_created_says_is_checked_again_on_replay(log, change, cause):
    play.create(log)
    entry = json.loads(log.entries[0]) | change
    with pytest.raises(ReplayError, match=cause):
        sender.replay([sender.decode_event(json.dumps(entry).encode())])


def test_a_proposal_that_spends_other_coins_is_refused_on_replay(log):
    """M4: it would not exclude the fallback."""
    play.polling(log)
    foreign = play.unsigned_original()
    transaction = foreign.unsigned_transaction
    other = Transaction(2, transaction.inputs[:1], transaction.outputs, 0)
    event = events.ReceivedProposal(proposal=play.unsigned_original(other).serialize())
    with pytest.raises(ReplayError, match="every input"):
        sender.replay([*log.events(), event])


def test_a_payjoin_that_is_not_the_proposal_is_refused_on_replay(log):
    play.proposal_received(log)
    event = events.SignedPayjoin(transaction=play.spend_elsewhere(play.ELSEWHERE).serialize())
    with pytest.raises(ReplayError, match="not the proposal"):
        sender.replay([*log.events(), event])
