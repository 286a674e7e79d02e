"""The promises of a store about writes by others; inherit it as `StoreContract`."""

import pytest

from dovetail.bitcoin import Sats, Txid
from dovetail.sessions.receiver.events import Cancelled
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.stores.ports import SessionId, Store
from dovetail.testing.store_samples import NOW, closed, started

SEEN = Sighting(
    kind=SpendKind.PAYJOIN,
    txid=Txid(bytes(range(32))),
    depth=0,
    wanted=1,
    came=Sats(42_000),
    asked=Sats(21_000),
    beside=(Txid(bytes(32)), Txid(bytes([1] * 32))),
)


class WatchingContract:
    """A subclass provides the fixture `store`, an empty `Store` whose clock reads `NOW`."""

    def test_the_heads_are_those_of_open_sessions(self, store: Store) -> None:
        first, second = started(store), started(store)
        assert store.heads() == {first.session_id: 1, second.session_id: 1}
        first.append(closed(), seq=1, closes=True)
        assert store.heads() == {second.session_id: 1}

    def test_heads_are_brought_up_to_date_and_what_changed_is_named(self, store: Store) -> None:
        first, second = started(store), started(store)
        heads: dict[SessionId, int] = {}
        assert set(store.refresh_heads(heads)) == {first.session_id, second.session_id}
        assert heads == store.heads()
        assert store.refresh_heads(heads) == ()
        third = started(store)
        second.append(Cancelled(), seq=1, closes=False)
        assert set(store.refresh_heads(heads)) == {second.session_id, third.session_id}
        first.append(closed(), seq=1, closes=True)
        assert store.refresh_heads(heads) == ()
        assert heads == {second.session_id: 2, third.session_id: 1}

    def test_the_pulse_changes_with_a_write_and_only_then(self, store: Store) -> None:
        log = started(store)
        before = store.pulse()
        assert store.pulse() == before
        log.append(closed(), seq=1, closes=True)
        after = store.pulse()
        assert after != before
        assert store.pulse() == after

    def test_what_was_seen_last_is_in_the_row(self, store: Store) -> None:
        session_id = started(store).session_id
        assert store.row(session_id).sighting is None
        assert store.row(session_id).seen_at is None
        store.saw(session_id, SEEN)
        for row in (store.row(session_id), *store.live(), *store.history()):
            assert row.sighting == SEEN
            assert row.seen_at == NOW
        assert store.stored(session_id).row.sighting == SEEN

    @pytest.mark.parametrize("kind", SpendKind)
    def test_a_later_sighting_takes_the_place_of_the_one_before(
        self, store: Store, kind: SpendKind
    ) -> None:
        session_id, other = started(store).session_id, started(store).session_id
        store.saw(session_id, SEEN)
        later = Sighting(kind=kind, txid=SEEN.txid, depth=2, wanted=3, gone=True, receded=True)
        store.saw(session_id, later)
        assert store.row(session_id).sighting == later
        assert store.row(other).sighting is None

    def test_a_sighting_outlives_the_end_of_its_session(self, store: Store) -> None:
        log = started(store)
        store.saw(log.session_id, SEEN)
        log.append(closed(), seq=1, closes=True)
        assert store.row(SessionId(log.session_id)).sighting == SEEN
