"""The events of a session, for people, for programs and for a service's log."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from dovetail.cli.json_keys import EVENT
from dovetail.cli.output import Screen
from dovetail.stores.ports import Role, SessionId


class HappeningKind(StrEnum):
    """The kind of an event; the values are stable."""

    BEGUN = "begun"
    """The session began, or is taken forward from now on."""
    STATE = "state"
    SEEN = "seen"
    """The chain shows something else of its money: in the mempool, confirmed, gone."""
    FEE = "fee"
    """The ordinary payment waits with a low fee, or another transaction keeps it out."""
    TROUBLE = "trouble"
    ASKS = "asks"
    PAID = "paid"
    ENDED = "ended"
    """Its end, without this session's payment."""
    LEFT = "left"
    """The command ends before the session does."""
    DAMAGED = "damaged"
    FAULT = "fault"


_WARNINGS = (HappeningKind.FEE, HappeningKind.TROUBLE, HappeningKind.ASKS, HappeningKind.DAMAGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happened to one session. Its words name no address, URI or key (P4)."""

    session_id: SessionId
    role: Role
    kind: HappeningKind
    words: str
    status: str | None = None
    amount: int | None = None
    txid: str | None = None
    confirmations: int | None = None
    outcome: str | None = None
    uri: str | None = None
    """The URI for the other party, which goes to who asked for it, and into no log."""

    @property
    def values(self) -> dict[str, Any]:
        """The same for a program, but for the URI."""
        return {
            "session": self.session_id,
            "role": self.role.value,
            "event": self.kind.value,
            "words": self.words,
            "status": self.status,
            "amount_sats": self.amount,
            "txid": self.txid,
            "confirmations": self.confirmations,
            "outcome": self.outcome,
        }


Teller: TypeAlias = Callable[[Happening], None]


def nobody(_happening: Happening) -> None:
    """Do nothing with an event."""


def as_events(screen: Screen) -> Teller:
    """One JSON object a line on stdout, where `--events` asks for that."""

    def tell(happening: Happening) -> None:
        screen.event(EVENT, {"at": int(time.time()), "uri": happening.uri} | happening.values)

    return tell if screen.as_events else nobody


def to_log(log: logging.Logger) -> Teller:
    """A line of a service's log."""

    def tell(happening: Happening) -> None:
        level = logging.INFO
        if happening.kind is HappeningKind.FAULT:
            level = logging.ERROR
        elif happening.kind in _WARNINGS:
            level = logging.WARNING
        words = f"Session {happening.session_id}: {happening.words}"
        known = {name: each for name, each in happening.values.items() if each is not None}
        # The message is the line's kind: of those alike only so many are written a minute.
        log.log(level, words.replace("%", "%%"), extra={"values": known | {"words": words}})

    return tell
