"""`python -m tests.kill`: every path, every party, every kill; a table of how they ended."""

import argparse
import gc
import os
import pickle
import random
import shutil
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.kill.commands import ASKED, LEFT
from tests.kill.ledger import Ending, Party
from tests.kill.nodes import ABSENT, installed
from tests.kill.paths import WAYS
from tests.kill.servers import Ports
from tests.kill.sweep import Result, Task, Worker, scratch, warm

_NUMBER = struct.Struct("I")


def main() -> int:
    """Run what is asked for; 0 only where nothing was lost, doubled or sent twice."""
    options = _options()
    if options.wallet == "core" and not installed():
        _say(f"Not run: the kills on a node's wallets, which {ABSENT}.")
        return 0
    tasks = _tasks(options)
    folder = scratch()
    began = time.monotonic()
    try:
        results = list(_told(_work(tasks, folder, options), options))
        bodies = _bodies(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print_table(results)
    return _conclude(results, bodies, time.monotonic() - began)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    words = "only paths with these words in their names; several apart by `;`"
    parser.add_argument("--paths", default="", help=words)
    parser.add_argument("--party", choices=[str(each) for each in Party])
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 2) + 1)
    parser.add_argument("--stride", type=int, default=1, help="every so many effects only")
    parser.add_argument("--only", choices=["once", "twice", "real"], help="one manner of dying")
    parser.add_argument("--at", type=int, default=1, help="begin with this effect")
    parser.add_argument("--keep", type=Path, help="keep the folders of runs that went wrong")
    parser.add_argument("--wallet", choices=["bdk", "core"], default="bdk", help="whose wallets")
    parser.add_argument("-v", action="store_true", help="tell every kill")
    return parser.parse_args()


def _tasks(options: argparse.Namespace) -> list[Task]:
    """Once: at every effect. Twice, with two `resume` at a time: at every fourth, and at none."""
    tasks = []
    for number, way in enumerate(WAYS):
        if not any(words in way.name for words in options.paths.split(";")):
            continue
        for party in way.parties:
            if options.party not in (None, party):
                continue
            if options.only in (None, "once"):
                stride = way.stride * options.stride
                tasks.append(Task(number, party, first=options.at, stride=stride))
            twice = party is not Party.MAILROOM and not way.alone
            if options.only in (None, "twice") and twice:
                first = 2 + number % 3
                tasks.append(
                    Task(number, party, first=first, stride=4 * options.stride, twice=True)
                )
            if options.only in (None, "real") and way.timeless and party is not Party.MAILROOM:
                tasks.append(Task(number, party, first=4, stride=8 * options.stride, real=True))
    return tasks


def _work(tasks: list[Task], folder: Path, options: argparse.Namespace) -> Iterator[Result]:
    """Share the tasks out among processes, and give their results as they come."""
    todo, todo_end = os.pipe()
    done, done_end = os.pipe()
    for number in range(len(tasks)):
        os.write(todo_end, _NUMBER.pack(number))
    os.close(todo_end)
    workers = []
    for job in range(options.jobs):
        pid = os.fork()
        if pid == 0:
            os.close(done)
            os._exit(_serve(tasks, folder / str(job), todo, done_end, options))
        workers.append(pid)
    os.close(done_end)
    with os.fdopen(done) as lines:
        for line in lines:
            yield pickle.loads(bytes.fromhex(line))  # noqa: S301 - of our own making
    if any(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers):
        raise SystemExit("A part of the harness failed: see above.")


def _serve(
    tasks: list[Task], folder: Path, todo: int, done: int, options: argparse.Namespace
) -> int:
    folder.mkdir()
    warm(folder)
    gc.collect()
    gc.freeze()  # what every fork shares is not to be touched
    ports = _ports(node=options.wallet == "core")
    worker = Worker(folder, ports, folder.parent / f"bodies-{folder.name}", keep=options.keep)
    try:
        while record := os.read(todo, _NUMBER.size):
            task = tasks[_NUMBER.unpack(record)[0]]
            for result in worker.sweep(WAYS[task.way], task):
                os.write(done, f"{pickle.dumps(result).hex()}\n".encode())
    except BaseException:  # noqa: BLE001 - the process ends here
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _ports(*, node: bool) -> Ports:
    """Ports below those that systems give away, so that they stay ours between runs."""
    found: list[int] = []
    while len(found) < 4 + node:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return Ports(*found)


def _told(results: Iterator[Result], options: argparse.Namespace) -> Iterator[Result]:
    for result in results:
        name = WAYS[result.task.way].name
        bad = result.verdict.ending in (Ending.LOST, Ending.DOUBLED)
        if options.v or bad:
            how = " (two at once)" * result.task.twice + " (installed)" * result.task.real
            _say(
                f"{name}: {result.task.party}{how} killed at {result.at}, {result.struck}:"
                f" {result.verdict.ending}. {result.verdict.trouble or ''}"
            )
        yield result


def _print_table(results: list[Result]) -> None:
    head = f"{'path':<46} {'party':<9} {'':<9} {'kills':>5} {'payjoin':>8} {'fallback':>8}"
    _say(f"{head} {'direct':>8} {'released':>8} {'lost':>5} {'doubled':>8}")
    groups: dict[tuple[int, str, str], list[Result]] = {}
    for result in results:
        manner = "two" if result.task.twice else "installed" if result.task.real else ""
        groups.setdefault((result.task.way, result.task.party, manner), []).append(result)
    for (way, party, manner), found in sorted(groups.items()):
        count = _count(filter(_counts, found))
        columns = " ".join(
            f"{count[ending]:>{width}}"
            for ending, width in zip(Ending, (8, 8, 8, 8, 5, 8), strict=True)
        )
        kills = sum(1 for result in found if result.at and result.struck)
        _say(f"{WAYS[way].name:<46} {party:<9} {manner:<9} {kills:>5} {columns}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _counts(result: Result) -> bool:
    """Kills, and whatever went wrong without one."""
    return bool(result.struck and result.at) or result.verdict.trouble is not None


def _count(results: Iterable[Result]) -> Counter[Ending]:
    return Counter(result.verdict.ending for result in results)


def _endings(count: Counter[Ending]) -> str:
    return (
        f"{count[Ending.PAYJOIN]} ended by payjoin, {count[Ending.FALLBACK]} by fallback,"
        f" {count[Ending.DIRECT]} directly, {count[Ending.RELEASED]} released,"
        f" {count[Ending.LOST]} lost, {count[Ending.DOUBLED]} doubled"
    )


def _bodies(folder: Path) -> list[list[str]]:
    return [
        line.split() for file in folder.glob("bodies-*") for line in file.read_text().splitlines()
    ]


def _repeated(values: list[str]) -> int:
    return len(values) - len(set(values))


def _conclude(results: list[Result], bodies: list[list[str]], seconds: float) -> int:
    asked = {whole for where, whole, _ in bodies if where == ASKED}
    left = [(whole, key) for where, whole, key in bodies if where == LEFT]
    twice, keyed_twice = (
        (_repeated(list(each)) for each in zip(*left, strict=True)) if left else (0, 0)
    )
    unasked = sum(1 for whole, _ in left if whole not in asked)
    _say(
        f"\n{len(left)} OHTTP ciphertexts left by sockets; {twice} of them twice,"
        f" {keyed_twice} with a key of another, {unasked} unasked (P1)."
    )
    undisturbed = [result for result in results if not result.struck or not result.at]
    if undisturbed:
        told = _endings(_count(undisturbed))
        _say(f"{len(undisturbed)} runs with two `resume` at once and no kill: {told}.")
    _say(f"{seconds:.0f} s")
    kills = sum(1 for result in results if result.struck and result.at)
    _say(f"{kills} kills: {_endings(_count(filter(_counts, results)))}")
    count = _count(results)
    bad = count[Ending.LOST] + count[Ending.DOUBLED] + twice + keyed_twice + unasked
    blind = bool(asked) and not left
    return int(bad > 0 or kills == 0 or blind)


if __name__ == "__main__":
    sys.exit(main())
