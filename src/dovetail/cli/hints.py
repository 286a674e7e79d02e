"""Commands told to a person: they repeat the options that say where wallet and sessions are."""

import re
import shlex
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_OPTIONS = ("--config", "--data-dir", "--network")
_COMMAND = re.compile(r"`dovetail (?!run`|(?:completion|demo|mailroom|regtest)\b)([a-z][^`]*)`")
_GIVEN: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("given", default=())


@contextmanager
def repeating(arguments: Sequence[str]) -> Generator[None]:
    """Meanwhile `repeated` knows the options of this command line, as they were typed."""
    token = _GIVEN.set(tuple(_found(arguments).items()))
    try:
        yield
    finally:
        _GIVEN.reset(token)


def repeated(text: str) -> str:
    """The text, its commands in backticks ready to be typed: for the same wallet as this one."""
    return _COMMAND.sub(lambda found: f"`{spelled(found[1])}`", text)


def _found(arguments: Sequence[str]) -> dict[str, str]:
    """The last value of each; what follows `--` is no option."""
    found: dict[str, str] = {}
    left = iter(arguments)
    for each in left:
        name, parted, value = each.partition("=")
        if each == "--":
            break
        if name in _OPTIONS:
            found[name] = value if parted else next(left, "")
    return found


def spelled(command: str) -> str:
    """A whole command line, ready to be typed: for the same wallet as this one.

    A page of help needs no options, and no option is said twice.
    """
    if command.endswith("--help"):
        return f"dovetail {command}"
    given = _GIVEN.get()
    options = [f"{name} {shlex.quote(value)} " for name, value in given if name not in command]
    return f"dovetail {''.join(options)}{command}"
