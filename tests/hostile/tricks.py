"""All tricks, in the order of the page."""

from tests.hostile import proposals, replies, senders
from tests.hostile.record import Record, Trick

TRICKS: tuple[Trick, ...] = (*proposals.TRICKS, *replies.TRICKS, *senders.TRICKS)
ALL: tuple[Record, ...] = TRICKS
