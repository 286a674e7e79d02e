"""Sentences of other parts of the program that the dashboard shows, for its catalogues."""

from collections.abc import Iterator

from dovetail.explain.event import RECEIVER
from dovetail.merchant.dashboard import menus
from dovetail.merchant.pages.language import phrase
from dovetail.merchant.services.readiness import NoPayjoin
from dovetail.merchant.services.refund_payments import Trouble
from dovetail.sessions.reasons import Reason

PATTERNS = (
    # a payjoin session (`dovetail.explain`)
    phrase("%(count)s coin of yours, %(sum)s sats, went in."),
    phrase("%(count)s coins of yours, %(sum)s sats, went in."),
    phrase("A transaction that spends the sender's coins was seen. %(txid)s"),
    phrase("The ordinary payment is broadcast and waits for %(depth)s confirmations."),
    phrase("The payment has been seen and waits for %(depth)s confirmations."),
    phrase("The payjoin has %(depth)s of %(wanted)s confirmation."),
    phrase("The payjoin has %(depth)s of %(wanted)s confirmations."),
    phrase("The ordinary payment has %(depth)s of %(wanted)s confirmation."),
    phrase("The ordinary payment has %(depth)s of %(wanted)s confirmations."),
    phrase("An ordinary payment to the address has %(depth)s of %(wanted)s confirmation."),
    phrase("An ordinary payment to the address has %(depth)s of %(wanted)s confirmations."),
    phrase("Expired: %(came)s of %(asked)s sats had come to the address."),
    phrase("Expired: %(sum)s sats had come to the address."),
    phrase("Cancelled: %(came)s of %(asked)s sats had come to the address."),
    phrase("Cancelled: %(sum)s sats had come to the address."),
    phrase(
        "%(came)s of %(asked)s sats have come to the address, with %(depth)s of %(wanted)s"
        " confirmations."
    ),
    phrase("%(came)s of %(asked)s sats have come to the address, not confirmed yet."),
    # refunds and users
    phrase(
        "Only %(sum)s sats can be refunded: that much is confirmed, and no other refund has it."
        " Name a smaller amount."
    ),
    phrase("A refund is at least %(sum)s sats: nodes relay no smaller payment."),
    phrase("A user's name is one line of 1 to %(most)s characters; correct it."),
    phrase(
        "A password has at least %(least)s characters, and at most %(most)s: choose another one."
    ),
    phrase("There are %(most)s passkeys already: remove one first."),
    phrase("Give the passkey a name of 1 to %(most)s characters in one line: try again."),
    # requests that are refused
    phrase("There were too many tries. Wait %(seconds)s seconds, and try again."),
    phrase("There are too many requests from this address; repeat this one after %(seconds)s s."),
    # deliveries (`webhooks.delivery`)
    phrase("The endpoint did not answer within %(seconds)s s."),
    phrase("The endpoint could not be reached (%(kind)s)."),
    phrase("The endpoint answered with status %(status)s."),
    # the test of the setup (`services.checking`)
    phrase("It answers for %(network)s; the newest block is %(height)s."),
    phrase("They give a rate for %(currencies)s."),
    phrase("%(count)s alive."),
    phrase("Payjoins are offered; 1 coin is free to contribute."),
    phrase("Payjoins are offered; %(count)s coins are free to contribute."),
    phrase("store %(name)s"),
)
"""Sentences with values in them; of two that fit, the first one is it."""

OWN = (menus.NO_NAME, menus.NO_PRICE, menus.NO_DESCRIPTION)
"""The dashboard's own sentences with values in them."""

WHOLE = (
    # passkeys (`services.passkeys`)
    phrase("This passkey is known already: use another device."),
    phrase("The passkey could not be made: try again."),
    # where a payjoin session stands (`dovetail.explain`, `api.sessions_view`)
    phrase("The invoice has no payjoin session."),
    phrase("Its session was deleted after its time."),
    phrase("Waiting for the sender."),
    phrase("The sender's payment is here; Dovetail is making a payjoin of it."),
    phrase("You signed the payjoin; it is on its way to the sender."),
    phrase("The payjoin cannot be made; Dovetail is telling the sender."),
    phrase("A payment came that does not count; waiting for another one."),
    phrase("Expired."),
    phrase("Expired. Dovetail still looks for an ordinary payment."),
    phrase("Another transaction paid the address in full; the sender's payment is held back."),
    phrase("The payjoin did not happen, and the sender's own payment is not safe to count on."),
    phrase(
        "You cancelled, but the sender has the payjoin and can still make it; their ordinary"
        " payment waits for your decision."
    ),
    phrase("You cancelled the payjoin; the sender's ordinary payment waits for your decision."),
    phrase("The payjoin did not happen; the sender's ordinary payment waits for your decision."),
    phrase("No payjoin has been seen; the ordinary payment falls due after the grace period."),
    phrase(
        "The payjoin did not happen; the sender's ordinary payment is due and is broadcast next."
    ),
    phrase("You declined the ordinary payment; the sender can still make it."),
    phrase("The ordinary payment is broadcast and waits for its confirmation."),
    phrase("The payment has been seen and waits for its confirmation."),
    phrase("The sender has the payjoin; waiting for it to confirm."),
    phrase(
        "Another transaction spends the sender's coins; the payment to you can confirm only if"
        " that one does not."
    ),
    phrase(
        "A coin that the payment spends is gone: its transaction was replaced or left the chain."
        " It may come back."
    ),
    phrase("The network has the payjoin; it waits to be mined."),
    phrase("The network has the ordinary payment; it waits to be mined."),
    phrase("The network has an ordinary payment to the address; it waits to be mined."),
    phrase("A payment came that does not count: another transaction spends its coins."),
    phrase("Paid by payjoin."),
    phrase("Paid by the ordinary payment, without a payjoin."),
    phrase("Paid to the address directly, without a payjoin."),
    phrase("The payjoin was sent to the sender; whether it was broadcast is not known."),
    phrase("Expired: no payment came through the Payjoin URI."),
    phrase("Expired: nothing had come to the address."),
    phrase("Cancelled: no payment came through the Payjoin URI."),
    phrase("Cancelled: nothing had come to the address."),
    phrase("The sender's coins were spent by a transaction from outside this session."),
    phrase("(The entry cannot be read.)"),
    # refunds that are refused (`invoices.refunds`, `services.refunds`)
    phrase("The customer has given no address yet: send them the claim page."),
    phrase("The refund is not approved yet: approve it first."),
    phrase("The refund is approved already: decline it, and make another one."),
    phrase("The refund waits at the signer already: decline it, and make another one."),
    phrase("The refund is being paid: it cannot be changed now."),
    phrase("The refund was paid: it cannot be changed."),
    phrase("The refund was declined: make another one."),
    phrase("The refund was cancelled: make another one."),
    phrase("The refund has expired: make another one."),
    phrase("The refund's payment has failed: make another one."),
    phrase("The customer has not paid too much: name the amount to refund."),
    phrase("The invoice's payment data were deleted after its time."),
    # users (`services.users`, `services.sign_in`)
    phrase("The password has a character that is no text: choose another one."),
    phrase("No user has this name: correct it."),
    phrase("A user of this name exists already: choose another name."),
    phrase("Codes are in use already: remove them first."),
    # requests that are refused (`api.problems`)
    phrase("The request is malformed; correct it."),
    phrase("Nothing is here for this key; check the path and the id."),
    phrase("This method is not allowed here; use one of those in `Allow`."),
    phrase("The server failed at this request; tell its operator the request id."),
    # deliveries (`webhooks.deliveries`)
    phrase("The endpoint is switched off, or the invoice is forgotten: nothing was sent."),
    phrase("The endpoint wants no more: it is switched off."),
    phrase("The endpoint is not on https, so that nothing is sent."),
    phrase("The endpoint is at a private address, to which nothing is sent."),
    phrase("The endpoint's answer is not HTTP."),
    # the test of the setup (`services.checking`)
    phrase("database"),
    phrase("chain"),
    phrase("directory"),
    phrase("signer"),
    phrase("rates"),
    phrase("workers"),
    phrase("stores"),
    phrase("A file: `serve` does all of the work."),
    phrase("Its schema is current."),
    phrase("It answers."),
    phrase("It answers through a relay."),
    phrase("It answers straight, so that it sees this machine's address."),
    phrase("It answers, and settles in cold storage."),
    phrase("It answers, and keeps payments hot, as `cold` is not set."),
    phrase(
        "It answers, and holds another wallet than the stores have: start it with the wallet and"
        " the `cold` with which the stores were made."
    ),
    phrase("No signer is set: set `signer`, and start one."),
    phrase("No source is set: invoices are in satoshis alone."),
    phrase("No worker is alive, so that nothing is negotiated or seen: start one."),
    phrase("There is no store yet: make one."),
)
"""Sentences without values, but for those that `sentences` takes from their tables."""


def sentences() -> Iterator[str]:
    """Each sentence of a table: sessions' events and reasons, and what is in the way."""
    yield from RECEIVER.values()
    yield from (each.words for each in Reason)
    yield from (each.words for each in NoPayjoin)
    yield from (each.words for each in Trouble)
