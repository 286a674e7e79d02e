"""Several processes on one database: M5, P2 and P3 hold between them as in `tests/rules`."""

import multiprocessing
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dovetail.bitcoin import OutPoint, Txid
from dovetail.errors import StaleSession
from dovetail.sessions.receiver.events import Cancelled
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import PostgresStore
from dovetail.testing.store_samples import closed, started

PROCESSES, ROUNDS, COINS = 3, 20, 3


def outpoint(number: int) -> OutPoint:
    return OutPoint(Txid(number.to_bytes(32)), 0)


def run(work: Callable[..., None], url: str, *each: Any) -> list[Any]:
    """What each process reports; `each` is told to one of them."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    processes = [context.Process(target=work, args=(url, own, barrier, results)) for own in each]
    for process in processes:
        process.start()
    told = [results.get(timeout=90) for _ in processes]
    for process in processes:
        process.join()
    return told


def append(url: str, session_id: SessionId, barrier: Any, results: Any) -> None:
    won = []
    with PostgresStore.open(url) as store:
        log = store.receiver(session_id)
        for seq in range(1, ROUNDS + 1):
            barrier.wait()
            try:
                log.append(Cancelled(), seq=seq, closes=False)
            except StaleSession:
                continue
            won.append(seq)
    results.put(won)


def test_of_processes_that_append_at_once_one_wins_each_slot(
    url: str, store: PostgresStore
) -> None:
    log = started(store)
    won = run(append, url, *[log.session_id] * PROCESSES)
    assert sorted(seq for each in won for seq in each) == list(range(1, ROUNDS + 1))
    assert len(log.load()) == ROUNDS + 1


def claim(url: str, session_id: SessionId, barrier: Any, results: Any) -> None:
    owned = []
    with PostgresStore.open(url) as store:
        for number in range(ROUNDS):
            barrier.wait()
            if not store.claim(session_id, [outpoint(number)]):
                owned.append(number)
    results.put(owned)


def test_of_processes_that_see_an_input_at_once_one_has_it(url: str, store: PostgresStore) -> None:
    owned = run(claim, url, *[started(store).session_id for _ in range(PROCESSES)])
    assert sorted(number for each in owned for number in each) == list(range(ROUNDS))


def live(url: str, own: tuple[int, Path], barrier: Any, results: Any) -> None:
    """Want coins when the others do; a file stands for each coin that is offered."""
    seed, folder = own
    rng = random.Random(seed)
    refused = shared = 0
    with PostgresStore.open(url) as store:
        for _ in range(ROUNDS):
            log = started(store)
            wanted = rng.sample(range(1, COINS), rng.randrange(COINS - 1))
            wanted.insert(rng.randint(0, len(wanted)), 0)
            barrier.wait()
            taken = store.reserve(log.session_id, [outpoint(number) for number in wanted])
            held = [number for number in wanted if outpoint(number) not in taken]
            refused += outpoint(0) in taken
            shared += sum(not put_up(folder, number) for number in held)
            store.expose(log.session_id)
            barrier.wait()
            for number in held:
                (folder / str(number)).unlink()
            log.append(closed(), seq=1, closes=True)
    results.put((refused, shared))


def put_up(folder: Path, number: int) -> bool:
    try:
        os.close(os.open(folder / str(number), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def test_processes_never_offer_one_coin_in_two_live_sessions(
    url: str, store: PostgresStore, tmp_path: Path
) -> None:
    told = run(live, url, *[(seed, tmp_path) for seed in range(PROCESSES)])
    assert [shared for _, shared in told] == [0] * PROCESSES
    assert sum(refused for refused, _ in told) == ROUNDS * (PROCESSES - 1)
    assert store.reserved() == frozenset()
    assert len({row.session_id for row in store.history(limit=1000)}) == ROUNDS * PROCESSES
