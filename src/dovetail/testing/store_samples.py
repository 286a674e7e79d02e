"""Events, coins and sessions to fill a store with."""

from collections.abc import Collection
from itertools import count

from dovetail.bitcoin import Address, Network, OutPoint, Script, Txid, UnixTime
from dovetail.crypto import KeyConfig, SecretKey
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint
from dovetail.sessions import receiver
from dovetail.sessions.outcomes import Expired as NobodyPaid
from dovetail.sessions.receiver import events as receiver_events
from dovetail.sessions.sender import events as sender_events
from dovetail.stores.ports import ImportedSession, SessionLog, Store
from dovetail.stores.session_index import Role, index_of
from dovetail.stores.stored_event import raw_event
from dovetail.stores.summary import summary_after

NOW = UnixTime(1_800_000_000)
EXPIRES_AT = UnixTime(NOW + 86_400)
DIRECTORY = "https://directory.example"

_coins = count(1)


def coin() -> OutPoint:
    """A new outpoint for each call."""
    return OutPoint(Txid(next(_coins).to_bytes(32, "little")), 0)


def address() -> Address:
    """An example address."""
    return Address.from_script(Script(b"\x00\x14" + bytes(20)), Network.REGTEST)


def receiver_created() -> receiver_events.Created:
    """A receiver's first event."""
    secret = SecretKey.generate()
    text = str(address())
    return receiver_events.Created(
        address=text,
        checksum=receiver_events.checksum_of(text.encode()),
        expires_at=EXPIRES_AT,
        endpoint=receiver_events.Mailbox(
            directory=DIRECTORY,
            ohttp_keys=KeyConfig(1, secret.public_key).serialize(),
            secret_key=secret.reveal(),
        ),
    )


def sender_created(endpoint: V1Endpoint | V2Endpoint | None = None) -> sender_events.Created:
    """A sender's first event, for an endpoint of its own unless one is given."""
    uri = PayjoinUri(address=address(), amount=None, endpoint=endpoint or v2_endpoint())
    return sender_events.Created(
        uri=uri.serialize(),
        original=b"",
        min_fee_rate=0,
        created_at=NOW,
        expires_at=EXPIRES_AT,
    )


def v2_endpoint() -> V2Endpoint:
    """A mailbox of its own."""
    key = SecretKey.generate().public_key
    return V2Endpoint(
        directory=DIRECTORY,
        receiver_key=key,
        ohttp_keys=KeyConfig(1, key),
        expires_at=EXPIRES_AT,
    )


def closed() -> receiver_events.Closed:
    """A last event."""
    return receiver_events.Closed(outcome=NobodyPaid())


def sender_closed() -> sender_events.Closed:
    """The last event of a sender."""
    return sender_events.Closed(outcome=NobodyPaid())


def started(
    store: Store, created: receiver_events.Created | None = None
) -> SessionLog[receiver_events.ReceiverEvent]:
    """A receiver session of one event, a usual one unless it is given."""
    log = store.new_receiver()
    log.append(created or receiver_created(), seq=0, closes=False)
    return log


def ended(log: SessionLog[receiver_events.ReceiverEvent]) -> receiver.Closed:
    """The state of a receiver session whose log is closed."""
    state = receiver.replay(log.load())
    assert isinstance(state, receiver.Closed)
    return state


def moved(
    *events: receiver_events.ReceiverEvent,
    coins: Collection[OutPoint] = (),
    seen: Collection[OutPoint] = (),
    exposed: bool = False,
) -> ImportedSession:
    """A receiver session as it comes from another store."""
    closed, data = (
        isinstance(events[-1], receiver_events.Closed),
        [*map(receiver_events.CODEC.encode, events)],
    )
    return ImportedSession(
        index=index_of(events[0]),
        events=tuple(
            raw_event(seq, type(event).__name__, data[seq], NOW) for seq, event in enumerate(events)
        ),
        closed=closed,
        summary=summary_after(Role.RECEIVER, data, closes=closed),
        seen=frozenset(seen),
        coins=frozenset(coins),
        exposed=exposed,
    )
