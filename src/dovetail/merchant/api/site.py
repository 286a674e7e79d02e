"""Pages for people, which are served beside the API and are no part of its document."""

from collections.abc import Callable
from dataclasses import dataclass

from litestar import Router

from dovetail.merchant.api.problems import Refused
from dovetail.serving.asgi import Scope
from dovetail.serving.responses import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The routes of pages, and how they meet what is refused before any route."""

    routers: tuple[Router, ...]
    is_page: Callable[[str], bool]
    """Whether this path is a page's: its body is a form, and its refusals are pages."""
    refusal: Callable[[Scope, Refused], Response]
    """The page that tells of a refusal."""


def joined(*sites: Site) -> Site:
    """Several sites as one; each keeps its paths, and tells of the refusals there."""

    def refusal(scope: Scope, refused: Refused) -> Response:
        path = scope["path"]
        return next(each for each in sites if each.is_page(path)).refusal(scope, refused)

    return Site(
        routers=tuple(router for each in sites for router in each.routers),
        is_page=lambda path: any(each.is_page(path) for each in sites),
        refusal=refusal,
    )
