"""All tricks, in the order of the page."""

from tests.hostile import directories, keys, proposals, relays, replies, senders
from tests.hostile.record import Record, Trick

TRICKS: tuple[Trick, ...] = (
    *proposals.TRICKS,
    *replies.TRICKS,
    *senders.TRICKS,
    *directories.TRICKS,
    *keys.TRICKS,
    *relays.TRICKS,
)
ALL: tuple[Record, ...] = TRICKS
