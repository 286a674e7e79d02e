"""Who plays the rows of the page: a play in a session or instead of one, or a URI that confuses."""

from tests.hostile import (
    afterwards,
    chains,
    clients,
    directories,
    keys,
    probers,
    proofs,
    proposals,
    relays,
    replies,
    senders,
    traps,
    vanishing,
    webs,
)  # fmt: skip
from tests.hostile.links import LINKS
from tests.hostile.record import ROWS, Peer, Play, Tricks

PLAYS: dict[Peer, tuple[Tricks, ...]] = {
    Peer.RECEIVER: (proposals.TRICKS, proofs.TRICKS, replies.TRICKS, vanishing.BY_RECEIVERS),
    Peer.SENDER: (senders.TRICKS, afterwards.TRICKS, probers.TRICKS, vanishing.BY_SENDERS),
    Peer.DIRECTORY: (directories.TRICKS, keys.TRICKS),
    Peer.RELAY: (relays.TRICKS,),
    Peer.WEB: (webs.TRICKS,),
    Peer.CLIENT: (clients.TRICKS,),
    Peer.CHAIN: (chains.TRICKS,),
    Peer.LINK: (traps.TRICKS,),
}
ALL: dict[tuple[Peer, str], Play] = {
    (peer, key): play
    for peer, modules in PLAYS.items()
    for tricks in modules
    for key, play in tricks.items()
}
PLAYED = [row for row in ROWS if (row.peer, row.key) in ALL]
SPOILT = [row for row in ROWS if row.peer is Peer.LINK and row.key in LINKS]
