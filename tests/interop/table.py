"""The matrix as text on a terminal, and as the page of the docs."""

from collections.abc import Sequence

from tests.interop.runner import Result

_WIDTHS = (15, 15, 13, 13, 4)


def _cells(*columns: str) -> str:
    return "".join(name.ljust(width) for name, width in zip(columns, _WIDTHS, strict=True))


def heading() -> str:
    cells = _cells("sender", "receiver", "directory", "relay", "")
    return f"{cells}{'what':<62}seconds  rate and amount"


def row(result: Result) -> str:
    """One pairing on a line, and what went wrong below it."""
    of = result.pairing
    cells = _cells(of.sender, of.receiver, of.directory or "-", of.relay or "-", of.version)
    what = f"{cells}{f'{of.group.lower()}: {of.what}':<62}"
    if result.missing:
        return f"{what}not run"
    if result.fault:
        return f"{what}{result.seconds:6.1f}  FAILED\n{result.fault}"
    costs = "" if result.costs is None else f"   {result.costs}"
    return f"{what}{result.seconds:6.1f}{costs}"


def conclusion(results: Sequence[Result]) -> str:
    """How many of what, and how to get what is missing."""
    passed = sum(result.passed for result in results)
    failed = sum(bool(result.fault) for result in results)
    reasons = dict.fromkeys(result.missing for result in results if result.missing)
    lines = [
        f"not run, {sum(result.missing == reason for result in results)} pairings: {reason}"
        for reason in reasons
    ]
    slowest = max((result.seconds for result in results), default=0.0)
    lines.append(f"the slowest took {slowest:.1f} s after its set-up")
    left = len(results) - passed - failed
    lines.append(f"{passed} pairings passed, {failed} failed, {left} not run")
    return "\n".join(lines)
