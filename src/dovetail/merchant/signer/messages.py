"""What is asked of a signer over its socket, and what it answers; JSON, strict (ADR 0057)."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from dovetail.merchant.keychains import Keychain

PROTOCOL = 1
MOST_BYTES = 8_000_000
"""The longest message: a PSBT may hold previous transactions."""

MOST_RECALLED = 100
"""The most sessions or payments of one `Recall`."""

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[0-9A-Za-z-]+$")]
Coin = Annotated[str, Meta(pattern="^[0-9a-f]{64}:[0-9]{1,10}$")]
Index = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Amount = Annotated[int, Meta(ge=1, le=2_100_000_000_000_000)]
Vout = Annotated[int, Meta(ge=0, le=100_000)]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class OwnInput(_Message, frozen=True):
    """An input that is to be signed, and the index of its key."""

    coin: Coin
    index: Index


class OwnOutput(_Message, frozen=True):
    """An output that pays the wallet, by keychain and index; the signer derives its script."""

    vout: Vout
    keychain: Keychain
    index: Index


class Hello(_Message, frozen=True, tag="hello"):
    """Which wallet it signs for."""


class Open(_Message, frozen=True, tag="open"):
    """Register a session, and the satoshis that its payment must bring; the first counts."""

    session: Name
    demand: Amount


class Sign(_Message, frozen=True, tag="sign"):
    """Sign a payjoin of a session."""

    session: Name
    psbt: bytes
    fallback: bytes
    """The fallback transaction, as the chain would have it."""
    fallback_index: Index
    """The index of the hot address that it pays."""
    inputs: Annotated[tuple[OwnInput, ...], Meta(min_length=1, max_length=100)]
    outputs: Annotated[tuple[OwnOutput, ...], Meta(max_length=100)]


class Sweep(_Message, frozen=True, tag="sweep"):
    """Sign a transaction that pays the cold wallet alone."""

    psbt: bytes
    inputs: Annotated[tuple[OwnInput, ...], Meta(min_length=1, max_length=1000)]
    outputs: Annotated[tuple[OwnOutput, ...], Meta(min_length=1, max_length=100)]


class Holders(_Message, frozen=True, tag="holders"):
    """Which sessions hold these coins here."""

    coins: Annotated[tuple[Coin, ...], Meta(max_length=100)]


class Release(_Message, frozen=True, tag="release"):
    """Give back the coins of a session that is over."""

    session: Name


class Queue(_Message, frozen=True, tag="queue"):
    """Ask the owner to approve a payment to somebody else, such as a refund."""

    id: Name
    psbt: bytes
    inputs: Annotated[tuple[OwnInput, ...], Meta(min_length=1, max_length=1000)]
    outputs: Annotated[tuple[OwnOutput, ...], Meta(max_length=100)]
    replaces: Name | None = None
    """An approved payment whose fee it raises: it needs no approval of its own."""


class Queued(_Message, frozen=True, tag="queued"):
    """Whether a payment was approved: then it is signed."""

    id: Name


class Withdraw(_Message, frozen=True, tag="withdraw"):
    """Never sign a queued payment that was not signed yet."""

    id: Name


class Recall(_Message, frozen=True, tag="recall"):
    """What the shop's database knows that this signer has done, the newest first.

    A signer that does not know it has an older log, and must not sign.
    """

    hot: str
    """The public descriptor of the wallet that it is about; another wallet's signer ignores it."""
    sessions: Annotated[tuple[Name, ...], Meta(max_length=MOST_RECALLED)]
    """Sessions that were opened."""
    payments: Annotated[tuple[Name, ...], Meta(max_length=MOST_RECALLED)]
    """Payments that were signed."""


Request: TypeAlias = (
    Hello | Open | Sign | Sweep | Holders | Release | Queue | Queued | Withdraw | Recall
)


class Wallet(_Message, frozen=True, tag="wallet"):
    """The wallet that it signs for: its network and public descriptors."""

    protocol: int
    network: str
    hot: str
    cold: str | None


class Done(_Message, frozen=True, tag="done"):
    """It was done."""


class Signed(_Message, frozen=True, tag="signed"):
    """The PSBT with final signatures of the inputs that were named."""

    psbt: bytes


class Held(_Message, frozen=True, tag="held"):
    """The coins that are held, each with its session."""

    coins: dict[str, str]


class Waiting(_Message, frozen=True, tag="waiting"):
    """The owner has not decided yet."""


class Refusal(_Message, frozen=True, tag="refused"):
    """It will not be done, and why; a sentence without secrets."""

    why: str


class Failure(_Message, frozen=True, tag="failed"):
    """It could not be done now; a sentence without secrets."""

    why: str


Answer: TypeAlias = Wallet | Done | Signed | Held | Waiting | Refusal | Failure

requests = msgspec.json.Decoder(Request)
answers = msgspec.json.Decoder(Answer)
encode = msgspec.json.encode
