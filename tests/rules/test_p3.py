"""P3: a receiver's coin is offered to one live session at a time, and a coin that some sender has
seen is offered again before one that nobody has.
"""

import multiprocessing
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.sessions.receiver.play import BOB, Play, expect
from tests.support.keys import Keys

from dovetail.bitcoin import OutPoint, Txid
from dovetail.crypto.entropy import SeededEntropy
from dovetail.errors import StoreUnavailable
from dovetail.protocol.coin import Coin
from dovetail.sessions import receiver
from dovetail.stores.sql import SqliteStore
from dovetail.testing.store_samples import closed, started

COINS, TURNS, PROCESSES = 3, 25, 2


def _coin(number: int) -> OutPoint:
    return OutPoint(Txid(number.to_bytes(32)), 0)


def _live(path: Path, seed: int, barrier, results) -> None:
    """Want coins when the other does; a file stands for each coin that is offered."""
    rng = random.Random(seed)
    refused = shared = 0
    with SqliteStore.open(path) as store:
        for _ in range(TURNS):
            log = started(store)
            wanted = rng.sample(range(1, COINS), rng.randrange(COINS - 1))
            wanted.insert(rng.randint(0, len(wanted)), 0)
            barrier.wait()
            time.sleep(rng.choice((0.0, 0.0, 0.001, 0.003)))
            taken = store.reserve(log.session_id, [_coin(number) for number in wanted])
            held = [number for number in wanted if _coin(number) not in taken]
            refused += _coin(0) in taken
            shared += sum(not _put_up(path, number) for number in held)
            store.expose(log.session_id)
            barrier.wait()
            for number in held:
                path.with_name(f"coin {number}").unlink()
            log.append(closed(), seq=1, closes=True)
    results.put((refused, shared))


def _put_up(path: Path, number: int) -> bool:
    try:
        os.close(os.open(path.with_name(f"coin {number}"), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def test_two_processes_never_offer_one_coin_in_two_live_sessions(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    SqliteStore.open(path).close()
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=_live, args=(path, seed, barrier, results))
        for seed in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    told = [results.get(timeout=90) for _ in processes]
    for process in processes:
        process.join()
    assert [shared for _, shared in told] == [0] * PROCESSES
    assert sum(refused for refused, _ in told) == TURNS * (PROCESSES - 1)
    with SqliteStore.open(path) as store:
        assert store.reserved() == frozenset()


def test_a_process_that_died_still_holds_the_coins_of_its_live_session(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with SqliteStore.open(path) as store:
        first = started(store)
        store.reserve(first.session_id, [_coin(0)])
    with SqliteStore.open(path) as store:
        second = started(store)
        assert store.reserve(second.session_id, [_coin(0), _coin(1)]) == {_coin(0)}
        store.receiver(first.session_id).append(closed(), seq=1, closes=True)
        assert store.reserve(second.session_id, [_coin(0)]) == frozenset()


def test_the_coins_are_held_where_the_close_was_not_written(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    cut = text(
        "CREATE TRIGGER cut BEFORE INSERT ON session_events BEGIN "
        "SELECT RAISE(ABORT, 'the power goes'); END"
    )
    with SqliteStore.open(path) as store:
        log = started(store)
        store.reserve(log.session_id, [_coin(0)])
        store.write(lambda connection: connection.execute(cut))
        with pytest.raises(StoreUnavailable):
            log.append(closed(), seq=1, closes=True)
        assert store.reserved() == {_coin(0)}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shown", range(3))
def test_a_coin_that_a_sender_has_seen_goes_before_any_other(seed: int, shown: int) -> None:
    coins = [BOB.coin(index, value) for index, value in ((1, 70_000), (2, 61_000), (3, 52_000))]
    coins[shown] = replace(coins[shown], exposed=True)
    chosen = _select(coins, seed)
    assert chosen == (coins[shown],)


def test_without_a_seen_coin_chance_decides() -> None:
    coins = [Keys("bob").coin(index, 70_000) for index in (1, 2, 3)]
    assert len({_select(coins, seed) for seed in range(30)}) == 3


def test_what_was_seen_is_known_after_the_session_and_the_process(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with SqliteStore.open(path) as store:
        log = started(store)
        store.reserve(log.session_id, [_coin(0)])
        store.expose(log.session_id)
        log.append(closed(), seq=1, closes=True)
    with SqliteStore.open(path) as store:
        assert store.exposed() == {_coin(0)}
        assert store.reserved() == frozenset()


def _select(coins: list[Coin], seed: int) -> tuple[Coin, ...]:
    session = expect(Play().wants_inputs(), receiver.WantsInputs)
    return session.select_coins(coins, entropy=SeededEntropy(bytes([seed])))
