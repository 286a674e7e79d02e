"""All pages of the dashboard as one site, for the application."""

from litestar import Response as Page
from litestar import Router, get
from litestar.params import FromPath

from dovetail.merchant.api.problems import Refused, not_found
from dovetail.merchant.api.site import Site
from dovetail.merchant.dashboard import (
    account,
    coins,
    errors,
    invoices,
    overview,
    people,
    refunds,
    sign_in,
    webhooks,
)
from dovetail.merchant.dashboard.access import PATH
from dovetail.merchant.dashboard.desk import Desk
from dovetail.merchant.services.health import Health
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.sign_in import SignIns
from dovetail.merchant.services.users import Users
from dovetail.serving.asgi import Scope
from dovetail.serving.responses import Response

PAGES = (
    *sign_in.HANDLERS,
    *account.HANDLERS,
    *overview.HANDLERS,
    *invoices.HANDLERS,
    *refunds.HANDLERS,
    *coins.HANDLERS,
    *webhooks.HANDLERS,
    *people.HANDLERS,
)
"""All that can be asked for."""


def site(parts: Parts, health: Health, *, users: Users | None = None) -> Site:
    """The dashboard over these parts; `users` checks passwords."""
    known = users or Users(parts.database)
    desk = Desk(parts=parts, health=health, users=known, sign_ins=SignIns(parts.database, known))
    return Site(
        routers=(
            Router(
                "/",
                route_handlers=[*PAGES, show_none],
                exception_handlers=errors.HANDLERS,
                include_in_schema=False,
                opt=desk.options,
            ),
        ),
        is_page=is_page,
        refusal=_refusal,
    )


@get(f"{PATH}/{{rest:path}}")
async def show_none(rest: FromPath[str]) -> Page[str]:
    """Say that there is no such page."""
    del rest
    raise not_found()


def is_page(path: str) -> bool:
    """Whether a path is one of the dashboard's."""
    return path == PATH or path.startswith(f"{PATH}/")


def _refusal(_: Scope, refused: Refused) -> Response:
    return errors.at_the_door(refused)
