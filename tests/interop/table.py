"""The matrix as text on a terminal, and as the page of the docs."""

from collections.abc import Sequence

from tests.interop.runner import Result

_WIDTHS = (15, 15, 13, 13, 4)


def heading() -> str:
    columns = ("sender", "receiver", "directory", "relay", "")
    cells = "".join(name.ljust(width) for name, width in zip(columns, _WIDTHS, strict=True))
    return f"{cells}{'what':<62}seconds  rate and amount"


def row(result: Result) -> str:
    """One pairing on a line, and what went wrong below it."""
    pairing = result.pairing
    columns = (
        pairing.sender,
        pairing.receiver,
        pairing.directory or "-",
        pairing.relay or "-",
        pairing.version,
    )
    cells = "".join(name.ljust(width) for name, width in zip(columns, _WIDTHS, strict=True))
    what = f"{pairing.group.lower()}: {pairing.what}"
    if result.missing:
        return f"{cells}{what:<62}not run"
    if result.fault:
        return f"{cells}{what:<62}{result.seconds:6.1f}  FAILED\n{result.fault}"
    costs = "" if result.costs is None else f"   {result.costs}"
    return f"{cells}{what:<62}{result.seconds:6.1f}{costs}"


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
