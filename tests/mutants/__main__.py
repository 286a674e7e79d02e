"""`python -m tests.mutants [NAME...]`: every deliberate bug, and the test that catches it."""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from tests.mutants.mutant import Mutant, mutants
from tests.mutants.trial import Verdict, try_mutant, unmutated


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; all unless given")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("-v", action="store_true", help="tell what the tests said")
    options = parser.parse_args()
    known = mutants()
    if unknown := sorted(set(options.names) - {each.name for each in known}):
        parser.error(f"no such mutant: {', '.join(unknown)}")
    chosen = [each for each in known if not options.names or each.name in options.names]
    with ThreadPoolExecutor(options.jobs) as pool:
        unsound = _check_tests(pool, chosen, options.jobs)
        _say(f"{'mutant':<42} {'rule':<11} {'seconds':>7}  caught by")
        caught = 0
        for verdict in pool.map(try_mutant, chosen):
            problem = verdict.problem
            if verdict.mutant.caught_by in unsound:
                problem = f"its test fails without it: {verdict.mutant.caught_by}"
            caught += problem is None
            _tell(verdict, problem, words=options.v)
    _say(f"{caught} of {len(chosen)} mutants caught")
    return 0 if caught == len(chosen) else 1


def _check_tests(pool: ThreadPoolExecutor, chosen: Sequence[Mutant], jobs: int) -> dict[str, str]:
    """The named tests that do not pass without any mutant: these can catch nothing."""
    tests = sorted({each.caught_by for each in chosen})
    share = -(-len(tests) // jobs)
    parts = [tests[at : at + share] for at in range(0, len(tests), share)]
    unsound = dict(chain.from_iterable(each.items() for each in pool.map(unmutated, parts)))
    _say(f"{len(tests) - len(unsound)} of {len(tests)} named tests pass without a mutant")
    for test, message in unsound.items():
        _say(f"  {test}: {message}")
    return unsound


def _tell(verdict: Verdict, problem: str | None, *, words: bool) -> None:
    mutant = verdict.mutant
    shown = mutant.caught_by if problem is None else f"NOT CAUGHT: {problem}"
    _say(f"{mutant.name:<42} {mutant.rule:<11} {verdict.seconds:>7.1f}  {shown}")
    if problem is not None:
        _say(f"  {mutant.what}\n  in src/dovetail/{mutant.file}, for {mutant.caught_by}")
    if words or problem is not None:
        _say("".join(f"    | {line}\n" for line in verdict.message.splitlines()[:6]), end="")


def _say(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
