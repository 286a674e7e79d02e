"""Who did something, by the audit trail's name for them, in words for the shopkeeper."""

from typing import NamedTuple

from sqlalchemy import Connection

from dovetail.merchant.dashboard.search import uuid_of
from dovetail.merchant.data import api_keys, audit, users
from dovetail.merchant.pages.language import phrase
from dovetail.merchant.services.refund_payments import ENGINE
from dovetail.merchant.services.refunds import CLOCK, CUSTOMER

_OTHERS = {
    CUSTOMER: phrase("The customer"),
    ENGINE: phrase("The server"),
    CLOCK: phrase("The server, as time was up"),
    audit.OWNER: phrase("The command line"),
}


class Doer(NamedTuple):
    """Words of the program, and a name that somebody chose; either may be empty."""

    words: str
    name: str


def doer_of(connection: Connection, who: str) -> Doer:
    """Who that is; what nobody knows keeps the trail's name."""
    kind, _, rest = who.partition(" ")
    found = uuid_of(rest)
    if kind == "user" and found is not None:
        user = users.user(connection, found)
        return Doer("", who if user is None else user.name)
    if kind == "key" and found is not None:
        key = api_keys.key(connection, found)
        return Doer(phrase("API key"), rest if key is None else key.name)
    return Doer(_OTHERS[who], "") if who in _OTHERS else Doer("", who)
