"""All tricks, in the order of the page."""

from tests.hostile import (
    chains,
    clients,
    directories,
    keys,
    proposals,
    relays,
    replies,
    senders,
    traps,
    webs,
)
from tests.hostile.links import LINKS
from tests.hostile.record import Record, Trick

TRICKS: tuple[Trick, ...] = (
    *proposals.TRICKS,
    *replies.TRICKS,
    *senders.TRICKS,
    *directories.TRICKS,
    *keys.TRICKS,
    *relays.TRICKS,
    *webs.TRICKS,
    *clients.TRICKS,
    *chains.TRICKS,
    *traps.TRICKS,
)
ALL: tuple[Record, ...] = (*TRICKS, *LINKS)
