"""Actions as commands and parameters as options: what the library names, in a shell's words."""

import re
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from dovetail.actions import Action
from dovetail.cli.hints import repeated
from dovetail.errors import DovetailError

_COMMANDS: Mapping[Action, str] = MappingProxyType(
    {
        Action.SHOW: "show {}",
        Action.LIST: "history",
        Action.RESUME: "resume {}",
        Action.CANCEL: "cancel {}",
        Action.FALLBACK: "fallback {}",
        Action.RAISE_FEE: "fallback {} --fee-rate RATE",
        Action.RELEASE: "release {}",
        Action.REVOKE: "revoke {}",
        Action.PAY: "pay URI",
    }
)
_EFFECTS: Mapping[Action, str] = MappingProxyType(
    {
        Action.SHOW: "shows it",
        Action.LIST: "lists the sessions",
        Action.RESUME: "goes on with it",
        Action.CANCEL: "cancels the payjoin",
        Action.FALLBACK: "makes the ordinary payment",
        Action.RAISE_FEE: "raises its fee",
        Action.RELEASE: "declines it",
        Action.REVOKE: "takes the coins back",
        Action.PAY: "pays its address without a payjoin",
    }
)


def commands(actions: Collection[Action], session: object) -> list[str]:
    """The words behind `dovetail`, for each action in order; `session` is the number."""
    return [_COMMANDS[action].format(session) for action in Action if action in actions]


def sentence(actions: Collection[Action], session: object) -> str:
    """The command of each action, in backticks, and what it does; empty without actions."""
    effects = [_EFFECTS[action] for action in Action if action in actions]
    told = zip(commands(actions, session), effects, strict=True)
    parts = ", ".join(f"`dovetail {command}` {effect}" for command, effect in told)
    return repeated(f"{parts}.") if parts else ""


OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "again": "--again",
        "amount": "--amount",
        "certificate": "--tls-cert",
        "endpoint": "--listen",
        "fee_rate": "--fee-rate",
        "key": "--tls-key",
        "secrets": "--with-secrets",
        "v1": "--v1",
    }
)
"""The option by which the command line gives a parameter of the library."""
_PARAMETER = re.compile(f"`({'|'.join(OPTIONS)})`")


def error_words(error: DovetailError, session: object = None) -> str:
    """An error's sentence for the command line: options for parameters, commands for actions.

    `session` is the number of the session that it is about, where the error does not know.
    """
    words = _PARAMETER.sub(lambda found: f"`{OPTIONS[found[1]]}`", str(error))
    number = session if error.session is None else error.session
    known = error.actions if number is not None else error.actions & {Action.LIST, Action.PAY}
    return " ".join(filter(None, (words, sentence(known, number))))


@contextmanager
def about(session: object) -> Generator[None]:
    """Errors in here are about this session, unless they name another."""
    try:
        yield
    except DovetailError as error:
        if error.session is None:
            error.session = session
        raise
