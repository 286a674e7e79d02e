"""P2: an input seen in any session, closed ones included, is refused in every other; the check
and the record are one atomic statement.
"""

import multiprocessing
from pathlib import Path

import pytest
from tests.properties.histories import lies
from tests.properties.histories.accounts import Till
from tests.properties.histories.actor import SimulatedWorld
from tests.properties.histories.chain import Chain
from tests.properties.histories.charging import Payee
from tests.sessions.receiver.play import Play, expect

from dovetail.bitcoin import OutPoint, Txid
from dovetail.protocol.mailbox import seal_message_a
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import SqliteStore
from dovetail.testing.store_samples import closed, coin, started

OUTPOINTS, PROCESSES = 40, 2


@pytest.mark.parametrize("ends", [False, True], ids=["a live", "a closed"])
def test_an_input_of_another_session_is_refused_for_good(tmp_path: Path, *, ends: bool) -> None:
    path, seen = tmp_path / "sessions.db", coin()
    with SqliteStore.open(path) as store:
        first = started(store)
        assert not store.claim(first.session_id, [seen])
        if ends:
            first.append(closed(), seq=1, closes=True)
    with SqliteStore.open(path) as later:
        second = started(later)
        assert later.claim(second.session_id, [coin(), seen]) == {seen}
        assert later.claim(first.session_id, [seen]) == frozenset()


def test_one_seen_input_among_many_is_enough_to_refuse() -> None:
    play = Play()
    session = play.maybe_inputs_seen()
    refused = expect(
        play.save(session.check_no_inputs_seen_before(session.contested[-1:])),
        receiver.HasReplyableError,
    )
    assert refused.reason is Reason.ORIGINAL_INPUTS_SEEN_BEFORE
    assert not refused.owed


def test_a_sender_who_offers_one_coin_to_two_sessions_gets_one_proposal() -> None:
    world, till = SimulatedWorld(Chain(1)), Till()
    sessions = [Payee(world, till), Payee(world, till)]
    for index, payee in enumerate(sessions):
        terms = payee.state.terms.require_mailbox()
        world.wire.mailboxes[payee.state.short_id] = seal_message_a(
            lies.body(index, 0, "honest"),
            receiver_key=terms.secret_key.public_key,
            reply_key=terms.secret_key.public_key,
        )
    for _ in range(12):
        for payee in sessions:
            payee.go_on()
    refusals = [
        [state.reason for state in payee.states if isinstance(state, receiver.HasReplyableError)]
        for payee in sessions
    ]
    assert refusals[0] == []
    assert set(refusals[1]) == {Reason.ORIGINAL_INPUTS_SEEN_BEFORE}
    assert [isinstance(payee.state, receiver.Monitor) for payee in sessions] == [True, False]


def _outpoint(number: int) -> OutPoint:
    return OutPoint(Txid(number.to_bytes(32)), 0)


def _claim(path: Path, session_id: SessionId, barrier, results) -> None:
    with SqliteStore.open(path) as store:
        for number in range(OUTPOINTS):
            barrier.wait()
            if not store.claim(session_id, [_outpoint(number)]):
                results.put((number, session_id))
        results.put(None)


def test_of_two_processes_that_see_an_input_at_once_one_has_it(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with SqliteStore.open(path) as store:
        ids = [started(store).session_id for _ in range(PROCESSES)]
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=_claim, args=(path, each, barrier, results)) for each in ids
    ]
    for process in processes:
        process.start()
    told, open_ends = [], PROCESSES
    while open_ends:
        claim = results.get(timeout=60)
        open_ends -= claim is None
        told += [] if claim is None else [claim]
    for process in processes:
        process.join()
    assert sorted(number for number, _ in told) == list(range(OUTPOINTS))
