"""The receiver's log: replay equals life, every state and event is accounted for."""

from dataclasses import fields, is_dataclass
from typing import Any, get_args

import msgspec
import pytest
from tests.sessions.receiver.play import (
    BOB,
    ELSEWHERE,
    NOW,
    ORIGINAL,
    RECEIVER_KEY,
    REPLY_KEY,
    Play,
)
from tests.sessions.receiver.scenarios import paid_by_payjoin

from dovetail.bitcoin.psbt import Psbt
from dovetail.errors import DovetailError, InvalidEvent, ReplayError
from dovetail.protocol.error_replies import ErrorCode
from dovetail.protocol.original import fallback_of
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.codec import SessionEvent
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession, payload
from dovetail.sessions.receiver import events as e
from dovetail.sessions.receiver import states as s
from dovetail.sessions.table import Edge


def test_replay_of_every_prefix_equals_the_live_state(plays: tuple[Play, ...]) -> None:  # M2
    for play in plays:
        for count, live in enumerate(play.states, start=1):
            replayed = receiver.replay(play.log.events[:count])
            assert replayed == live
            assert replayed.seq == live.seq == count


def test_replay_of_stored_bytes_equals_the_live_state(plays: tuple[Play, ...]) -> None:
    for play in plays:
        entries = [receiver.encode_event(event) for event in play.log.events]
        decoded = [receiver.decode_event(entry) for entry in entries]
        assert decoded == play.log.events
        assert receiver.replay(decoded) == play.states[-1]


def test_a_log_is_closed_with_its_last_event_and_never_grows(plays: tuple[Play, ...]) -> None:
    for play in plays:
        assert play.log.closed is isinstance(play.states[-1], receiver.Closed)
        assert not any(state.closed for state in play.states[:-1])


def _rows(plays: tuple[Play, ...]) -> tuple[set[Edge], list[tuple[object, ...]]]:
    """What `apply` really does with every state and every event that a play has shown."""
    sessions: list[ReceiverSession | None] = [None]
    examples: list[ReceiverEvent] = []
    for play in plays:
        sessions += play.states
        examples += [event for event in play.log.events if event not in examples]
    seen: set[Edge] = set()
    refused: list[tuple[object, ...]] = []
    for session in sessions:
        for event in examples:
            kind = None if session is None else type(session)
            try:
                seen.add((kind, type(event), type(receiver.apply(session, event))))
            except InvalidEvent:
                refused.append((kind, type(event)))
    return seen, refused


def test_states_and_events_follow_the_declared_table(plays: tuple[Play, ...]) -> None:
    seen, refused = _rows(plays)
    assert seen == set(receiver.TRANSITIONS)
    states = (None, *get_args(ReceiverSession))
    pairs = {(state, event) for state in states for event in get_args(ReceiverEvent)}
    assert {(state, event) for state, event, _ in seen} | set(refused) == pairs


def test_the_table_repeats_nothing() -> None:
    assert len(set(receiver.TRANSITIONS)) == len(receiver.TRANSITIONS)


def test_only_the_events_of_the_table_have_a_tag() -> None:
    assert {event for _, event, _ in receiver.TRANSITIONS} == set(get_args(ReceiverEvent))


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (receiver.Initialized, e.Closed(outcome=outcomes.PayjoinProposalSent())),
        (receiver.UncheckedOriginalPayload, e.Closed(outcome=outcomes.Success(txid="00" * 32))),
        (
            receiver.Initialized,
            e.GotReplyableError(
                code=ErrorCode.UNAVAILABLE, reason=Reason.ORIGINAL_MALFORMED, reply_key=None
            ),
        ),
        (receiver.PendingFallback, e.Closed(outcome=outcomes.Expired())),
        (receiver.Monitor, e.Closed(outcome=outcomes.Success(txid="00" * 32))),
        (receiver.Monitor, e.Closed(outcome=outcomes.Expired())),
    ],
)
def test_no_log_can_close_a_session_in_a_way_that_life_does_not_know(
    plays: tuple[Play, ...], state: type[ReceiverSession], event: ReceiverEvent
) -> None:  # M3
    sessions = [each for play in plays for each in play.states if type(each) is state]
    sessions = [each for each in sessions if not getattr(each, "may_expire", False)]
    assert sessions
    for session in sessions:
        with pytest.raises(InvalidEvent):
            receiver.apply(session, event)


def test_a_held_fallback_cannot_be_closed_over(play: Play) -> None:  # M3
    session = play.error_held()
    with pytest.raises(InvalidEvent, match="cannot end like this"):
        receiver.apply(session, e.Closed(outcome=outcomes.PaidDirectly(txid=str(ELSEWHERE))))


def test_a_fallback_with_nothing_under_way_is_closed_and_not_watched(play: Play) -> None:
    with pytest.raises(InvalidEvent, match="closes instead"):
        receiver.apply(play.pending_owed(), e.Released())


def test_a_released_fallback_never_falls_due(play: Play) -> None:
    released = play.save(play.pending_after_proposal().release(spends=()))
    with pytest.raises(InvalidEvent, match="never becomes due"):
        receiver.apply(released, e.FallbackDue())


def _damaged(log: list[ReceiverEvent], kind: type, **changes: object) -> list[ReceiverEvent]:
    return [
        msgspec.structs.replace(event, **changes) if isinstance(event, kind) else event
        for event in log
    ]


DAMAGE: list[tuple[int, type, dict[str, object]]] = [
    (0, e.Created, {"address": "bcrt1qnothing"}),
    (1, e.RetrievedOriginalPayload, {"psbt": b"psbt\xff"}),
    (9, e.FinalizedProposal, {"psbt": b"psbt\xff"}),
]


@pytest.mark.parametrize(("seq", "kind", "changes"), DAMAGE)
def test_a_damaged_payload_is_noticed_in_a_closed_log_too(
    play: Play, seq: int, kind: type, changes: dict[str, object]
) -> None:
    paid_by_payjoin(play)
    with pytest.raises(ReplayError, match=rf"Event {seq} .*{kind.__name__}.*damaged"):
        receiver.replay(_damaged(play.log.events, kind, **changes))


def _checked(**changes: object) -> dict[str, object]:
    """Changes with a checksum that fits, as an earlier release might have written them."""
    payload = changes.get("psbt", b"")
    if "address" in changes:
        payload = str(changes["address"]).encode()
    assert isinstance(payload, bytes)
    return {**changes, "checksum": e.checksum_of(payload)}


UNSOUND: list[tuple[int, type, dict[str, object], str]] = [
    (0, e.Created, _checked(address="bcrt1qnothing"), ""),
    (0, e.Created, {"endpoint": e.Web(url="ftp://shop.example")}, ""),
    (
        0,
        e.Created,
        {"endpoint": e.Mailbox(directory="x", ohttp_keys=b"", secret_key=b"\1" * 32)},
        "",
    ),
    (1, e.RetrievedOriginalPayload, _checked(psbt=b"psbt\xff"), "PSBT"),
    (
        1,
        e.RetrievedOriginalPayload,
        _checked(psbt=ORIGINAL.from_unsigned(ORIGINAL.unsigned_transaction).serialize()),
        "not final",
    ),
    (1, e.RetrievedOriginalPayload, {"reply_key": None}, "no place for its answer"),
    (1, e.RetrievedOriginalPayload, {"reply_key": b"\2"}, ""),
    (1, e.RetrievedOriginalPayload, {"version": 9}, ""),
    (5, e.IdentifiedReceiverOutputs, {"receiver_outputs": (9,)}, ""),
    (6, e.CommittedOutputs, {"drain": 9}, ""),
    (8, e.AppliedFeeRange, {"values": (1,)}, "values do not match"),
]


@pytest.mark.parametrize(("seq", "kind", "changes", "cause"), UNSOUND)
def test_what_a_live_session_needs_is_read_again(
    play: Play, seq: int, kind: type, changes: dict[str, object], cause: str
) -> None:
    play.provisional()
    with pytest.raises(ReplayError, match=rf"Event {seq} .*{kind.__name__}.*{cause}") as caught:
        receiver.replay(_damaged(play.log.events, kind, **changes))
    assert isinstance(caught.value.__cause__, DovetailError)


def test_a_proposal_without_the_senders_inputs_is_noticed(play: Play) -> None:
    play.monitor()
    other = BOB.pay(BOB.script(0), 1000, coins=(BOB.coin(2, 50_000),)).serialize()
    log = _damaged(play.log.events, e.FinalizedProposal, **_checked(psbt=other))
    with pytest.raises(ReplayError, match=r"Event 9 .*leaves out an input"):
        receiver.replay(log)


def test_a_damaged_fallback_is_noticed_while_its_sender_waits_for_an_error(play: Play) -> None:
    play.error_held()
    log = _damaged(play.log.events, e.RetrievedOriginalPayload, version=9)
    with pytest.raises(ReplayError, match="Event 1 "):
        receiver.replay(log)


def test_an_expired_session_is_replayed_as_it_was(play: Play) -> None:
    play.created()
    session = receiver.replay(play.log.events)
    assert isinstance(session, receiver.Initialized)
    assert session.expires_at > NOW


def test_the_proposal_cannot_be_read_from_a_log_that_holds_none(play: Play) -> None:
    pending = play.pending_owed()
    assert pending.proposal is None
    assert pending.payjoin_skeleton is None


SECRETS = (
    RECEIVER_KEY.reveal(),
    REPLY_KEY.public_key.compressed,
    ORIGINAL.serialize(),
    bytes(BOB.script(0)),
    str(BOB.address(0)).encode(),
)


def _is_secret_free(text: str) -> bool:
    forms = [form for secret in SECRETS for form in (repr(secret)[2:-1], secret.hex())]
    return not any(form in text for form in (*forms, str(BOB.address(0)), "directory.example"))


def test_no_state_shows_a_secret_in_its_repr(plays: tuple[Play, ...]) -> None:  # P4
    kinds: set[type] = set()
    for play in plays:
        for state in play.states:
            kinds.add(type(state))
            assert repr(state) == f"<receiver {type(state).__name__} after {state.seq} events>"
            shared: list[object] = [state.terms, state.created, state.terms.endpoint]
            for each in fields(state):
                value = getattr(state, each.name)
                if isinstance(value, tuple | None) or not is_dataclass(value):
                    continue
                shared.append(value)
            texts = [repr(item) for item in shared] + [str(item) for item in shared]
            assert all(_is_secret_free(text) for text in texts)
    assert kinds == set(get_args(ReceiverSession))


def test_no_event_shows_a_value_in_its_repr(plays: tuple[Play, ...]) -> None:  # P4
    for play in plays:
        for event in play.log.events:
            assert isinstance(event, SessionEvent)
            assert repr(event) == str(event) == f"<{type(event).__name__}>"
    created = plays[0].log.events[0]
    inputs = next(x for play in plays for x in play.log.events if isinstance(x, e.CommittedInputs))
    assert isinstance(created, e.Created)
    assert repr(created.endpoint) == "<Mailbox>"
    assert repr(e.Web(url="https://shop.example")) == "<Web>"
    assert repr(inputs.coins[0]) == "<CommittedCoin>"


def test_values_behind_the_states_are_redacted(play: Play) -> None:  # P4
    session = play.provisional()
    proposed = play.save(session.finalize_proposal(BOB.sign(session.psbt_to_sign)))
    assert isinstance(proposed, receiver.PayjoinProposal)
    assert repr(session.terms) == "<Terms>"
    assert repr(session.terms.endpoint) == "<MailboxTerms>"
    assert repr(session.payload) == "<Payload>"
    assert repr(session.payload.reply_to) == "<ReplyTo by mailbox>"
    assert repr(session.plan) == "<Plan>"
    assert repr(proposed.finalized) == "<Finalized>"


def test_the_states_module_names_every_state() -> None:
    assert {getattr(s, name) for name in s.__all__ if name != "ReceiverSession"} == set(
        get_args(ReceiverSession)
    )


def test_a_log_that_was_replayed_before_has_no_psbt_read_again() -> None:
    play = Play()
    paid_by_payjoin(play)
    log = play.log.events[:-1]
    first = receiver.replay(log)
    reads = payload._read_original.cache_info().misses, payload._read_proposal.cache_info().misses
    again = receiver.replay([receiver.decode_event(receiver.encode_event(each)) for each in log])
    assert again == first
    assert isinstance(again, receiver.Monitor)
    assert reads == (
        payload._read_original.cache_info().misses,
        payload._read_proposal.cache_info().misses,
    )


def test_what_a_live_session_keeps_of_an_original_is_what_its_bytes_hold(
    plays: tuple[Play, ...],
) -> None:
    kept = [
        state.payload
        for play in plays
        for state in play.states
        if isinstance(state, receiver.UncheckedOriginalPayload)
    ]
    assert kept
    for each in kept:
        original = Psbt.parse(each.event.psbt)
        assert (each.original, each.fallback_transaction) == (original, fallback_of(original))


@pytest.mark.parametrize(
    "wrong",
    [{"expires_at": 2**32}, {"amount": 2_100_000_000_000_001}, {"address": "bc1q"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_terms_that_make_no_uri_are_named_by_replay(wrong: dict[str, Any]) -> None:
    created = msgspec.structs.replace(Play().created().created, **wrong)
    if "address" in wrong:
        created = msgspec.structs.replace(created, checksum=e.checksum_of(b"bc1q"))
    with pytest.raises(ReplayError, match="Event 0 of the log, Created, cannot be applied"):
        receiver.replay([created])
