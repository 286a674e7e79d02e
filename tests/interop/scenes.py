"""The pairings that are worth a transcript: our session, told by what the other side does."""

from dataclasses import dataclass, field
from typing import Any

from tests.interop.mailrooms import Make
from tests.interop.pairing import THEM, US

from dovetail.stores.ports import Role

Terms = dict[str, object]


@dataclass(frozen=True, slots=True)
class Scene:
    """`role` is ours; the other party pays with, or serves with, `terms`."""

    name: str
    what: str
    role: Role
    coins: tuple[int, ...] = (200_000,)
    directory: Make = THEM
    relay: Make = US
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


_PAYING, _CHARGING = Role.SENDER, Role.RECEIVER
_OUR_DIRECTORY: dict[str, Any] = {"directory": US, "relay": THEM}
_REFUSED: Terms = {"broadcastable": False}

SCENES = (
    Scene("sender-payjoin", "our sender, their receiver: a payjoin", _PAYING),
    Scene(
        "sender-payjoin-taproot",
        "our sender of a taproot coin, their receiver: a payjoin without a fee contribution",
        _PAYING, kind="P2TR", contribute=False, **_OUR_DIRECTORY,
    ),
    Scene(
        "sender-substitution", "our sender, their receiver: a payjoin whose output was substituted",
        _PAYING, substitutes=True,
    ),
    Scene(
        "sender-refused", "our sender, their receiver: an error reply, and the fallback",
        _PAYING, facts=_REFUSED,
    ),
    Scene(
        "sender-refuses", "our sender, their receiver: an unsigned proposal, and the fallback",
        _PAYING, terms={"sign": False},
    ),
    Scene(
        "sender-expires",
        "our sender, their receiver who is silent: expired, and the fallback",
        _PAYING, expires_after=2,
    ),
    Scene(
        "receiver-payjoin", "our receiver, their sender: a payjoin", _CHARGING, (120_000, 150_000)
    ),
    Scene(
        "receiver-payjoin-nested",
        "our receiver with a nested coin, their sender: a payjoin through our directory",
        _CHARGING, (150_000,), kind="P2SH-P2WPKH", **_OUR_DIRECTORY,
    ),
    Scene(
        "receiver-refuses",
        "our receiver without coins, their sender: an error reply, and the fallback",
        _CHARGING, (),
    ),
    Scene(
        "receiver-v1-sender",
        "our receiver, their v1 sender through the directory: a payjoin",
        _CHARGING, (150_000,), v1=True,
    ),
    Scene(
        "sender-v1", "our v1 sender, their v1 receiver over HTTPS: a payjoin", _PAYING, https=True
    ),
    Scene(
        "sender-v1-refused",
        "our v1 sender, their v1 receiver over HTTPS: an error reply, and the fallback",
        _PAYING, https=True, facts=_REFUSED,
    ),
    Scene(
        "receiver-v1", "our v1 receiver, their v1 sender over HTTPS: a payjoin",
        _CHARGING, (150_000,), https=True,
    ),
)  # fmt: skip
