"""`dovetail export` and `dovetail import`: sessions on their way between databases."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from dovetail import durable_files
from dovetail.cli import context, open_parts
from dovetail.cli.actions import error_words
from dovetail.cli.exits import Exit
from dovetail.cli.json_keys import IMPORT
from dovetail.cli.output import Screen
from dovetail.cli.paths import make_folder
from dovetail.errors import DovetailError, SessionNotFound, UsageError
from dovetail.stores.ports import ImportOutcome, SessionId
from dovetail.stores.sql import SqliteStore
from dovetail.stores.transfer import Imported, every_session, export_sessions, import_sessions

_WORDS = {
    ImportOutcome.ADDED: "was added as session",
    ImportOutcome.EXTENDED: "extended session",
    ImportOutcome.UNCHANGED: "is here already as session",
}


def export(
    numbers: tuple[int, ...], output: Path | None, screen: Screen, *, every: bool, secrets: bool
) -> int:
    """Write sessions to a file or to stdout; see `dovetail export --help`."""
    if every == bool(numbers):
        raise UsageError("Say which sessions to export, by their numbers or with `--all`.")
    place = context.home()
    with open_parts.open_store(place) as store:
        if store is None:
            raise SessionNotFound("There is no session yet: nothing can be exported.")
        chosen = every_session(store) if every else [SessionId(number) for number in numbers]
        if output is None:
            for line in export_sessions(store, chosen, secrets=secrets):
                click.echo(line, nl=False)
        else:
            with new_file(output) as file:
                file.writelines(export_sessions(store, chosen, secrets=secrets))
        if secrets and any(store.row(each).closed_at is None for each in chosen):
            screen.say("Open sessions are among them: go on with each in one place only.")
    return Exit.DONE


def bring(file: BinaryIO, screen: Screen) -> int:
    """Take in sessions; see `dovetail import --help`."""
    place = context.home()
    make_folder(place.folder)
    found: list[Imported] = []
    with SqliteStore.open(place.database) as store:
        for each in import_sessions(store, file):
            found.append(each)
            screen.result(sentence(each))
    screen.emit(IMPORT, {"sessions": [values(each) for each in found]})
    return Exit.FAILED if any(map(is_refused, found)) else Exit.DONE


def is_refused(each: Imported) -> bool:
    """Whether a session was not taken in."""
    return isinstance(each.result, DovetailError)


def sentence(each: Imported) -> str:
    """Say what happened to a session of the file."""
    name = "A session" if each.number is None else f"Session {each.number}"
    if isinstance(each.result, DovetailError):
        return f"{name} of the file was refused. {error_words(each.result)}"
    return f"{name} of the file {_WORDS[each.result.adoption]} {each.result.session_id}."


def values(each: Imported) -> dict[str, Any]:
    """The same under its keys in `keys.IMPORT`."""
    result = each.result
    if isinstance(result, DovetailError):
        return {
            "number": each.number,
            "session": None,
            "result": "refused",
            "problem": error_words(result),
        }
    return {
        "number": each.number,
        "session": result.session_id,
        "result": result.adoption.value,
        "problem": None,
    }


@contextmanager
def new_file(path: Path) -> Generator[BinaryIO]:
    """A file of ours alone that was not there before; gone again if it cannot be finished."""
    with ExitStack() as opened:
        try:
            file = opened.enter_context(durable_files.new_file(path))
        except FileExistsError:
            raise UsageError(f"{path} already exists. Name a new file.") from None
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror}. Name another file."
            ) from error
        yield file
