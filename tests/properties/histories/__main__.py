"""Many random histories on all processors: `python -m tests.properties.histories --help`."""

import argparse
import multiprocessing
import os
import secrets
import sys
from concurrent.futures import Future, ProcessPoolExecutor

from tests.properties.histories.ledger import INVARIANTS, RULES
from tests.properties.histories.machines import MACHINES
from tests.properties.histories.runner import Report, run

CHUNK = 500
"""Histories in one task; each has a seed of its own, so that `--jobs` changes nothing."""


def main() -> int:
    chosen = _arguments()
    context = multiprocessing.get_context("spawn")
    say(f"{'machine':28}{'histories':>10}{'steps':>10}{'checks':>11}  rules checked")
    total = Report("all")
    with ProcessPoolExecutor(chosen.jobs, mp_context=context) as pool:
        tasks = {
            machine: [
                pool.submit(run, machine, size, f"{chosen.seed}/{machine}/{number}")
                for number, size in enumerate(_chunks(chosen.histories))
            ]
            for machine in MACHINES
        }
        for machine, futures in tasks.items():
            total += _row(machine, futures)
    for name, sentence in INVARIANTS.items():
        say(f"{sentence:72}{total.checked[name]:>11}  {name}")
    for failure in total.failures:
        say(f"\n{failure}")
    say(f"{total.histories} histories, {len(total.failures)} violations, seed {chosen.seed}")
    return 1 if total.failures else 0


def _row(machine: str, futures: list[Future[Report]]) -> Report:
    report = Report(machine)
    for future in futures:
        report += future.result()
    rules = " ".join(rule for rule in (*RULES, *INVARIANTS) if report.checked[rule])
    say(
        f"{machine:28}{report.histories:>10}{report.steps:>10}{report.checked.total():>11}  {rules}"
    )
    return report


def _chunks(histories: int) -> list[int]:
    whole, rest = divmod(histories, CHUNK)
    return [CHUNK] * whole + ([rest] if rest else [])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.properties.histories", description=__doc__)
    parser.add_argument("--histories", type=int, default=10_000, help="for each machine")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
