"""`python -m tests.fuzz [NAME...]`: inputs that coverage chooses, against what we promise."""

import argparse
import sys

from tests.fuzz.campaign import Finding, fuzz
from tests.fuzz.keeping import keep
from tests.fuzz.registry import TARGETS
from tests.fuzz.target import Target

LEAST = 2
"""Seconds below which a target does not even begin."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; all unless given")
    parser.add_argument("--seconds", type=int, default=10, help="for each target (default: 10)")
    parser.add_argument("--minutes", type=float, help="for all targets together, instead")
    parser.add_argument("--list", action="store_true", help="name the targets and do no more")
    parser.add_argument("--keep", action="store_true", help="write the kept corpus anew, from all")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - TARGETS.keys()):
        parser.error(f"no such target: {', '.join(unknown)}; see --list")
    chosen = [each for name, each in TARGETS.items() if name in options.names or not options.names]
    if options.list:
        say("\n".join(each.name for each in chosen))
        return 0
    if options.keep:
        for target in chosen:
            say(f"{target.name:<20} {keep(target)}")
        return 0
    seconds = options.seconds
    if options.minutes is not None:
        seconds = int(options.minutes * 60 / len(chosen))
    return _fuzz_all(chosen, max(LEAST, seconds))


def _fuzz_all(chosen: list[Target], seconds: int) -> int:
    say(f"{'target':<20}{'executions':>11}{'seconds':>9}{'corpus':>8}{'edges':>7}{'features':>10}")
    executions, findings = 0, list[Finding]()
    for target in chosen:
        run = fuzz(target, seconds)
        executions += run.executions
        findings += run.findings
        mark = f"  {len(run.findings)} crash" if run.findings else ""
        say(
            f"{target.name:<20}{run.executions:>11}{run.seconds:>9.1f}{run.corpus:>8}"
            f"{run.edges:>7}{run.features:>10}{mark}"
        )
    for finding in findings:
        say(f"\n{finding.told()}")
    say(f"\n{len(chosen)} targets, {executions} executions, {len(findings)} crashes")
    return 1 if findings else 0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
