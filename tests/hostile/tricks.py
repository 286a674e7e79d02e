"""All tricks, in the order of the page."""

from tests.hostile import proposals, replies
from tests.hostile.record import Record, Trick

TRICKS: tuple[Trick, ...] = (*proposals.TRICKS, *replies.TRICKS)
ALL: tuple[Record, ...] = TRICKS
