"""Other sites: where a browser may be sent, and who may show a page in a frame."""

import re
from urllib.parse import urlsplit

from dovetail.merchant.public_url import is_loopback

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)


def safe_origin(url: str | None) -> str | None:
    """Return the origin of an address (RFC 6454), as a policy names it (CSP 3, section 2.3.1).

    None for an address where others may read along: only https is safe, and http on this machine.
    None too for one that browsers and this library may read differently.
    """
    if url is None or not url.isascii() or not url.isprintable() or set(url) & set(" \\"):
        return None
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return None
    if not _HOST.fullmatch(host) or "@" in parts.netloc:
        return None
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return None
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
