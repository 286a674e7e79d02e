"""The answers of a first run: typed by a person, each checked at once, or read from a file."""

import sys
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import click

from dovetail.cli import passphrases
from dovetail.cli.config import Settings, readers
from dovetail.cli.context import CORE
from dovetail.cli.first_run.questions import QUESTIONS, Checked, Draft, Question
from dovetail.cli.output import Screen
from dovetail.errors import ConfigurationError, DovetailError, UsageError
from dovetail.merchant.services.users import LEAST_LENGTH, MOST_LENGTH, require_password

DATABASE, PASSWORD_FILE = "database", "password_file"
OTHERS = (DATABASE, PASSWORD_FILE)
"""Keys of a file that are no questions."""

_WELCOME = (
    "A shop needs five answers. Each is checked at once, and nothing is written before you say so."
)


def asked(screen: Screen, settings: Settings, place: Path) -> dict[str, Any]:
    """Ask a person; a wrong answer is told and asked again."""
    screen.say(f"{_WELCOME} The configuration will be {place}.")
    answers: dict[str, Any] = {}
    for question in QUESTIONS:
        draft = Draft(settings, answers)
        if question.words:
            screen.say()
            screen.say(question.words)
        checked = _ask(screen, question, draft)
        answers[question.key] = checked.value
        if checked.words:
            screen.say(f"   {checked.words}")
    answers["password"] = _new_password(screen, answers["user"])
    return answers


def _ask(screen: Screen, question: Question, draft: Draft) -> Checked:
    if question.key == "chain" and draft.settings.wallet == CORE:
        return question.check(None, draft)
    usual = question.usual(draft)
    shown = " ".join(cast("tuple[str, ...]", usual)) if isinstance(usual, tuple) else usual
    while True:
        given = click.prompt(question.prompt, default=shown, show_default=bool(shown), err=True)
        screen.tick("Asking ...")
        try:
            return question.check(given, draft)
        except DovetailError as error:
            screen.say(f"   {error}", fg="yellow")
        finally:
            screen.untick()


def _new_password(screen: Screen, user: str) -> str:
    while True:
        given = _typed()
        try:
            require_password(given, user)
        except ConfigurationError as error:
            screen.say(f"   {error}", fg="yellow")
        else:
            return given


def _typed() -> str:
    given: str = click.prompt(
        f"Password, of at least {LEAST_LENGTH} characters",
        hide_input=True,
        confirmation_prompt="The same again",
        err=True,
    )
    return given


def read(path: Path, screen: Screen, settings: Settings) -> dict[str, Any]:
    """Read a file of answers, and check each as if it were typed.

    Every wrong one is told in a sentence. Raises `ConfigurationError` at the end then, and
    `UsageError` for a file that is no TOML or cannot be read.
    """
    written = _loaded(path)
    wrong = list(_unknown(written))
    answers: dict[str, Any] = {}
    for question in QUESTIONS:
        if not set(question.needs) <= answers.keys():
            continue  # what it needs is wrong, and told
        try:
            answers[question.key] = _checked(question, written, Draft(settings, answers), screen)
        except DovetailError as error:
            wrong.append(_naming(question.key, str(error)))
    for key, take in (("password", _password), (DATABASE, _database)):
        try:
            answers[key] = take(written)
        except DovetailError as error:
            wrong.append(str(error))
    if len(wrong) == 1:
        raise ConfigurationError(f"{path}: {wrong[0]}")
    for sentence in wrong:
        screen.say(sentence)
    if wrong:
        raise ConfigurationError(f"{path}: {len(wrong)} answers are wrong: correct them.")
    return answers


def _loaded(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise UsageError(f"The answers in {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise UsageError(f"The answers in {path} are not valid TOML: correct them.") from None


def _unknown(written: Mapping[str, Any]) -> Iterable[str]:
    known = (*(question.key for question in QUESTIONS), *OTHERS)
    for name in written.keys() - set(known):
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        shown = name if name.isidentifier() and len(name) <= 40 else "?"
        advice = f"did you mean `{near[0]}`?" if near else "remove it."
        yield f"There is no answer `{shown}`: {advice}"


def _checked(question: Question, written: Mapping[str, Any], draft: Draft, screen: Screen) -> Any:
    value = written.get(question.key, question.usual(draft))
    if value is None and not (question.key == "chain" and draft.settings.wallet == CORE):
        raise ConfigurationError(f"`{question.key}` is missing: add it.")
    found = question.check(value, draft)
    if found.words:
        screen.say(f"{question.key}: {found.words}")
    return found.value


def _naming(key: str, sentence: str) -> str:
    return sentence if f"`{key}`" in sentence else f"`{key}`: {sentence}"


def _password(written: Mapping[str, Any]) -> str:
    """The password: the first line of a file or of the input, or typed twice."""
    if PASSWORD_FILE in written:
        path = readers.file(PASSWORD_FILE, written[PASSWORD_FILE])
        try:
            given = passphrases.of_file(path)
        except ConfigurationError as error:
            raise ConfigurationError(f"`{PASSWORD_FILE}`: {error}") from error
    elif sys.stdin.isatty():
        given = _typed()
    else:
        given = sys.stdin.readline(2 * MOST_LENGTH).removesuffix("\n").removesuffix("\r")
    try:
        require_password(given)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"`{PASSWORD_FILE}`: {error} It is the first line of that file, or of the input."
        ) from None
    return given


def _database(written: Mapping[str, Any]) -> str | None:
    return readers.text(DATABASE, written[DATABASE]) if DATABASE in written else None
