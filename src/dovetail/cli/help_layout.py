"""How help is laid out: options by what they are for, examples at the end, at any width."""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import click

from dovetail.cli import terminal

OWN = "Options"
NETWORK = "Ways to the network"
SERVER = "A server of your own"
WALLET = "The wallet's passphrase"
PROGRAMS = "For programs"
EVERYWHERE = "With every command"
SECTIONS = (OWN, SERVER, NETWORK, WALLET, PROGRAMS, EVERYWHERE)
"""The parts of a command's options, the common ones first."""

WIDEST, NARROW = 98, 60
_TERM, _GAP = 28, 2


class SectionedOption(click.Option):
    """An option that knows in which part of the help it stands."""

    section = OWN

    def __init__(self, *args: Any, section: str | None = None, **attributes: Any) -> None:
        """Take click's arguments, and the part."""
        super().__init__(*args, **attributes)
        self.section = section or type(self).section


def section_of(option: click.Parameter) -> str:
    """The part of the help in which an option stands."""
    if {"--help", "--version"} & set(option.opts):
        return EVERYWHERE
    return option.section if isinstance(option, SectionedOption) else OWN


class Formatter(click.HelpFormatter):
    """Writes help that fits the terminal, broken at spaces alone."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how a command is called."""
        prefix = prefix or "Usage: "
        line = terminal.wrapped(f"{' ' * len(prefix)}{prog} {args}".rstrip(), self.width)
        self.write(f"{prefix}{line[len(prefix) :]}\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        indent = " " * self.current_indent
        paragraphs = (" ".join(each.split()) for each in text.split("\n\n"))
        told = (terminal.wrapped(f"{indent}{each}", self.width) for each in paragraphs)
        self.write("\n\n".join(told) + "\n")

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = _TERM, col_spacing: int = _GAP
    ) -> None:
        """Write terms beside what they mean, or above it where there is little room."""
        rows = list(rows)
        if self.width < NARROW:
            self._write_below(rows)
            return
        indent = " " * self.current_indent
        column = min(max(len(term) for term, _ in rows), col_max)
        for term, words in rows:
            told = " ".join(words.split())
            if len(term) > column:
                self.write(f"{indent}{term}\n")
                term = ""  # noqa: PLW2901 - the words stand alone now
            beside = f"{indent}{term:<{column}}{' ' * col_spacing}{told}"
            self.write(f"{terminal.wrapped(beside, self.width)}\n")

    def _write_below(self, rows: Iterable[tuple[str, str]]) -> None:
        indent = " " * self.current_indent
        for term, words in rows:
            self.write(f"{terminal.wrapped(indent + term.strip(), self.width)}\n")
            told = " ".join(words.split())
            self.write(f"{terminal.wrapped(f'{indent}    {told}', self.width)}\n")

    def getvalue(self) -> str:
        """The help in letters that the terminal has."""
        return terminal.spelled(super().getvalue(), sys.stdout)


class Context(click.Context):
    """A context whose help is as wide as the terminal, in reason."""

    def make_formatter(self) -> click.HelpFormatter:
        """Begin to write help."""
        columns = terminal.room(sys.stdout).columns if sys.stdout is not None else WIDEST
        return Formatter(width=max(20, min(columns - 2, WIDEST)))


class Command(click.Command):
    """A command with examples: what is typed, and what it is for."""

    context_class = Context

    def __init__(
        self, *args: Any, examples: Mapping[str, str] | None = None, **attributes: Any
    ) -> None:
        """Take click's arguments, and the examples."""
        super().__init__(*args, **attributes)
        self.examples = examples or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; raises `click.UsageError` with what is like a mistyped option."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            names = [name for each in self.get_params(ctx) for name in each.opts]
            guesses = likely(error.option_name, [name for name in names if name[:2] == "--"])
            words = f"No such option '{error.option_name}'.{did_you_mean(guesses)}"
            raise click.UsageError(words, ctx) from error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options by what they are for."""
        for name, records in sections(self.get_params(ctx), ctx).items():
            with formatter.section(name):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the examples last."""
        if self.examples:
            with formatter.section("Examples"):
                for line, words in self.examples.items():
                    formatter.write(f"{terminal.wrapped(f'  {line}', formatter.width)}\n")
                    formatter.write(f"{terminal.wrapped(f'      {words}', formatter.width)}\n")
        super().format_epilog(ctx, formatter)


class Group(Command, click.Group):
    """A group that says which command may have been meant."""

    command_class = Command
    synonyms: Mapping[str, str] = {}
    """Words that people type for a command's name, and the command."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands first."""
        self.format_commands(ctx, formatter)
        Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with the whole first sentence of its help."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(200)) for name, each in found if each is not None]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; raises `click.UsageError` with what is like its name."""
        name = args[0]
        if not (name.startswith("-") or ctx.resilient_parsing or self.get_command(ctx, name)):
            meant = self.synonyms.get(name.lower())
            guesses = [meant] if meant else likely(name, self.list_commands(ctx))
            raise click.UsageError(f"No such command '{name}'.{did_you_mean(guesses)}", ctx)
        return super().resolve_command(ctx, args)


def command(
    name: str | None = None, *, cls: type[Command] = Command, **attributes: Any
) -> Callable[[Callable[..., Any]], Command]:
    """`click.command`, laid out like this."""
    return click.command(name, cls=cls, **attributes)


def sections(
    parameters: Sequence[click.Parameter], ctx: click.Context
) -> dict[str, list[tuple[str, str]]]:
    """Each part that has options, with their names and meanings."""
    found: dict[str, list[tuple[str, str]]] = {}
    for section in SECTIONS:
        for each in parameters:
            if isinstance(each, click.Option) and section_of(each) == section:
                record = each.get_help_record(ctx)
                found.setdefault(section, []).extend([] if record is None else [record])
    return found


def likely(name: str, among: Collection[str]) -> list[str]:
    """The names that may have been meant, the likeliest first."""
    import difflib  # noqa: PLC0415 - for mistakes alone

    bare = {each.lstrip("-"): each for each in among}  # what all begin with says nothing
    return [bare[each] for each in difflib.get_close_matches(name.lower().lstrip("-"), bare, n=2)]


def did_you_mean(guesses: Sequence[str]) -> str:
    """The guesses in a question; empty where there are none."""
    return f" Did you mean {' or '.join(f'`{each}`' for each in guesses)}?" if guesses else ""
