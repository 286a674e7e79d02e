"""Event logs of rust-payjoin: ours comes of them, or nothing."""

from collections.abc import Iterable

from tests.fuzz.target import Target, parsed, require
from tests.stores.rust_payjoin.recorded import HERE, NOW, log_of, recorded

from dovetail.bitcoin import Network
from dovetail.errors import ParseError, ReplayError, UsageError
from dovetail.sessions import receiver, sender
from dovetail.stores.rust_payjoin import receiver_events, sender_events

_REFUSED = (ParseError, UsageError)


def sender_takeover(data: bytes) -> None:
    entries = data.splitlines()
    events = parsed(
        lambda: sender_events(entries, network=Network.REGTEST, now=NOW), error=_REFUSED
    )
    session = None if events is None else parsed(lambda: sender.replay(events), error=ReplayError)
    if isinstance(session, sender.ProposalReceived):
        spent = session.psbt_to_sign.unsigned_transaction.contested()
        require(set(session.contested) <= set(spent), "a payjoin excludes the fallback")


def receiver_takeover(data: bytes) -> None:
    entries = data.splitlines()
    events = parsed(lambda: receiver_events(entries, now=NOW), error=_REFUSED)
    if events is not None:
        parsed(lambda: receiver.replay(events), error=ReplayError)


def _logs(role: str) -> Iterable[bytes]:
    for path in sorted(HERE.glob("*.json")):
        if role in recorded(path.stem):
            yield "\n".join(log_of(path.stem, role)).encode()


WORDS = tuple(
    f'"{word}"'.encode()
    for word in ("Created", "Cancelled", "Closed", "Aborted", "Success", "ProtocolFailed")
)
TARGETS = (
    Target("sender-takeover", sender_takeover, lambda: _logs("sender"), WORDS, longest=32_768),
    Target(
        "receiver-takeover", receiver_takeover, lambda: _logs("receiver"), WORDS, longest=32_768
    ),
)
