"""The browser that signs in: what its user knows it by, and whether they have done so before."""

from typing import Any

from litestar import Response

from dovetail.merchant.api.routes.common import ApiRequest, in_thread
from dovetail.merchant.dashboard.access import cookie_of, set_cookie
from dovetail.merchant.dashboard.desk import desk_of
from dovetail.merchant.data.known_browsers import KEPT
from dovetail.merchant.data.sign_ins import hash_of
from dovetail.merchant.services.sign_in import Browser

KNOWN = "dovetail-browser"
"""The cookie of a browser in which somebody has signed in."""

_MOST = 512
_BROWSERS = (
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
"""What the name of a browser has in it; others claim to be those below them."""

_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser_of(request: ApiRequest) -> Browser:
    """The browser of a request."""
    return Browser(
        words=words_of(request.headers.get("user-agent", "")),
        known=request.cookies.get(cookie_of(request, KNOWN)),
    )


def words_of(agent: str) -> str:
    """A browser and its system in coarse words, of those in the tables alone."""
    told = agent[:_MOST]
    name = next((words for part, words in _BROWSERS if part in told), "")
    system = next((words for part, words in _SYSTEMS if part in told), "")
    return ", ".join(filter(None, (name, system)))


async def known_to(request: ApiRequest, name: str | None = None) -> bytes | None:
    """What names this browser, if the user of the name has signed in with it; None: if anybody."""
    browser, signs = browser_of(request), desk_of(request).sign_ins
    if browser.known is None or not await in_thread(lambda: signs.knows(browser, name)):
        return None
    return hash_of(browser.known)


def keep_known(answer: Response[Any], request: ApiRequest, token: str) -> None:
    """Have the browser keep what the sign-in has given it."""
    set_cookie(answer, request, token, KNOWN, seconds=KEPT)
