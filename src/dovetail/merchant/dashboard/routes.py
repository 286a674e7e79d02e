"""The dashboard, as a part of the shop's server."""

from litestar import Router

from dovetail.merchant.api.mounts import FORM, Mount
from dovetail.merchant.dashboard import (
    account,
    coins,
    consent,
    errors,
    invoices,
    overview,
    passkeys,
    people,
    points_of_sale,
    refunds,
    sign_in,
    webhooks,
)
from dovetail.merchant.dashboard.access import CONSENT, PATH
from dovetail.merchant.dashboard.desk import DESK, Desk
from dovetail.merchant.services.health import Health
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.sign_in import SignIns
from dovetail.merchant.services.users import Users

PAGES = (
    *sign_in.HANDLERS,
    *account.HANDLERS,
    *passkeys.HANDLERS,
    *overview.HANDLERS,
    *invoices.HANDLERS,
    *refunds.HANDLERS,
    *points_of_sale.HANDLERS,
    *coins.HANDLERS,
    *webhooks.HANDLERS,
    *people.HANDLERS,
    *consent.HANDLERS,
)
"""All that can be asked for."""

_ROUTER = Router(
    "/", route_handlers=PAGES, exception_handlers=errors.HANDLERS, include_in_schema=False
)


def mount(parts: Parts, health: Health, *, users: Users | None = None) -> Mount:
    """The dashboard over these parts; `users` checks passwords."""
    known = users or Users(parts.database)
    desk = Desk(parts=parts, health=health, users=known, sign_ins=SignIns(parts.database, known))
    return Mount(
        router=_ROUTER,
        state={DESK: desk},
        has=lambda path: path in (PATH, *CONSENT) or path.startswith(f"{PATH}/"),
        refusal=errors.refusal,
        takes=FORM,
    )
