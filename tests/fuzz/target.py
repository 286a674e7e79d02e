"""What a fuzz target is: something that takes any bytes and holds what we promise about them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dovetail.errors import ParseError

T = TypeVar("T")

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
"""Inputs that reach what others do not, a folder for each target; replayed by `make test`."""
CRASHES = HERE / "crashes"
"""Inputs that once broke a promise, a folder for each target; replayed for ever."""


@dataclass(frozen=True, slots=True)
class Target:
    """A promise about any bytes: `run` returns, or raises what the promise forbids.

    An input that is refused as it should be returns. `seeds` are inputs to begin with, built
    from the tests' own facts; `words` are what an input of text is made of; `longest` is the
    size in bytes beyond which nothing new is to be expected.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...] = ()
    longest: int = 4096

    def kept(self) -> list[Path]:
        folders = (CORPUS / self.name, CRASHES / self.name)
        return sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir())


def parsed(
    parse: Callable[..., T],
    *args: Any,
    error: type[Exception] | tuple[type[Exception], ...] = ParseError,
) -> T | None:
    """The value, or None where the parser refuses with its own error; all else escapes."""
    try:
        return parse(*args)
    except error as refusal:
        sentence = str(refusal)
        require(sentence.endswith((".", "?")), "an error ends as a sentence does")
        return None


def require(holds: bool, promise: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise unless the promise holds; unlike `assert`, also where assertions are switched off."""
    if not holds:
        raise BrokenPromise(promise)


class BrokenPromise(AssertionError):
    """An input made the code break what it promises."""


def rereads(
    parse: Callable[..., T],
    write: Callable[[T], Any],
    error: type[Exception],
    *,
    text: str = "",
    also: Callable[[T, Any], None] = lambda _found, _data: None,
) -> Callable[[bytes], None]:
    """What a parser takes, it takes again as it was written; the input is `text` in this code.

    `also` holds more of it, and of the input.
    """

    def run(data: bytes) -> None:
        given = data.decode(text, "surrogateescape") if text else data
        found = parsed(parse, given, error=error)
        if found is not None:
            require(parse(write(found)) == found, "it reads as it was written")
            also(found, given)

    return run


def same(write: Callable[[T], Any], promise: str) -> Callable[[T, Any], None]:
    """The input is the only form of what was read."""
    return lambda found, given: require(write(found) == given, promise)
