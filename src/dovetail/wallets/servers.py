"""Addresses of chain servers."""

from urllib.parse import urlsplit

from dovetail.errors import ConfigurationError


def checked_url(url: str) -> str:
    """The URL without a slash at its end. Raises `ConfigurationError`, which never quotes it."""
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_server = is_server and parts.port != 0 and url.isascii() and url.isprintable()
    except ValueError:
        raise ConfigurationError("The chain server's URL is malformed; correct it.") from None
    if not is_server or parts.query or parts.fragment or " " in url:
        raise ConfigurationError(
            "The chain server's URL must be http:// or https:// with a host; correct it."
        )
    if parts.username is not None:
        raise ConfigurationError(
            "The chain server's URL holds a user name, which is not supported; use a server "
            "without a login."
        )
    return url.rstrip("/")
