"""What every store must keep: inherit `StoreContract` in a test class and give it a store.

A subclass provides the pytest fixture `store`, an empty `Store` whose clock reads `NOW`::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self):
            with MyStore() as store:
                yield store
"""

import asyncio
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from dovetail.bitcoin import Address, Network, OutPoint, Script, Txid, UnixTime
from dovetail.crypto import KeyConfig, SecretKey
from dovetail.errors import (
    CoinsTaken,
    DuplicateSession,
    SessionNotFound,
    StaleSession,
    UsageError,
)
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint
from dovetail.sessions.outcomes import Expired as NobodyPaid
from dovetail.sessions.receiver import events as receiver_events
from dovetail.sessions.sender import events as sender_events
from dovetail.sessions.status import SessionStatus
from dovetail.stores.entries import raw_event
from dovetail.stores.ports import (
    Adopted,
    Adoption,
    Moved,
    Role,
    SessionId,
    SessionLog,
    Store,
    facts_of,
)

NOW = UnixTime(1_800_000_000)
EXPIRES_AT = UnixTime(NOW + 86_400)
DIRECTORY = "https://directory.example"

_coins = count(1)


def coin() -> OutPoint:
    """An outpoint that no other call gave."""
    return OutPoint(Txid(next(_coins).to_bytes(32, "little")), 0)


def address() -> Address:
    """An address like any other."""
    return Address.from_script(Script(b"\x00\x14" + bytes(20)), Network.REGTEST)


def receiver_created() -> receiver_events.Created:
    """A receiver's first event."""
    secret = SecretKey.generate()
    text = str(address())
    return receiver_events.Created(
        address=text,
        checksum=receiver_events.checksum_of(text.encode()),
        expires_at=EXPIRES_AT,
        endpoint=receiver_events.Mailbox(
            directory=DIRECTORY,
            ohttp_keys=KeyConfig(1, secret.public_key).serialize(),
            secret_key=secret.reveal(),
        ),
    )


def sender_created(endpoint: V1Endpoint | V2Endpoint | None = None) -> sender_events.Created:
    """A sender's first event, for an endpoint of its own unless one is given."""
    uri = PayjoinUri(address=address(), amount=None, endpoint=endpoint or v2_endpoint())
    return sender_events.Created(
        uri=uri.serialize(),
        original=b"",
        min_fee_rate=0,
        created_at=NOW,
        expires_at=EXPIRES_AT,
    )


def v2_endpoint() -> V2Endpoint:
    """A mailbox of its own."""
    key = SecretKey.generate().public_key
    return V2Endpoint(
        directory=DIRECTORY,
        receiver_key=key,
        ohttp_keys=KeyConfig(1, key),
        expires_at=EXPIRES_AT,
    )


def closed() -> receiver_events.Closed:
    """A last event."""
    return receiver_events.Closed(outcome=NobodyPaid())


def sender_closed() -> sender_events.Closed:
    """The last event of a sender."""
    return sender_events.Closed(outcome=NobodyPaid())


def started(store: Store) -> SessionLog[receiver_events.ReceiverEvent]:
    """A receiver session of one event."""
    log = store.new_receiver()
    log.append(receiver_created(), seq=0, closes=False)
    return log


def moved(
    *events: receiver_events.ReceiverEvent,
    coins: Collection[OutPoint] = (),
    seen: Collection[OutPoint] = (),
    exposed: bool = False,
) -> Moved:
    """A receiver session as it comes from another store."""
    return Moved(
        facts=facts_of(events[0]),
        events=tuple(
            raw_event(seq, type(event).__name__, receiver_events.CODEC.encode(event), NOW)
            for seq, event in enumerate(events)
        ),
        closed=isinstance(events[-1], receiver_events.Closed),
        seen=frozenset(seen),
        coins=frozenset(coins),
        exposed=exposed,
    )


class StoreContract:
    """The promises of `dovetail.stores.ports.Store`, one test each."""

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

    def test_a_v2_uri_is_paid_once_even_after_the_first_session_closed(self, store: Store) -> None:
        endpoint = v2_endpoint()
        log = store.new_sender()
        log.append(sender_created(endpoint), seq=0, closes=True)
        with pytest.raises(DuplicateSession):
            store.new_sender().append(sender_created(endpoint), seq=0, closes=False)
        assert len(store.history()) == 1

    def test_v1_invoices_at_one_endpoint_are_told_apart_by_address(self, store: Store) -> None:
        endpoint = V1Endpoint("https://shop.example/pj")
        store.new_sender().append(sender_created(endpoint), seq=0, closes=False)
        with pytest.raises(DuplicateSession):
            store.new_sender().append(sender_created(endpoint), seq=0, closes=False)
        elsewhere = V1Endpoint("https://shop.example/other")
        store.new_sender().append(sender_created(elsewhere), seq=0, closes=False)

    def test_a_uri_that_was_used_is_known_before_a_payment_is_begun(self, store: Store) -> None:
        shop = V1Endpoint("https://shop.example/pj")
        for endpoint in (v2_endpoint(), shop):
            created = sender_created(endpoint)
            uri = PayjoinUri.parse(created.uri)
            assert store.paying(uri) is None
            log = store.new_sender()
            log.append(created, seq=0, closes=False)
            assert store.paying(uri) == log.session_id
            log.append(sender_closed(), seq=1, closes=True)
            assert store.paying(uri) == log.session_id
        elsewhere = Address.from_script(Script(b"\x00\x14" + bytes([1] * 20)), Network.REGTEST)
        assert store.paying(PayjoinUri(address=elsewhere, amount=None, endpoint=shop)) is None

    def test_inputs_seen_by_one_session_are_refused_in_every_other(self, store: Store) -> None:
        first, second, ours, new = started(store), started(store), coin(), coin()
        assert store.claim(first.session_id, [ours]) == frozenset()
        first.append(closed(), seq=1, closes=True)
        assert store.claim(second.session_id, [ours, new]) == {ours}

    def test_a_session_recognises_its_own_inputs(self, store: Store) -> None:
        log, ours = started(store), coin()
        store.claim(log.session_id, [ours])
        assert store.claim(log.session_id, [ours]) == frozenset()
        assert store.claim(log.session_id, []) == frozenset()

    def test_of_many_racing_claims_one_wins(self, store: Store) -> None:
        ids = [started(store).session_id for _ in range(8)]
        contested, barrier = coin(), threading.Barrier(8)

        def race(session_id: SessionId) -> bool:
            barrier.wait()
            return not store.claim(session_id, [contested])

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(race, ids)) == 1

    def test_a_coin_is_held_by_one_live_session_at_a_time(self, store: Store) -> None:
        first, second, held = started(store), started(store), coin()
        assert store.reserve(first.session_id, [held]) == frozenset()
        assert store.reserve(second.session_id, [held]) == {held}
        assert store.reserve(second.session_id, []) == frozenset()
        assert store.reserved() == {held}
        store.release(first.session_id)
        assert store.reserve(second.session_id, [held]) == frozenset()

    def test_closing_gives_the_coins_back(self, store: Store) -> None:
        log, held = started(store), coin()
        store.reserve(log.session_id, [held])
        log.append(closed(), seq=1, closes=True)
        assert store.reserved() == frozenset()
        with pytest.raises(StaleSession):
            store.reserve(log.session_id, [held])
        assert store.reserved() == frozenset()

    def test_exposure_outlives_the_session(self, store: Store) -> None:
        first, second = started(store), started(store)
        shown, hidden = coin(), coin()
        store.reserve(first.session_id, [shown])
        store.reserve(second.session_id, [hidden])
        store.expose(first.session_id)
        first.append(closed(), seq=1, closes=True)
        assert store.exposed() == {shown}

    def test_a_sender_starts_with_its_coins_or_not_at_all(self, store: Store) -> None:
        held = coin()
        store.new_sender(reserving=[held]).append(sender_created(), seq=0, closes=False)
        assert store.reserved() == {held}
        with pytest.raises(CoinsTaken):
            store.new_sender(reserving=[held, coin()]).append(sender_created(), seq=0, closes=False)
        assert len(store.history()) == 1
        assert store.reserved() == {held}

    def test_a_log_is_stored_as_it_was_written(self, store: Store) -> None:
        log = started(store)
        log.append(receiver_events.Cancelled(), seq=1, closes=False)
        stored = store.stored(log.session_id)
        assert stored.row == store.row(log.session_id)
        assert [entry.tag for entry in stored.events] == ["Created", "Cancelled"]
        assert [entry.created_at for entry in stored.events] == [NOW, NOW]
        codec = receiver_events.CODEC
        assert tuple(codec.decode(entry.data) for entry in stored.events) == log.load()

    def test_a_session_from_elsewhere_comes_in_once_and_only_grows(self, store: Store) -> None:
        held, created = coin(), receiver_created()
        first = moved(created, coins=[held])
        added = store.adopt(first)
        assert added.adoption is Adoption.ADDED
        assert store.stored(added.session_id).events == first.events
        assert store.reserved() == {held}
        assert store.adopt(first).adoption is Adoption.UNCHANGED
        last = moved(created, receiver_events.Cancelled(), closed(), coins=[held], exposed=True)
        assert store.adopt(last) == Adopted(added.session_id, Adoption.EXTENDED)
        assert store.row(added.session_id).closed_at == NOW
        assert store.reserved() == frozenset()
        assert store.exposed() == {held}
        assert store.adopt(first).adoption is Adoption.UNCHANGED
        with pytest.raises(DuplicateSession):
            store.adopt(moved(created, closed()))
        assert len(store.history()) == 1

    def test_an_open_session_from_elsewhere_brings_its_coins_or_stays_out(
        self, store: Store
    ) -> None:
        here, held, seen = started(store), coin(), coin()
        store.reserve(here.session_id, [held])
        store.claim(here.session_id, [seen])
        for sharing in (
            moved(receiver_created(), coins=[coin(), held]),
            moved(receiver_created(), seen=[coin(), seen]),
        ):
            with pytest.raises(CoinsTaken):
                store.adopt(sharing)
        assert len(store.history()) == 1
        assert store.reserved() == {held}
