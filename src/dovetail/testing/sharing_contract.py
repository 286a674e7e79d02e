"""The promises of a store about what sessions must not share: payments, inputs and coins."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dovetail.bitcoin import Address, Network, Script
from dovetail.errors import (
    CoinsTaken,
    DuplicateSession,
    StaleSession,
)
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.sessions.receiver import events as receiver_events
from dovetail.stores.ports import ImportOutcome, ImportResult, SessionId, Store
from dovetail.testing.store_samples import (
    NOW,
    closed,
    coin,
    moved,
    receiver_created,
    sender_closed,
    sender_created,
    started,
    v2_endpoint,
)


class SharingContract:
    """A part of `StoreContract`."""

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
            assert store.session_paying(uri) is None
            log = store.new_sender()
            log.append(created, seq=0, closes=False)
            assert store.session_paying(uri) == log.session_id
            log.append(sender_closed(), seq=1, closes=True)
            assert store.session_paying(uri) == log.session_id
        elsewhere = Address.from_script(Script(b"\x00\x14" + bytes([1] * 20)), Network.REGTEST)
        assert (
            store.session_paying(PayjoinUri(address=elsewhere, amount=None, endpoint=shop)) is None
        )

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

    def test_the_coins_of_others_are_told_from_those_of_ones_own(self, store: Store) -> None:
        first, second, held, free = started(store), started(store), coin(), coin()
        store.reserve(first.session_id, [held])
        store.reserve(second.session_id, [free])
        store.release(second.session_id)
        assert store.reserved(besides=first.session_id) == frozenset()
        assert store.reserved(besides=second.session_id) == {held}
        assert store.holders() == {held: first.session_id}

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

    def test_a_session_from_elsewhere_comes_in_once_and_only_grows(self, store: Store) -> None:
        held, created = coin(), receiver_created()
        first = moved(created, coins=[held])
        added = store.adopt(first)
        assert added.adoption is ImportOutcome.ADDED
        assert store.stored(added.session_id).events == first.events
        assert store.reserved() == {held}
        assert store.adopt(first).adoption is ImportOutcome.UNCHANGED
        last = moved(created, receiver_events.Cancelled(), closed(), coins=[held], exposed=True)
        assert store.adopt(last) == ImportResult(added.session_id, ImportOutcome.EXTENDED)
        assert store.row(added.session_id).closed_at == NOW
        assert store.reserved() == frozenset()
        assert store.exposed() == {held}
        assert store.adopt(first).adoption is ImportOutcome.UNCHANGED
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
