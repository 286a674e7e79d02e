"""The page on which the customer of a refund gives an address; the secret in its URL is the key."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from litestar import Response, get, post
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Redirect

from dovetail.bitcoin import Network
from dovetail.merchant.api.problems import not_found
from dovetail.merchant.api.routes.common import ApiRequest, count_guess, parts_of
from dovetail.merchant.invoices.refunds import RefundRefused, RefundStatus, StepRefused
from dovetail.merchant.pages.forms import fields_of
from dovetail.merchant.pages.language import Language, phrase
from dovetail.merchant.pages.rendering import language_for, page
from dovetail.merchant.services.refunds import Claim, Refunds

FIELD = "address"
_MOST_FIELDS = 10
_MOST_ADDRESS = 120


class Words(NamedTuple):
    """The words for where a refund stands."""

    title: str
    text: str


_CHECKED = Words(
    phrase("The refund was accepted"),
    phrase("The shop pays you %(amount)s as soon as it can."),
)
_NOTHING = Words(
    phrase("The refund was called off"), phrase("If you do not know why, ask the shop.")
)
WORDS: Mapping[RefundStatus, Words] = MappingProxyType(
    {
        RefundStatus.OPEN: Words(
            phrase("The shop wants to send you %(amount)s"),
            phrase("Give an address of your own Bitcoin wallet. You get the whole amount."),
        ),
        RefundStatus.CLAIMED: Words(
            phrase("The shop has your address"),
            phrase(
                "It checks the refund of %(amount)s now. You need not wait here: this page"
                " tells you later how it stands."
            ),
        ),
        RefundStatus.APPROVED: _CHECKED,
        RefundStatus.QUEUED: _CHECKED,
        RefundStatus.PAYING: Words(
            phrase("%(amount)s are on their way to you"),
            phrase("The payment was sent, and waits for its first confirmation."),
        ),
        RefundStatus.PAID: Words(
            phrase("%(amount)s were sent to you"),
            phrase("The payment is confirmed. The refund is complete."),
        ),
        RefundStatus.DECLINED: _NOTHING,
        RefundStatus.CANCELLED: _NOTHING,
        RefundStatus.EXPIRED: Words(
            phrase("The time to give an address is over"),
            phrase("Ask the shop for a new refund."),
        ),
        RefundStatus.FAILED: Words(
            phrase("The refund could not be paid"),
            phrase("Ask the shop for a new refund."),
        ),
    }
)
_GOOD = frozenset({RefundStatus.PAYING, RefundStatus.PAID})
_TAKES = frozenset({RefundStatus.OPEN, RefundStatus.CLAIMED})

# The refusals of an address, which `invoices/refunds.py` and `services/refunds.py` tell in English.
NO_ADDRESS = phrase("Type or paste an address of your Bitcoin wallet.")
OTHER_NETWORK = phrase("This address is for another Bitcoin network: give one for %(network)s.")
OTHER_REFUSAL = phrase("This address cannot be used: give another one.")
REFUSALS = (
    phrase("This is no Bitcoin address: copy it again from your wallet."),
    phrase("This kind of address cannot be paid here: give another one."),
    phrase("The amount is too small for this kind of address: give another one."),
    phrase("This address is the shop's: give one of your own wallet."),
    phrase("The address was changed too often: ask the shop for a new refund."),
)


@get("/claims/{token:str}", media_type=MediaType.HTML)
async def show_claim(request: ApiRequest, token: FromPath[str]) -> Response[str]:
    """Show a refund to its customer."""
    return _page(request, await _found(request, token))


@post("/claims/{token:str}", media_type=MediaType.HTML)
async def take_address(request: ApiRequest, token: FromPath[str]) -> Response[str] | Redirect:
    """Take the address of the form; then show where the refund stands."""
    found = await _found(request, token)
    given = fields_of(request, most=_MOST_FIELDS).get(FIELD, "")
    speech = language_for(request)
    if not given:
        return _page(request, found, error=speech.say(NO_ADDRESS))
    try:
        await _refunds(request).give_address(token, given[:_MOST_ADDRESS])
    except StepRefused as error:
        # What the page shows now says why, but for an address that was changed too often.
        told = str(error)
        words = speech.say(told) if told in REFUSALS else None
        return _page(request, await _found(request, token), error=words, given=given)
    except RefundRefused as error:
        return _page(request, found, error=_refusal(error, speech, found.network), given=given)
    query = f"?lang={speech.code}" if "lang" in request.query_params else ""
    return Redirect(request.url.path + query, status_code=303)


def _page(
    request: ApiRequest, found: Claim, *, error: str | None = None, given: str = ""
) -> Response[str]:
    speech, words = language_for(request), WORDS[found.status]
    amount = speech.sats(int(found.refund.amount))
    return page(
        request,
        "claim.html",
        speech,
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        shop=found.store,
        title=speech.say(words.title) % {"amount": amount},
        text=speech.say(words.text) % {"amount": amount},
        tone=_tone(found.status),
        takes=found.status in _TAKES,
        is_open=found.status is RefundStatus.OPEN,
        error=error,
        given=given,
        txid=found.refund.txid if found.status in _GOOD else None,
        left=_left(request, found),
        test_network=_test_network(found.network),
    )


def _tone(status: RefundStatus) -> str:
    if status in _GOOD:
        return "good"
    return "open" if status in (*_TAKES, RefundStatus.APPROVED, RefundStatus.QUEUED) else "closed"


def _left(request: ApiRequest, found: Claim) -> tuple[int, int]:
    """The whole days and hours in which an address can be given."""
    seconds = max(0, int(found.refund.expires_at) - int(parts_of(request).clock()))
    return seconds // 86_400, max(1, seconds // 3_600)


def _test_network(network: Network) -> str | None:
    return None if network is Network.MAINNET else network.value


def _refusal(error: RefundRefused, speech: Language, network: Network) -> str:
    told = str(error)
    if told in REFUSALS:
        return speech.say(told)
    if told.startswith("The address is not for"):
        return speech.say(OTHER_NETWORK) % {"network": network.value}
    return speech.say(OTHER_REFUSAL)


def _refunds(request: ApiRequest) -> Refunds:
    parts = parts_of(request)
    return Refunds(parts.database, parts.clock)


async def _found(request: ApiRequest, token: str) -> Claim:
    """The refund; an unknown secret costs its client as much as a wrong key."""
    found = await _refunds(request).claim(token)
    if found is None:
        count_guess(request)
        raise not_found()
    return found
