"""The pairings that are worth a transcript: our session, told by what the other side does."""

from dataclasses import dataclass, field

from tests.interop.mailrooms import Make
from tests.interop.pairing import THEM, US

from dovetail.stores.ports import Role

Terms = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`role` is ours; the other party pays with, or serves with, `terms`."""

    name: str
    what: str
    role: Role
    directory: Make = THEM
    relay: Make = US
    coins: tuple[int, ...] = (200_000,)
    kind: str = "P2WPKH"
    contribute: bool = True
    v1: bool = False
    """Whether a v1 sender comes through the directory."""
    https: bool = False
    """Whether it is BIP 78 over HTTPS, without a directory."""
    facts: Terms = field(default_factory=dict)
    """What rust-payjoin is told about the Original besides the node's word."""
    terms: Terms = field(default_factory=dict)
    expires_after: int = 0
    """After which of our requests the session expires, its receiver being silent; 0 is never."""
    substitutes: bool = False
    """Whether rust-payjoin pays itself to another address than the URI's."""


SCENES = (
    Scene(name="sender-payjoin", what="our sender, their receiver: a payjoin", role=Role.SENDER),
    Scene(
        name="sender-payjoin-taproot",
        what="our sender of a taproot coin, their receiver: a payjoin without a fee contribution",
        role=Role.SENDER,
        directory=US,
        relay=THEM,
        kind="P2TR",
        contribute=False,
    ),
    Scene(
        name="sender-substitution",
        what="our sender, their receiver: a payjoin whose output was substituted",
        role=Role.SENDER,
        substitutes=True,
    ),
    Scene(
        name="sender-refused",
        what="our sender, their receiver: an error reply, and the fallback",
        role=Role.SENDER,
        facts={"broadcastable": False},
    ),
    Scene(
        name="sender-refuses",
        what="our sender, their receiver: an unsigned proposal, and the fallback",
        role=Role.SENDER,
        terms={"sign": False},
    ),
    Scene(
        name="sender-expires",
        what="our sender, their receiver who is silent: expired, and the fallback",
        role=Role.SENDER,
        expires_after=2,
    ),
    Scene(
        name="receiver-payjoin",
        what="our receiver, their sender: a payjoin",
        role=Role.RECEIVER,
        coins=(120_000, 150_000),
    ),
    Scene(
        name="receiver-payjoin-nested",
        what="our receiver with a nested coin, their sender: a payjoin through our directory",
        role=Role.RECEIVER,
        directory=US,
        relay=THEM,
        coins=(150_000,),
        kind="P2SH-P2WPKH",
    ),
    Scene(
        name="receiver-refuses",
        what="our receiver without coins, their sender: an error reply, and the fallback",
        role=Role.RECEIVER,
        coins=(),
    ),
    Scene(
        name="receiver-v1-sender",
        what="our receiver, their v1 sender through the directory: a payjoin",
        role=Role.RECEIVER,
        v1=True,
        coins=(150_000,),
    ),
    Scene(
        name="sender-v1",
        what="our v1 sender, their v1 receiver over HTTPS: a payjoin",
        role=Role.SENDER,
        https=True,
    ),
    Scene(
        name="sender-v1-refused",
        what="our v1 sender, their v1 receiver over HTTPS: an error reply, and the fallback",
        role=Role.SENDER,
        https=True,
        facts={"broadcastable": False},
    ),
    Scene(
        name="receiver-v1",
        what="our v1 receiver, their v1 sender over HTTPS: a payjoin",
        role=Role.RECEIVER,
        https=True,
        coins=(150_000,),
    ),
)
