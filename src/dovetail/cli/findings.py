"""What a check has found, a line for each part."""

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from dovetail.cli import terminal
from dovetail.cli.exits import Exit
from dovetail.cli.output import Screen

_NARROWEST = 30


class Finding(Protocol):
    """What one test has found: a sentence, which says what to do where it is not well."""

    @property
    def about(self) -> str:
        """The part that was tested."""
        ...

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        ...

    @property
    def words(self) -> str:
        """The sentence."""
        ...


def tell(screen: Screen, found: Sequence[Finding], keys: Mapping[str, str]) -> int:
    """Print all findings; a failure where something is wrong."""
    for line in _lines(found):
        screen.result(line)
    well = all(each.is_well for each in found)
    told = [{"about": each.about, "well": each.is_well, "words": each.words} for each in found]
    screen.emit(keys, {"well": well, "findings": told})
    wrong = sum(not each.is_well for each in found)
    if wrong:
        screen.say(f"To mend: {wrong} of {len(found)}, marked WRONG. Then run the check again.")
    else:
        screen.say("All is well.")
    return Exit.DONE if well else Exit.FAILED


def _lines(found: Sequence[Finding]) -> Iterator[str]:
    """A line for each finding; what has no room in a terminal goes on below."""
    names = [terminal.spelled(each.about, sys.stdout) for each in found]
    widest = max(map(terminal.cells, names))
    room = terminal.width(sys.stdout)
    for name, each in zip(names, found, strict=True):
        gap = " " * (widest - terminal.cells(name) + 2)
        head = f"{'ok' if each.is_well else 'WRONG':<7}{name}{gap}"
        words = terminal.spelled(each.words, sys.stdout)
        if room is None:
            yield f"{head}{words}"
            continue
        columns = max(room - terminal.cells(head), _NARROWEST)
        parts = textwrap.wrap(words, columns, break_long_words=False, break_on_hyphens=False)
        below = " " * terminal.cells(head)
        yield f"\n{below}".join([f"{head}{parts[0]}", *parts[1:]])
