"""Writes the man page from the commands: `dovetail.1`, which the wheel installs."""

import inspect
from collections.abc import Iterable

import click

from dovetail.cli.app import SECTIONS, app
from dovetail.cli.config import KEYS
from dovetail.cli.exits import MEANINGS
from dovetail.cli.help_layout import EVERYWHERE, Command, section_of, sections
from tools.docs.commands import walk

_HEAD = """\
.\\" Written by `python -m tools.docs.reference`; edit the commands instead.
.TH DOVETAIL 1 "" "Dovetail" "Dovetail"
.SH NAME
dovetail \\- private Bitcoin payments by payjoin
.SH SYNOPSIS
.B dovetail
.RI [ options ] " command " [ arguments ]
.SH DESCRIPTION"""


def page() -> str:
    """The whole page, in the man macros."""
    context = click.Context(app, info_name="dovetail")
    everywhere = sections(app.params, context)[EVERYWHERE]
    parts = [_HEAD, _paragraphs(app.help or "")]
    parts += ['.SH "COMMANDS IN SHORT"', *_short()]
    parts += ['.SH "OPTIONS OF EVERY COMMAND"', *_terms(everywhere)]
    parts += [".SH COMMANDS"]
    parts += [_command(path, command) for path, command in walk(app, ("dovetail",))]
    parts += [".SH ENVIRONMENT", *_environment()]
    codes = ((str(code.value), words) for code, words in MEANINGS.items())
    parts += ['.SH "EXIT STATUS"', *_terms(codes), ".SH EXAMPLES", *_terms(app.examples.items())]
    return "\n".join(parts) + "\n"


def _short() -> Iterable[str]:
    for title, entries in SECTIONS.items():
        yield f'.SS "{_safe(title)}"'
        yield from _terms((name, entry.summary) for name, entry in entries.items())


def _command(path: tuple[str, ...], command: click.Command) -> str:
    name = " ".join(path)
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f'.SS "{_safe(name)} {_safe(usage)}"', _paragraphs(command.help or "")]
    own = [each for each in command.params if section_of(each) != EVERYWHERE]
    for records in sections(own, context).values():
        parts += _terms(records)
    if isinstance(command, Command) and command.examples:
        parts += [".PP", "Examples:", *_terms(command.examples.items())]
    return "\n".join(parts)


def _environment() -> Iterable[str]:
    yield "Each is also a key of the configuration file, in small letters and without DOVETAIL_."
    yield from _terms((key.variable, f"{key.words} Default: {key.default_words}.") for key in KEYS)


def _terms(records: Iterable[tuple[str, str]]) -> Iterable[str]:
    for term, words in records:
        yield f".TP\n.B {_safe(term)}\n{_safe(' '.join(words.split()))}"


def _paragraphs(text: str) -> str:
    return "\n.PP\n".join(
        _safe(" ".join(each.split())) for each in inspect.cleandoc(text).split("\n\n")
    )


def _safe(text: str) -> str:
    """Text whose letters mean nothing to roff: a hyphen is one, and no line is a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("…", "...")
    return f"\\&{text}" if text.startswith((".", "'")) else text
