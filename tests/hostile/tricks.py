"""All tricks, in the order of the page."""

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
)
from tests.hostile.links import LINKS
from tests.hostile.record import Record, Trick

TRICKS: tuple[Trick, ...] = (
    *proposals.TRICKS,
    *proofs.TRICKS,
    *replies.TRICKS,
    *vanishing.BY_RECEIVERS,
    *senders.TRICKS,
    *afterwards.TRICKS,
    *probers.TRICKS,
    *vanishing.BY_SENDERS,
    *directories.TRICKS,
    *keys.TRICKS,
    *relays.TRICKS,
    *webs.TRICKS,
    *clients.TRICKS,
    *chains.TRICKS,
    *traps.TRICKS,
)
ALL: tuple[Record, ...] = (*TRICKS, *LINKS)
