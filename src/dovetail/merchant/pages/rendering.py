"""HTML from the templates, in the language of the request, with the headers of each page."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response
from litestar.enums import MediaType

from dovetail.merchant.api.mounts import refused_with
from dovetail.merchant.api.problems import Refused
from dovetail.merchant.api.routes.common import ApiRequest
from dovetail.merchant.pages.assets import asset_path
from dovetail.merchant.pages.language import NAMES, Language, language, language_of
from dovetail.serving import responses


def headers_of(framed_by: Sequence[str], *, forms_to: str = "'self'") -> Mapping[str, str]:
    """The headers of each page: it loads nothing from elsewhere, and nobody frames it unasked.

    `forms_to` is where its forms go: to the server itself, or to another origin alone.
    """
    policy = "; ".join(
        (
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            f"form-action {forms_to}",
            "base-uri 'none'",
            f"frame-ancestors {' '.join(framed_by) or chr(39) + 'none' + chr(39)}",
        )
    )
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Language",
        "X-Content-Type-Options": "nosniff",
    }


def language_for(request: ApiRequest) -> Language:
    """The language of a request."""
    return language_of(request.query_params.get("lang"), request.headers.get("accept-language"))


def rendered(template: str, speech: Language, **values: Any) -> str:
    """The HTML of a template."""
    return _environment(speech.code).get_template(template).render(**values)


def page(
    request: ApiRequest,
    template: str,
    speech: Language,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response[str]:
    """A page of the site."""
    return Response(
        rendered(template, speech, path=request.url.path, **values),
        status_code=status,
        media_type=MediaType.HTML,
        headers=dict(headers_of(())) | dict(headers or {}),
    )


def html_refusal(refused: Refused, html: str, headers: Mapping[str, str]) -> responses.Response:
    """The answer with a page that tells why there is no other."""
    given = tuple((name.lower().encode(), value.encode()) for name, value in headers.items())
    return refused_with(refused, "text/html; charset=utf-8", html.encode(), given)


def environment(package: str, speech: Language, shared: Mapping[str, Any]) -> Environment:
    """The templates of a package, in a language; `shared` are names that all of them use."""
    made = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    install: Any = getattr(made, "install_gettext_translations")  # noqa: B009 - the extension adds it
    install(speech.translations, newstyle=True)
    names: Any = made.globals
    names.update({"asset": asset_path} | dict(shared))
    return made


@cache
def _environment(code: str) -> Environment:
    speech = language(code)
    shared = {"language": speech, "languages": NAMES}
    return environment("dovetail.merchant.pages", speech, shared)
