"""The customers' pages, as a part of the shop's server."""

from litestar import Router

from dovetail.merchant.api.limits import Limits
from dovetail.merchant.api.mounts import FORM, Mount
from dovetail.merchant.pages import assets, checkout, claim, errors, modal, sale
from dovetail.merchant.pages.rendering import headers_of

PAGES = (
    checkout.show_invoice,
    checkout.tell_state,
    checkout.stream_states,
    claim.show_claim,
    claim.take_address,
    *sale.HANDLERS,
    assets.serve_asset,
    modal.serve_script,
)
"""All that can be asked for."""

_ROUTER = Router("/", route_handlers=PAGES, include_in_schema=False)
_PREFIXES = ("/i/", "/claims/", sale.PATH, assets.PATH)


def mount(limits: Limits) -> Mount:
    """The pages; nobody shows them in a frame, but for the checkout where it is opened for that."""
    headers = headers_of(())
    return Mount(
        router=_ROUTER,
        state={sale.GATE: sale.Gate(limits)},
        has=lambda path: path.startswith(_PREFIXES) or path in modal.SCRIPT,
        refusal=lambda scope, refused: errors.refusal(scope, refused, headers),
        takes=FORM,
    )
