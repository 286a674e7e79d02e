"""The sizes of messages on the wire, for the events of a log (docs/reference/wire.md)."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dovetail.errors import ReplayError
from dovetail.protocol.mailbox import MESSAGE_SIZE
from dovetail.protocol.requests import OHTTP_MESSAGE_SIZE
from dovetail.sessions import receiver, sender
from dovetail.sessions.receiver import events as got
from dovetail.sessions.receiver.events import Channel
from dovetail.sessions.sender import events
from dovetail.stores.ports import Role, StoredLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """One message: its direction and its sizes in bytes, as far as they are known."""

    direction: str
    wire: int | None = None
    """As an observer sees it: an OHTTP message; None over plain HTTP."""
    message: int | None = None
    """Message A or B inside; None where it was not encrypted."""
    psbt: int | None = None
    """The PSBT inside; None for an error."""

    @property
    def values(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "direction": self.direction,
            "wire": self.wire,
            "message": self.message,
            "psbt": self.psbt,
        }

    @property
    def words(self) -> str:
        """The same for people."""
        parts = [] if self.psbt is None else [f"a PSBT of {self.psbt:,} bytes"]
        if self.message is not None:
            parts.append(f"a message of {self.message:,}")
        if self.wire is not None:
            parts.append(f"{self.wire:,} bytes on the wire")
        return f"{self.direction} {', in '.join(parts)}"


def exchanged(log: StoredLog) -> dict[int, Exchanged]:
    """The messages that went with the events of a log, by `seq`; damaged events are left out."""
    return dict(_sender(log) if log.row.role is Role.SENDER else _receiver(log))


def _sender(log: StoredLog) -> Iterator[tuple[int, Exchanged]]:
    channel: Channel | None = None
    for entry in log.events:
        with suppress(ReplayError):
            match sender.decode_event(entry.data):
                case events.Created(reply_key=key):
                    channel = Channel.V1_HTTP if key is None else Channel.MAILBOX
                case events.PostedOriginalPsbt():
                    yield entry.seq, _message("sent", channel, None)
                case events.ReceivedProposal(proposal=proposal):
                    yield entry.seq, _message("received", channel, len(proposal))
                case _:
                    pass


def _receiver(log: StoredLog) -> Iterator[tuple[int, Exchanged]]:
    channel: Channel | None = Channel.MAILBOX
    psbt: int | None = None
    for entry in log.events:
        with suppress(ReplayError):
            match receiver.decode_event(entry.data):
                case got.RetrievedOriginalPayload(channel=channel, psbt=original):
                    yield entry.seq, _message("received", channel, len(original))
                case got.FinalizedProposal(psbt=proposal):
                    psbt = len(proposal)
                case got.PostedPayjoinProposal():
                    yield entry.seq, _message("sent", channel, psbt)
                case got.RepliedWithError():
                    yield entry.seq, _message("sent", channel, None)
                case _:
                    pass


def _message(direction: str, channel: Channel | None, psbt: int | None) -> Exchanged:
    return Exchanged(
        direction=direction,
        wire=None if channel is Channel.V1_HTTP else OHTTP_MESSAGE_SIZE,
        message=MESSAGE_SIZE if channel is Channel.MAILBOX else None,
        psbt=psbt,
    )
