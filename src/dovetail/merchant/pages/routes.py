"""The customers' pages, as a part of the shop's server."""

from litestar import Router

from dovetail.merchant.api.limits import Limits
from dovetail.merchant.api.mounts import FORM, Mount
from dovetail.merchant.pages import assets, checkout, claim, errors, sale
from dovetail.merchant.pages.rendering import headers_of

PAGES = (
    checkout.show_invoice,
    checkout.tell_state,
    checkout.stream_states,
    claim.show_claim,
    claim.take_address,
    *sale.HANDLERS,
    assets.serve_asset,
)
"""All that can be asked for."""

_PREFIXES = ("/i/", "/claims/", sale.PATH, assets.PATH)


def mount(limits: Limits) -> Mount:
    """The pages; the origins in `limits.embedded_by` may show them in a frame."""
    headers = headers_of(limits.embedded_by)
    router = Router(
        "/", route_handlers=PAGES, include_in_schema=False, opt=sale.Gate(limits).options
    )
    return Mount(
        routers=(router,),
        has=lambda path: path.startswith(_PREFIXES),
        refusal=lambda scope, refused: errors.refusal(scope, refused, headers),
        takes=FORM,
    )
