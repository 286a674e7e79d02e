"""The page about the Greenfield API has what is served, and nothing else as served."""

import re

from litestar import Litestar, Router
from litestar.routes import HTTPRoute
from tests.guides.pages import ROOT

from dovetail.merchant.dashboard import consent
from dovetail.merchant.greenfield.access import PERMISSIONS
from dovetail.merchant.greenfield.mount import PATH, mount
from dovetail.merchant.invoices import btcpay
from dovetail.merchant.pages import modal

PAGE = (ROOT / "docs/reference/greenfield.md").read_text()
_NAMES = {"refund_id": "pull_payment_id"}
_PLACE = re.compile(r"\{(\w+)\}")


def _shown(found: re.Match[str]) -> str:
    first, *rest = _NAMES.get(found[1], found[1]).split("_")
    return "{" + first + "".join(each.capitalize() for each in rest) + "}"


def _served() -> set[str]:
    others = Router("/", route_handlers=[modal.serve_script, consent.show_consent])
    app = Litestar([mount().router, others], openapi_config=None)
    return {
        f"{method} {_PLACE.sub(_shown, route.path_format.removeprefix(PATH))}"
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path_format.startswith(PATH)
        for method in route.methods
        if method != "OPTIONS"
    }


def test_the_table_of_paths_is_what_is_served():
    told = re.findall(r"^\| `((?:GET|POST|PUT|DELETE) /[^`]*)` \| yes", PAGE, re.MULTILINE)
    assert set(told) == _served()
    assert len(told) == len(set(told))


def test_the_table_of_permissions_is_that_of_the_code():
    told = dict(re.findall(r"^\| `([a-z:]+)` \| `(btcpay\.[a-z.]+)` \|$", PAGE, re.MULTILINE))
    assert told == {scope.value: name for scope, name in PERMISSIONS.items()}


def test_each_event_is_named():
    assert [each for each in btcpay.EVENTS if f"`{each}`" not in PAGE] == []
