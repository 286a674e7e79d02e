"""Actions spelled as commands, for the same wallet and sessions as this command line's."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from dovetail.actions import Action
from dovetail.cli.hints import repeated

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
    }
)
_PURPOSES: Mapping[Action, str] = MappingProxyType(
    {
        Action.SHOW: "To look at it",
        Action.LIST: "To list the sessions",
        Action.RESUME: "To go on",
        Action.CANCEL: "To cancel the payjoin",
        Action.FALLBACK: "For the ordinary payment",
        Action.RAISE_FEE: "To raise the fee",
        Action.RELEASE: "To decline it",
        Action.REVOKE: "To take the coins back",
    }
)


def commands(actions: Collection[Action], session: object) -> list[str]:
    """What follows `dovetail`, one for each action in their order; `session` is the number."""
    return [_COMMANDS[action].format(session) for action in Action if action in actions]


def sentences(actions: Collection[Action], session: object) -> str:
    """What each action is for, and its command in backticks; empty without actions."""
    purposes = [_PURPOSES[action] for action in Action if action in actions]
    told = zip(purposes, commands(actions, session), strict=True)
    return repeated(" ".join(f"{purpose}: `dovetail {command}`." for purpose, command in told))
