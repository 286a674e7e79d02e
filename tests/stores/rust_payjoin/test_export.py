import io

import pytest
from tests.stores.rust_payjoin.recorded import NOW, log_of

from dovetail.bitcoin import Network
from dovetail.errors import DuplicateSession
from dovetail.sessions import receiver, sender
from dovetail.stores.memory import MemoryStore
from dovetail.stores.ports import ImportOutcome, Role
from dovetail.stores.rust_payjoin import export_of, receiver_events, sender_events
from dovetail.stores.sql import SqliteStore
from dovetail.stores.transfer import import_sessions


def both(length=None):
    paying = sender_events(
        log_of("payjoin-p2wpkh", "sender", length), network=Network.REGTEST, now=NOW
    )
    asking = receiver_events(log_of("payjoin-p2wpkh", "receiver"), now=NOW)
    return [(Role.SENDER, paying), (Role.RECEIVER, asking)]


def taken_in(store, sessions):
    lines = b"".join(export_of(sessions, now=NOW))
    return [each.result for each in import_sessions(store, io.BytesIO(lines))]


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    opened = MemoryStore() if request.param == "memory" else SqliteStore.open(tmp_path / "s.db")
    yield opened
    opened.close()


def test_sessions_go_on_in_our_store(store):
    paying, asking = taken_in(store, both())
    assert [each.adoption for each in (paying, asking)] == [ImportOutcome.ADDED] * 2
    session = sender.replay(store.sender(paying.session_id).load())
    assert isinstance(session, sender.ProposalReceived)
    watched = receiver.replay(store.receiver(asking.session_id).load())
    assert isinstance(watched, receiver.Monitor)


def test_their_coins_and_the_inputs_that_were_seen_are_kept(store):
    paying, asking = taken_in(store, both())
    session = sender.replay(store.sender(paying.session_id).load())
    assert set(session.contested) <= store.reserved()
    assert store.claim(paying.session_id, session.contested) == set(session.contested)
    assert len(store.exposed()) == 1
    assert asking.session_id != paying.session_id


def test_taking_them_over_twice_does_nothing(store):
    taken_in(store, both())
    assert [each.adoption for each in taken_in(store, both())] == [ImportOutcome.UNCHANGED] * 2


def test_a_log_that_grew_there_meanwhile_is_followed(store):
    taken_in(store, both(length=2))
    paying, _ = taken_in(store, both())
    assert paying.adoption is ImportOutcome.EXTENDED


def test_a_log_that_went_another_way_here_is_refused(store):
    paying, _ = taken_in(store, both(length=2))
    log = store.sender(paying.session_id)
    session = sender.replay(log.load())
    assert isinstance(session, sender.PollingForProposal)
    session.cancel().save(log)
    refused, _ = taken_in(store, both())
    assert isinstance(refused, DuplicateSession)
