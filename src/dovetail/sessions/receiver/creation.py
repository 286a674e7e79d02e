"""How a receiver's session begins (BIP 77, Receiver; BIP 78)."""

from dovetail.bitcoin.script import Address
from dovetail.bitcoin.units import Sats, UnixTime
from dovetail.crypto.entropy import Entropy, system
from dovetail.crypto.ohttp import KeyConfig
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import UsageError
from dovetail.protocol.uri import parse_directory
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.receiver.initialized import Initialized
from dovetail.sessions.receiver.terms import Terms
from dovetail.sessions.transition import Transition


def create(  # noqa: PLR0913 - the terms of a session, named one by one
    *,
    address: Address,
    directory: str,
    ohttp_keys: KeyConfig,
    expires_at: UnixTime,
    amount: Sats | None = None,
    label: str | None = None,
    message: str | None = None,
    v1: bool = False,
    grace: int = 600,
    depth: int = 1,
    secret_key: SecretKey | None = None,
    entropy: Entropy = system,
) -> Transition[ReceiverEvent, Initialized]:
    """Begin a session with a mailbox on a directory (BIP 77).

    Save it before anyone sees the URI. `v1` accepts v1 senders too, and rules out output
    substitution (`pjos=0`). The fallback is due `grace` seconds after the expiration; `depth`
    confirmations make a payment final. `secret_key` must never have been used. Raises
    `InvalidUri` for a directory or expiration that no URI can name, `UsageError` for a negative
    grace or a depth below 1.
    """
    key = secret_key or SecretKey.generate(entropy=entropy)
    mailbox = events.Mailbox(
        directory=parse_directory(directory),
        ohttp_keys=ohttp_keys.serialize(),
        secret_key=key.reveal(),
    )
    return _begin(
        events.Created(
            address=str(address),
            checksum=events.checksum_of(str(address).encode()),
            expires_at=expires_at,
            endpoint=mailbox,
            amount=None if amount is None else int(amount),
            label=label,
            message=message,
            welcomes_v1=v1,
            grace=grace,
            depth=depth,
        )
    )


def create_v1(
    *,
    address: Address,
    url: str,
    expires_at: UnixTime,
    amount: Sats | None = None,
    label: str | None = None,
    message: str | None = None,
    grace: int = 600,
    depth: int = 1,
) -> Transition[ReceiverEvent, Initialized]:
    """Begin a session that a v1 sender reaches over HTTP, at our own `url` (BIP 78).

    Raises as `create` does.
    """
    return _begin(
        events.Created(
            address=str(address),
            checksum=events.checksum_of(str(address).encode()),
            expires_at=expires_at,
            endpoint=events.Web(url=url),
            amount=None if amount is None else int(amount),
            label=label,
            message=message,
            grace=grace,
            depth=depth,
        )
    )


def _begin(event: events.Created) -> Transition[ReceiverEvent, Initialized]:
    if event.grace < 0 or event.depth < 1:
        raise UsageError("A grace is at least 0 seconds and a depth at least 1; choose such.")
    successor = on_created(event)
    _ = successor.payjoin_uri  # a session without a valid URI must not begin
    return Transition(event, successor, seq=0)


def on_created(event: events.Created) -> Initialized:
    """Apply the first event; raises `InvalidEvent`."""
    events.require_checksum(event.address.encode(), event.checksum)
    return Initialized(seq=1, terms=Terms(event))
