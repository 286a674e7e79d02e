"""The checkout page in a frame over a shop's page: the script for that, and who may show it."""

from collections.abc import Mapping, Sequence

from litestar import Response, get

from dovetail.merchant.api.origins import safe_origin
from dovetail.merchant.api.routes.common import ApiRequest
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.pages.assets import PATH, asset_path, assets
from dovetail.merchant.pages.rendering import headers_of

SCRIPT = ("/greenfield/modal/btcpay.js", "/modal/btcpay.js")
"""Where shop software finds the script: under the address it was given, and without its path."""

VIEW = "modal"
"""The `view` of a checkout page that is opened in a frame."""

_HEADERS = {"cache-control": "public, max-age=3600", "cross-origin-resource-policy": "cross-origin"}


@get(list(SCRIPT))
async def serve_script() -> Response[bytes]:
    """Serve the script to pages of shops; its path never changes, so browsers ask again."""
    found = assets()[asset_path("btcpay.js").removeprefix(PATH)]
    return Response(found.content, media_type=found.media_type, headers=_HEADERS)


def is_modal(request: ApiRequest) -> bool:
    """Whether the page is to be shown in a frame."""
    return request.query_params.get("view") == VIEW


def framing(row: InvoiceRow, named: Sequence[str]) -> Mapping[str, str]:
    """The headers of a page that is opened in a frame.

    The origins that the operator has `named` may show it, and the one to which the shop's own
    software lets the customer return.
    """
    back = safe_origin(row.redirect_url)
    return headers_of((*named, *(() if back is None or back in named else (back,))))
