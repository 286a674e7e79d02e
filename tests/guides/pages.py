"""What README and the guides show: commands, what they print, and programs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sybil import Document
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

ROOT = Path(__file__).parents[2]
_LEXER = FencedCodeBlockLexer(r"console|python")
_NOT_RUN = re.compile(r"<!-- not run: ([^>]+) -->\s*\Z")
_ANSWERED = re.compile(r"\[y/N\]: (\w+)$")


@dataclass(frozen=True, slots=True)
class Command:
    """A line after `$`, with what the page shows of its output."""

    line: int
    text: str
    shown: list[str] = field(default_factory=list)

    @property
    def answers(self) -> list[str]:
        """What a person types, as the page shows it."""
        return [found[1] for line in self.shown if (found := _ANSWERED.search(line))]


@dataclass(frozen=True, slots=True)
class Page:
    """A page's commands in their order, its Python in one piece, and what is not run, with why."""

    path: Path
    commands: list[Command]
    program: str
    not_run: list[tuple[int, str]]


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs/guides").glob("*.md"))]


def read(path: Path) -> Page:
    """Blocks as the examples' own lexer finds them; a comment before one says why it is not run."""
    document = Document(path.read_text(), str(path))
    page = Page(path, [], "", [])
    program: list[str] = []
    for block in _LEXER(document):
        line = document.text.count("\n", 0, block.start) + 1
        mark = _NOT_RUN.search(document.text[: block.start])
        text = str(block.lexemes["source"])
        if mark:
            page.not_run.append((line, mark[1]))
        elif block.lexemes["language"] == "python":
            program.append(text)
        else:
            page.commands.extend(_commands(text, line + 1))
    return Page(path, page.commands, "\n".join(program), page.not_run)


def _commands(text: str, first: int) -> Iterator[Command]:
    now: Command | None = None
    goes_on = False
    for number, line in enumerate(text.rstrip("\n").split("\n"), first):
        if goes_on and now is not None:
            now = Command(now.line, now.text + "\n" + line)
        elif line.startswith("$ "):
            if now is not None:
                yield now
            now = Command(number, line[2:])
        elif now is not None and line.strip():
            now.shown.append(line)
        goes_on = line.endswith("\\")
    if now is not None:
        yield now


def pattern(shown: str) -> re.Pattern[str]:
    """What a printed line must look like: `…` is anything, and numbers and ids are any."""
    loose = re.sub(r"[0-9a-f]{64}", "…", shown)
    loose = _ANSWERED.sub("[y/N]:", loose)
    loose = re.sub(r"\d+h \d+m", "…", loose)
    loose = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\b\d\d:\d\d:\d\d\b", "…", loose)
    words = (re.escape(part) for part in re.sub(r"…+", "…", loose).split("…"))
    return re.compile(r"[^\n]*".join(words).replace(r"\ ", r"\s+").strip())
