"""All tricks, in the order of the page."""

from tests.hostile import directories, keys, proposals, relays, replies, senders, traps
from tests.hostile.links import LINKS
from tests.hostile.record import Record, Trick

TRICKS: tuple[Trick, ...] = (
    *proposals.TRICKS,
    *replies.TRICKS,
    *senders.TRICKS,
    *directories.TRICKS,
    *keys.TRICKS,
    *relays.TRICKS,
    *traps.TRICKS,
)
ALL: tuple[Record, ...] = (*TRICKS, *LINKS)
