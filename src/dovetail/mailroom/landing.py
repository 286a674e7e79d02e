"""What a visitor with a browser is shown: a page about the mailroom, and `security.txt`."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta
from html import escape
from importlib.metadata import version
from importlib.resources import files
from string import Template

from dovetail.errors import ConfigurationError
from dovetail.mailroom.settings import DAY, MailroomSettings
from dovetail.protocol.requests import GATEWAY_PATH
from dovetail.serving.responses import Response, cached, typed

SECURITY_PATH = "/.well-known/security.txt"

_PACKAGE = "dovetail-payjoin"
_EXPIRES = timedelta(days=90)
_PAGE_SECONDS = 300
_HOUR = 3600.0
_MAIL = re.compile(r"[!-~]+@[!-~]+\.[!-~]+")
_LINK = re.compile(r"https://[!-~]+")
_CONTACT = re.compile(r"(?:https://|mailto:|tel:)[!-~]+")

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"browsing-topics=()"),
)

_DIRECTORY = (
    "<li>A <strong>directory</strong> keeps sealed messages in mailboxes until they are fetched. "
    "It cannot read them. Requests come to it through a relay, so that it does not learn the "
    "IP addresses of those who write and read.</li>"
)
_RELAY = (
    "<li>A <strong>relay</strong> forwards sealed requests to the directories of others. It sees "
    "IP addresses, and neither mailboxes nor messages.</li>"
)
_V1 = (
    "<p>Wallets that speak only BIP 78 may send here too. They do not encrypt: this server sees "
    "such a payment, and the IP address that it comes from, and keeps neither.</p>"
)


class Landing:
    """The page at `/`, made once, and `security.txt` where there is a contact."""

    def __init__(self, settings: MailroomSettings) -> None:
        """Raises `ConfigurationError` for a `contact` that is none."""
        self._contact = _contact(settings.contact)
        self._address = _https(settings.public_url).rstrip("/")
        self._page = self._render(settings, _policy(settings.policy))

    def at(self, path: str, now: float) -> Response | None:
        """Return what is at a path, or None. `now` is Unix time."""
        if path == "/":
            return self._page
        return self._security_txt(now) if path == SECURITY_PATH and self._contact else None

    def _security_txt(self, now: float) -> Response:
        """Return `security.txt` (RFC 9116), which must have a contact and a time to its end."""
        expires = datetime.fromtimestamp(now // DAY * DAY, UTC) + _EXPIRES
        lines = (
            f"Contact: {self._contact}",
            f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
            "Preferred-Languages: en",
            *([f"Canonical: {self._address}{SECURITY_PATH}"] if self._address else []),
        )
        text = "".join(f"{line}\n" for line in lines).encode()
        return cached(typed("text/plain; charset=utf-8", text), _PAGE_SECONDS)

    def _render(self, settings: MailroomSettings, policy: str) -> Response:
        roles = _DIRECTORY * settings.directory + _RELAY * settings.relay
        facts = {
            "Contact": _anchor(self._contact) or "The operator has named no contact.",
            "Policy": policy or "The operator has written none.",
            "Protocol": "BIP 77 and BIP 78" if settings.v1 else "BIP 77",
            "Address": escape(self._address),
            "Keys": _anchor(GATEWAY_PATH) if settings.directory else "",
            "Messages": f"kept for {_span(settings.ttl)}" if settings.directory else "",
            "Status": _anchor("/health"),
            "Version": f"Dovetail {escape(version(_PACKAGE))}",
        }
        rows = "".join(
            f"<dt>{name}</dt><dd>{value}</dd>\n" for name, value in facts.items() if value
        )
        style = _read("mailroom.css")
        body = Template(_read("mailroom.html")).substitute(
            style=style, roles=roles, more=_V1 * settings.v1, rows=rows
        )
        page = typed("text/html; charset=utf-8", body.encode())
        headers = (*page.headers, *_HEADERS, _content_policy(style))
        return cached(Response(page.status, headers, page.body), _PAGE_SECONDS)


def _read(name: str) -> str:
    return (files("dovetail.mailroom") / "page" / name).read_text("utf-8")


def _content_policy(style: str) -> tuple[bytes, bytes]:
    """Return the header that allows this style and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rules = (
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return b"content-security-policy", "; ".join(rules).encode()


def _contact(given: str | None) -> str:
    """Return the contact as a URI, or nothing."""
    text = (given or "").strip()
    if not text or _CONTACT.fullmatch(text):
        return text
    if _MAIL.fullmatch(text):
        return f"mailto:{text}"
    raise ConfigurationError(
        "`contact` must be an e-mail address, or begin with https:, mailto: or tel: - correct it."
    )


def _https(given: str | None) -> str:
    """Return an https address, or nothing for what is none."""
    text = (given or "").strip()
    return text if _LINK.fullmatch(text) else ""


def _policy(given: str | None) -> str:
    """Return the policy as HTML: a link, or its sentences."""
    return _anchor(_https(given)) or escape((given or "").strip())


def _anchor(address: str) -> str:
    shown = escape(address.removeprefix("mailto:").removeprefix("tel:"))
    return f'<a href="{escape(address)}" rel="noreferrer">{shown}</a>' if address else ""


def _span(seconds: float) -> str:
    for length, name in ((DAY, "day"), (_HOUR, "hour"), (60.0, "minute")):
        count = round(seconds / length)
        if count and seconds >= length:
            return f"{count:,} {name}{'s' * (count != 1)}"
    return "less than a minute"
