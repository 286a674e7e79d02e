"""How a command ends: the exit codes, and errors as one sentence each."""

import os
import sys
import traceback
from enum import IntEnum
from pathlib import Path

import click

from dovetail.cli.output import colour
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
STOPPED = "Stopped before anything was done; open sessions are as they were."


def run(command: click.Command, args: list[str] | None = None) -> int:
    """Run `command`; whatever goes wrong is one sentence on stderr and an exit code."""
    code = _run(command, args)
    _let_go()
    return code


def _let_go() -> None:
    """Leave nothing to print at the end, where what could not be printed would fail once more."""
    output = sys.stdout
    if output is None:  # as where the shell closed it
        return
    try:
        output.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())


def _run(command: click.Command, args: list[str] | None) -> int:
    if sys.stdout is None:  # as where the shell closed it
        return _failed(NO_OUTPUT, Exit.USAGE)
    try:
        return _code(command.main(args, prog_name="dovetail", standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        return _failed(_sentence(error), Exit.USAGE)
    except click.Abort:
        click.echo(STOPPED, err=True)
        return Exit.FAILED
    except (UsageError, ParseError, SessionNotFound, DuplicateSession) as error:
        return _failed(str(error), Exit.USAGE)
    except DovetailError as error:
        return _failed(str(error), Exit.FAILED)
    except ModuleNotFoundError as error:
        return _failed(
            f"This command needs `{error.name}`, which is not installed:"
            " pip install 'dovetail-payjoin[cli,mailroom,regtest]'.",
            Exit.FAILED,
        )
    except OSError as error:
        return _failed(
            f"The system refused to go on: {error.strerror or type(error).__name__}."
            " Check the disk and the permissions of the data directory, then try again.",
            Exit.FAILED,
        )
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback, no values (P4)
        return _failed(
            f"Dovetail has a fault of its own ({_place(error)}); no session is lost:"
            " `dovetail resume` goes on. Please report it with these words.",
            Exit.FAILED,
        )


def _code(answer: object) -> int:
    return answer if isinstance(answer, int) else Exit.DONE


def _sentence(error: click.ClickException) -> str:
    """What click says, in one sentence, and where to read on."""
    words = error.format_message()
    words = f"{words[:1].upper()}{words[1:]}"
    words = words if words.endswith((".", "?", "!")) else f"{words}."
    context = error.ctx if isinstance(error, click.UsageError) else None
    return words if context is None else f"{words} See `{context.command_path} --help`."


def _failed(sentence: str, code: Exit) -> int:
    click.secho("Error: ", fg="red", bold=True, nl=False, err=True, color=colour())
    click.echo(sentence, err=True)
    return code


def _place(error: Exception) -> str:
    """Where it happened, without the message, which may hold what nobody shall read."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    return f"{type(error).__name__} at {where}"
