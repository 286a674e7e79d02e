"""All pages as one site, for the application."""

from litestar import Router

from dovetail.merchant.api.limits import Limits
from dovetail.merchant.api.problems import Refused
from dovetail.merchant.api.site import Site
from dovetail.merchant.pages import assets, checkout, claim, errors
from dovetail.merchant.pages.rendering import headers_of
from dovetail.serving.asgi import Scope
from dovetail.serving.responses import Response

_PREFIXES = ("/i/", "/claims/", assets.PATH)


def site(limits: Limits) -> Site:
    """The pages; the origins in `limits.embedded_by` may show them in a frame."""
    headers = tuple(
        (name.lower().encode(), value.encode())
        for name, value in headers_of(limits.embedded_by).items()
    )

    def refusal(scope: Scope, refused: Refused) -> Response:
        return errors.at_the_door(scope, refused, headers)

    return Site(
        routers=(
            Router(
                "/",
                route_handlers=[checkout.show_invoice, claim.show_claim, claim.take_address],
                exception_handlers=errors.HANDLERS,
                include_in_schema=False,
            ),
            Router(
                "/",
                route_handlers=[
                    checkout.tell_state,
                    checkout.stream_states,
                    assets.serve_asset,
                ],
                include_in_schema=False,
            ),
        ),
        is_page=is_page,
        refusal=refusal,
    )


def is_page(path: str) -> bool:
    """Whether a path is one of the pages'."""
    return path.startswith(_PREFIXES)
