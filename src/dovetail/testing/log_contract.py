"""The promises of a store about each session's log, and about lists of sessions."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec import structs

from dovetail.crypto import SecretKey
from dovetail.errors import (
    SessionNotFound,
    StaleSession,
    UsageError,
)
from dovetail.protocol.error_replies import ErrorCode
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions import receiver
from dovetail.sessions.ended import ending_of
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events as receiver_events
from dovetail.sessions.sender import events as sender_events
from dovetail.sessions.standing import AnySession, summary_of
from dovetail.sessions.status import SessionStatus
from dovetail.stores.ports import Role, SessionId, SessionLog, Store
from dovetail.testing.store_samples import (
    EXPIRES_AT,
    NOW,
    address,
    closed,
    ended,
    receiver_created,
    sender_created,
    started,
    v2_endpoint,
)


def _advance(
    log: SessionLog[receiver.ReceiverEvent],
    event: receiver.ReceiverEvent,
    state: AnySession,
    *,
    awaited: bool,
) -> None:
    seq, closes = state.seq - 1, isinstance(state, receiver.Closed)
    if awaited:
        asyncio.run(log.advance_async(event, state, seq=seq, closes=closes))
    else:
        log.advance(event, state, seq=seq, closes=closes)


class LogContract:
    """A part of `StoreContract`."""

    def test_a_new_session_is_named_by_its_first_event(self, store: Store) -> None:
        log = store.new_receiver()
        with pytest.raises(UsageError):
            _ = log.session_id
        log.append(receiver_created(), seq=0, closes=False)
        assert store.row(log.session_id).role is Role.RECEIVER
        assert store.row(log.session_id).created_at == NOW
        assert store.row(log.session_id).expires_at == EXPIRES_AT

    def test_ids_are_unique_across_roles(self, store: Store) -> None:
        receiver, sender = started(store), store.new_sender()
        sender.append(sender_created(), seq=0, closes=False)
        assert receiver.session_id != sender.session_id

    def test_a_log_gives_back_what_was_appended(self, store: Store) -> None:
        log = store.new_receiver()
        events: tuple[receiver_events.ReceiverEvent, ...] = (
            receiver_created(),
            receiver_events.Cancelled(),
            closed(),
        )
        for seq, event in enumerate(events):
            log.append(event, seq=seq, closes=seq == 2)
        assert log.load() == events
        assert store.receiver(log.session_id).load() == events

    def test_a_senders_log_gives_back_what_was_appended(self, store: Store) -> None:
        log = store.new_sender()
        events: tuple[sender_events.SenderEvent, ...] = (
            sender_created(),
            sender_events.StartedPosting(),
        )
        for seq, event in enumerate(events):
            log.append(event, seq=seq, closes=False)
        assert store.sender(log.session_id).load() == events
        assert [entry.seq for entry in store.stored(log.session_id).events] == [0, 1]

    def test_an_awaited_append_is_like_any_other(self, store: Store) -> None:
        log = store.new_receiver()

        async def append() -> None:
            await log.append_async(receiver_created(), seq=0, closes=False)
            await log.append_async(receiver_events.Cancelled(), seq=1, closes=False)

        asyncio.run(append())
        assert len(log.load()) == 2

    def test_a_log_begins_with_created_at_0(self, store: Store) -> None:
        with pytest.raises(StaleSession):
            store.new_receiver().append(receiver_created(), seq=1, closes=False)
        with pytest.raises(StaleSession):
            store.new_receiver().append(closed(), seq=0, closes=False)
        assert store.history() == ()

    @pytest.mark.parametrize("seq", [0, 2])
    def test_a_taken_slot_and_a_gap_are_refused(self, store: Store, seq: int) -> None:
        log = started(store)
        with pytest.raises(StaleSession):
            log.append(receiver_events.Cancelled(), seq=seq, closes=False)
        assert len(log.load()) == 1

    def test_a_stale_handle_cannot_append(self, store: Store) -> None:
        log = started(store)
        other = store.receiver(log.session_id)
        other.append(receiver_events.Cancelled(), seq=1, closes=False)
        with pytest.raises(StaleSession):
            log.append(closed(), seq=1, closes=True)
        assert store.row(log.session_id).closed_at is None

    def test_a_closed_log_never_grows(self, store: Store) -> None:
        log = started(store)
        log.append(closed(), seq=1, closes=True)
        with pytest.raises(StaleSession):
            log.append(receiver_events.Cancelled(), seq=2, closes=False)
        assert len(log.load()) == 2
        assert store.row(log.session_id).closed_at == NOW

    def test_of_many_racing_appends_one_wins(self, store: Store) -> None:
        log = started(store)
        barrier = threading.Barrier(8)

        def race() -> bool:
            barrier.wait()
            try:
                log.append(receiver_events.Cancelled(), seq=1, closes=False)
            except StaleSession:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            wins = [future.result() for future in [pool.submit(race) for _ in range(8)]]
        assert sum(wins) == 1
        assert len(log.load()) == 2

    def test_live_sessions_are_those_whose_log_is_open(self, store: Store) -> None:
        first, second = started(store), started(store)
        first.append(closed(), seq=1, closes=True)
        assert [row.session_id for row in store.live()] == [second.session_id]

    def test_history_is_newest_first_and_pages(self, store: Store) -> None:
        ids = [started(store).session_id for _ in range(3)]
        assert [row.session_id for row in store.history()] == ids[::-1]
        page = store.history(limit=2)
        assert [row.session_id for row in page] == ids[:0:-1]
        rest = store.history(limit=2, before=page[-1].session_id)
        assert [row.session_id for row in rest] == ids[:1]

    @pytest.mark.parametrize("name", [10**20, -1, 1 << 63, "one"])
    def test_a_name_that_no_session_can_have_is_not_found(self, store: Store, name: object) -> None:
        """Any text that a person typed leads to `SessionNotFound`, never to a database error."""
        started(store)
        unknown = SessionId(name)
        for look_up in (store.row, store.stored, store.receiver, store.sender):
            with pytest.raises(SessionNotFound, match=f"no session {name}"):
                look_up(unknown)
        with pytest.raises(SessionNotFound, match=f"no session {name}"):
            store.history(before=unknown)

    def test_a_row_knows_how_its_session_ended(self, store: Store) -> None:
        log = started(store)
        row = store.row(log.session_id)
        assert row.outcome is None
        assert row.ending is None
        log.append(closed(), seq=1, closes=True)
        for row in (store.row(log.session_id), *store.history(), store.stored(log.session_id).row):
            assert row.outcome == "expired"
            assert row.ending == ending_of(ended(log))
        assert row.ending is not None
        assert row.ending.outcome == closed().outcome

    def test_a_row_knows_where_its_session_stands(self, store: Store) -> None:
        created = structs.replace(receiver_created(), amount=5_000, label="two coffees")
        log = store.new_receiver()
        log.append(created, seq=0, closes=False)
        for row in (*store.live(), *store.history(), store.stored(log.session_id).row):
            assert row.standing is not None
            assert row.standing == summary_of(receiver.replay([created]))
            assert row.standing.state == "Initialized"
            assert row.amount == 5_000
            assert row.label == "two coffees"
        log.append(closed(), seq=1, closes=True)
        row = store.row(log.session_id)
        assert row.standing is None
        assert row.amount == 5_000
        assert row.label == "two coffees"

    def test_a_row_of_a_payment_has_the_label_of_its_uri(self, store: Store) -> None:
        log = store.new_sender()
        uri = PayjoinUri(
            address=address(), amount=None, endpoint=v2_endpoint(), label="two coffees"
        )
        created = structs.replace(sender_created(), uri=uri.serialize())
        log.append(created, seq=0, closes=False)
        row = store.row(log.session_id)
        assert row.label == "two coffees"
        assert row.summary is None, "the log cannot be replayed: it has no PSBT"
        assert row.amount is None

    @pytest.mark.parametrize("awaited", [False, True])
    def test_a_save_hands_over_what_a_replay_would_draw(
        self, store: Store, *, awaited: bool
    ) -> None:
        created = receiver_created()
        waiting = receiver.replay([created])
        log = store.new_receiver()
        _advance(log, created, waiting, awaited=awaited)
        assert store.row(log.session_id).summary == summary_of(waiting)
        event = closed()
        ended = receiver.apply(waiting, event)
        _advance(log, event, ended, awaited=awaited)
        row = store.row(log.session_id)
        assert row.summary == summary_of(ended)
        assert row.outcome == "expired"
        assert len(log.load()) == 2

    def test_a_save_within_a_transaction_hands_it_over_too(self, store: Store) -> None:
        log = started(store)
        event = closed()
        ended = receiver.apply(receiver.replay(log.load()), event)

        def work(connection: Any) -> None:
            bound = log.within(connection)
            saving = bound.advance_async(event, ended, seq=1, closes=True)
            for _ in saving.__await__():
                pytest.fail("There is nothing to wait for within a transaction.")

        store.write(work)
        assert store.row(log.session_id).summary == summary_of(ended)

    def test_an_event_that_is_refused_changes_no_row(self, store: Store) -> None:
        log = started(store)
        before = store.row(log.session_id)
        for seq in (0, 2):
            with pytest.raises(StaleSession):
                log.append(closed(), seq=seq, closes=True)
        assert store.row(log.session_id) == before

    def test_a_log_that_was_only_appended_to_is_not_doubtful(self, store: Store) -> None:
        first, second = started(store), started(store)
        first.append(receiver_events.Cancelled(), seq=1, closes=False)
        assert store.doubtful([first.session_id, second.session_id]) == frozenset()
        assert store.doubtful([]) == frozenset()

    def test_an_end_without_its_own_event_is_in_the_row_too(self, store: Store) -> None:
        """A receiver that holds no fallback ends once it has told the sender."""
        log = started(store)
        refused = receiver_events.GotReplyableError(
            code=ErrorCode.VERSION_UNSUPPORTED,
            reason=Reason.ORIGINAL_VERSION_UNSUPPORTED,
            supported=(1, 2),
            reply_key=SecretKey.generate().public_key.compressed,
        )
        log.append(refused, seq=1, closes=False)
        assert store.row(log.session_id).outcome is None
        log.append(receiver_events.ReplyFailed(), seq=2, closes=True)
        row = store.row(log.session_id)
        assert row.outcome == "cancelled"
        assert row.ending == ending_of(ended(log))
        assert row.ending is not None
        assert row.ending.reason is Reason.ORIGINAL_VERSION_UNSUPPORTED

    def test_the_row_of_a_log_that_cannot_be_replayed_says_what_it_can(self, store: Store) -> None:
        log, silent = started(store), started(store)
        log.append(receiver_events.PostedPayjoinProposal(), seq=1, closes=False)
        log.append(closed(), seq=2, closes=True)
        silent.append(receiver_events.PostedPayjoinProposal(), seq=1, closes=True)
        assert store.row(log.session_id).outcome == "expired"
        assert store.row(silent.session_id).outcome is None
        assert store.row(silent.session_id).ending is None

    def test_a_row_knows_the_status_without_replay(self, store: Store) -> None:
        log = started(store)
        assert store.row(log.session_id).status(NOW) is SessionStatus.WAITING_FOR_PAYMENT
        assert store.row(log.session_id).status(EXPIRES_AT) is SessionStatus.EXPIRED
        log.append(closed(), seq=1, closes=True)
        assert store.row(log.session_id).status(NOW) is SessionStatus.CLOSED

    @pytest.mark.parametrize(
        "look_up",
        [Store.row, Store.stored, Store.receiver, Store.sender],
        ids=["row", "stored", "receiver", "sender"],
    )
    def test_an_unknown_id_is_not_found(
        self, store: Store, look_up: Callable[[Store, SessionId], object]
    ) -> None:
        with pytest.raises(SessionNotFound, match="no session 99"):
            getattr(store, look_up.__name__)(SessionId(99))

    def test_a_session_of_the_other_role_is_not_found(self, store: Store) -> None:
        log = started(store)
        with pytest.raises(SessionNotFound, match="not a sender"):
            store.sender(log.session_id)

    def test_a_log_is_stored_as_it_was_written(self, store: Store) -> None:
        log = started(store)
        log.append(receiver_events.Cancelled(), seq=1, closes=False)
        stored = store.stored(log.session_id)
        assert stored.row == store.row(log.session_id)
        assert [entry.tag for entry in stored.events] == ["Created", "Cancelled"]
        assert [entry.created_at for entry in stored.events] == [NOW, NOW]
        codec = receiver_events.CODEC
        assert tuple(codec.decode(entry.data) for entry in stored.events) == log.load()
