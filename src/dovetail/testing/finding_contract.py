"""The promises of a store about lists of selected sessions."""

import pytest
from msgspec import structs

from dovetail.bitcoin import Txid, UnixTime
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions import outcomes
from dovetail.sessions.receiver import events as receiver_events
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.stores.ports import Role, SessionId, Store, Wanted
from dovetail.testing.store_samples import (
    address,
    closed,
    receiver_created,
    sender_created,
    started,
    v2_endpoint,
)

_TXID = "ab" * 4 + "12" * 28


def _found(store: Store, text: str) -> list[SessionId]:
    return [row.session_id for row in store.history(wanted=Wanted(text=text))]


class FindingContract:
    """A part of `StoreContract`."""

    def test_history_can_be_of_open_sessions_alone(self, store: Store) -> None:
        logs = [started(store) for _ in range(4)]
        logs[1].append(closed(), seq=1, closes=True)
        ids = [log.session_id for log in logs]
        found = store.history(wanted=Wanted(open=True))
        assert [row.session_id for row in found] == [ids[3], ids[2], ids[0]]
        found = store.history(wanted=Wanted(open=True), limit=1, before=ids[2])
        assert [row.session_id for row in found] == [ids[0]]
        found = store.history(wanted=Wanted(open=False))
        assert [row.session_id for row in found] == [ids[1]]

    def test_history_can_be_of_one_role(self, store: Store) -> None:
        asking, paying = started(store), store.new_sender()
        paying.append(sender_created(), seq=0, closes=False)
        for role, log in ((Role.RECEIVER, asking), (Role.SENDER, paying)):
            found = store.history(wanted=Wanted(role=role))
            assert [row.session_id for row in found] == [log.session_id]

    def test_history_can_begin_at_a_time(self, store: Store) -> None:
        session = started(store).session_id
        (row,) = store.history(wanted=Wanted(since=store.row(session).created_at))
        later = UnixTime(row.created_at + 1)
        assert store.history(wanted=Wanted(since=later)) == ()

    def test_a_label_is_found_by_any_part_of_it_in_any_case(self, store: Store) -> None:
        created = receiver_created()
        other = started(store, created).session_id
        named = started(store, structs.replace(created, label="Käse & Wein")).session_id
        assert _found(store, "KÄSE") == _found(store, "wein") == [named]
        assert _found(store, "") == [named, other]
        assert _found(store, "beer") == []
        assert _found(store, "\udcff") == []

    def test_a_message_is_found_in_both_roles(self, store: Store) -> None:
        created = structs.replace(receiver_created(), message="Order 17")
        asking, paying = started(store, created), store.new_sender()
        uri = PayjoinUri(address=address(), amount=None, endpoint=v2_endpoint(), message="order 18")
        payment = structs.replace(sender_created(), uri=uri.serialize())
        paying.append(payment, seq=0, closes=False)
        assert _found(store, "ORDER") == [paying.session_id, asking.session_id]
        assert _found(store, "order 17") == [asking.session_id]
        assert _found(store, "order 18") == [paying.session_id]

    def test_an_address_is_found_by_its_beginning(self, store: Store) -> None:
        session, text = started(store).session_id, str(address())
        assert _found(store, text[:8].upper()) == _found(store, text) == [session]
        assert _found(store, text[:7]) == _found(store, text[1:]) == []

    def test_a_txid_is_found_by_its_beginning_wherever_the_row_has_it(self, store: Store) -> None:
        """At the end of the session, or on the chain; also as lists shorten it."""
        over, seen = started(store), started(store)
        outcome = outcomes.Success(txid=_TXID)
        over.append(receiver_events.Closed(outcome=outcome), seq=1, closes=True)
        other = Txid.from_hex(_TXID[::-1])
        sighting = Sighting(
            kind=SpendKind.DIRECT, txid=other, depth=0, wanted=1, beside=(Txid.from_hex("cd" * 32),)
        )
        store.saw(seen.session_id, sighting)
        assert _found(store, _TXID[:8]) == _found(store, _TXID.upper()) == [over.session_id]
        assert _found(store, str(other)) == _found(store, "cd" * 32) == [seen.session_id]
        assert _found(store, f"{_TXID[:8]}…{_TXID[-4:]}") == [over.session_id]
        for text in (_TXID[:7], _TXID[8:20], f"{_TXID}…12", f"{_TXID[:8]}…{_TXID[:4]}"):
            assert _found(store, text) == []

    @pytest.mark.parametrize("text", ["bitcoin:", "secret", "Mailbox", "original"])
    def test_what_is_no_part_of_a_request_is_not_found(self, store: Store, text: str) -> None:
        started(store)
        store.new_sender().append(sender_created(), seq=0, closes=False)
        assert BitcoinUri.parse(sender_created().uri).message is None
        assert _found(store, text) == []
