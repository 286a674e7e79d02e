"""How a command ends: the exit codes, and errors as one sentence each."""

import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import click

from dovetail.cli import error_codes
from dovetail.cli.actions import error_words
from dovetail.cli.hints import repeated, repeating
from dovetail.cli.output import clear, write
from dovetail.errors import (
    DovetailError,
    DuplicateSession,
    ParseError,
    SessionNotFound,
    UsageError,
)


class Exit(IntEnum):
    """The exit codes; scripts depend on them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    IN_PROGRESS = 3
    FALLBACK_PENDING = 4


MEANINGS = {
    Exit.DONE: "Done: what was asked for was done, and a session that was followed was paid.",
    Exit.FAILED: "Failed: something did not work, or a session ended without its payment.",
    Exit.USAGE: "Usage: the command line, the configuration or the request itself is wrong.",
    Exit.IN_PROGRESS: "Still in progress: a session was left on its way; `resume` goes on.",
    Exit.FALLBACK_PENDING: "Fallback pending: a session waits for `fallback` or `release`.",
}


NO_OUTPUT = (
    "Standard output is closed, so no result could be shown, and nothing was done: leave it open,"
    " or send it to a file."
)
UNREAD = (
    "Standard output was closed. A session that had begun is kept: `dovetail history` shows it,"
    " and `dovetail resume` goes on."
)
_HELP = frozenset({"-h", "--help", "--version"})
_ERROR = "Error: "
_OPTIONAL = re.compile(r"'\[([^]]+)\]'")
"""How click names an argument that may be left away."""
STOPPED = "Stopped before anything was done; open sessions are as they were."


def run(command: click.Command, args: list[str] | None = None) -> int:
    """Run `command`; whatever goes wrong is one sentence on stderr and an exit code."""
    with repeating(_arguments(args)):
        code = _run(command, args)
    _let_go()
    return code


def _let_go() -> None:
    """Flush stdout, and drop what cannot be printed, so that it does not fail again at the exit."""
    output = sys.stdout
    if output is None:  # as where the shell closed it
        return
    try:
        output.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())


def _run(command: click.Command, args: list[str] | None) -> int:
    output = sys.stdout
    if output is None:  # as where the shell closed it
        return _failed(Failure(error_codes.SYSTEM, NO_OUTPUT, Exit.USAGE), ())
    try:
        return _code(command.main(args, prog_name="dovetail", standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return Exit.USAGE
    except SystemExit:  # click's own way out where the reader has left: it muffles the output
        if sys.stdout is output:
            raise
        return _unread(args)
    except click.Abort:
        return _failed(Failure(error_codes.STOPPED, STOPPED, Exit.FAILED), args, plainly=True)
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback, no values (P4)
        return _failed(_failure(error), args)


def _unread(args: Sequence[str] | None) -> int:
    """End quietly after a help page; else say where to look for what was begun."""
    if _HELP.isdisjoint(_arguments(args)):
        return _failed(Failure(error_codes.SYSTEM, UNREAD, Exit.FAILED), args)
    return Exit.DONE


def _arguments(args: Sequence[str] | None) -> Sequence[str]:
    return sys.argv[1:] if args is None else args


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that ended a command: its code for programs, its sentence, and the exit code."""

    code: str
    sentence: str
    exit: Exit


def _failure(error: Exception) -> Failure:
    match error:
        case click.ClickException():
            return Failure(error_codes.COMMAND_LINE, _sentence(error), Exit.USAGE)
        case UsageError() | ParseError() | SessionNotFound() | DuplicateSession():
            return Failure(error_codes.code_of(error), error_words(error), Exit.USAGE)
        case DovetailError():
            return Failure(error_codes.code_of(error), error_words(error), Exit.FAILED)
        case ModuleNotFoundError():
            words = (
                f"This command needs `{error.name}`, which is not installed:"
                " pip install 'dovetail-payjoin[cli,mailroom,regtest]'."
            )
            return Failure(error_codes.MISSING, words, Exit.FAILED)
        case OSError():
            words = (
                f"The system refused to go on: {error.strerror or type(error).__name__}."
                " Check the disk and the permissions of the data directory, then try again."
            )
            return Failure(error_codes.SYSTEM, words, Exit.FAILED)
        case _:
            words = (
                f"Dovetail has a bug ({_place(error)}); no session is lost:"
                " `dovetail resume` goes on. Please report this message."
            )
            return Failure(error_codes.FAULT, words, Exit.FAILED)


def _code(answer: object) -> int:
    return answer if isinstance(answer, int) else Exit.DONE


def _sentence(error: click.ClickException) -> str:
    """Click's message in one sentence, and where to read on."""
    words = _OPTIONAL.sub(r"'\1'", " ".join(error.format_message().split()))
    words = f"{words[:1].upper()}{words[1:]}"
    words = words if words.endswith((".", "?", "!")) else f"{words}."
    context = error.ctx if isinstance(error, click.UsageError) else None
    return words if context is None else f"{words} See `{context.command_path} --help`."


def _failed(failure: Failure, args: Sequence[str] | None, *, plainly: bool = False) -> int:
    """Say it on stderr, and to a program on stdout."""
    clear()
    words = repeated(failure.sentence)
    if plainly:
        write(words, err=True)
    else:
        write(f"{_ERROR}{words}", err=True, label=len(_ERROR), fg="red", bold=True)
    if error_codes.asked_for(_arguments(args)):
        with suppress(OSError):  # who is gone hears nothing
            error_codes.tell(failure.code, words, failure.exit)
    return failure.exit


def _place(error: Exception) -> str:
    """The place of the error, without its message, which may hold private data (P4)."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    return f"{type(error).__name__} at {where}"
