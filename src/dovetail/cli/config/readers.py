"""How the value of a key is read: from TOML's own types, or from a variable's or flag's text.

Each reader takes the name to blame and the value. Raises `ConfigurationError`.
"""

import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import click

from dovetail.cli import option_types
from dovetail.errors import ConfigurationError
from dovetail.tor import SocksProxy
from dovetail.wallets.server_url import checked_url

_RATE = re.compile(r"[0-9]{1,6}(?:\.[0-9]{0,20})?", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,6})\s*([KMGT])i?B?", re.ASCII | re.IGNORECASE)
_SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_MOST_BYTES = 2**53
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def text(key: str, value: Any) -> str:
    """Text with something in it, bare of spaces around."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"`{key}` must be text: correct it in the configuration.")
    return value.strip()


def wallet_name(key: str, value: Any) -> str:
    """A name; the empty one is that of the node's wallet without a name."""
    return text(key, value) if value else _empty(key, value)


def _empty(key: str, value: Any) -> str:
    if value != "":
        raise ConfigurationError(f"`{key}` must be text: correct it in the configuration.")
    return ""


def choice(*choices: str) -> Callable[[str, Any], str]:
    """One of these words."""

    def read(key: str, value: Any) -> str:
        if value not in choices:
            raise ConfigurationError(f"`{key}` must be {_or(choices)}: correct it.")
        return str(value)

    return read


def socks_proxy(key: str, value: Any) -> str:
    """A SOCKS5 proxy such as socks5://127.0.0.1:9050."""
    return str(SocksProxy.parse(text(key, value)))


def folder(key: str, value: Any) -> Path:
    """A folder, there or not; `~` is the home directory."""
    return _path(key, text(key, value), "folder")


def file(key: str, value: Any) -> Path:
    """A file, there or not; `~` is the home directory."""
    return _path(key, text(key, value), "file")


def server(key: str, value: Any) -> str:
    """A chain server's URL, whose scheme says what it speaks."""
    return checked_url(text(key, value), name=f"`{key}`")


def url(key: str, value: Any) -> str:
    """An http or https URL without a login, without the slash at its end."""
    given = text(key, value)
    try:
        parts = urlsplit(given)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
        bare = parts.username is None and not parts.query and not parts.fragment
    except ValueError:
        sound = bare = False
    if not sound or not bare or not given.isascii() or not given.isprintable() or " " in given:
        raise ConfigurationError(
            f"`{key}` must be an http or https URL such as https://example.org: correct it."
        )
    return given.rstrip("/")


def urls(key: str, value: Any) -> tuple[str, ...]:
    """A list of such URLs, which text parts by commas."""
    given: Any = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        raise ConfigurationError(f"`{key}` must be a list of URLs: correct it.")
    return tuple(url(key, each) for each in cast("list[Any]", given))


def truth(key: str, value: Any) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    raise ConfigurationError(f"`{key}` must be true or false: correct it.")


def whole(least: int, most: int) -> Callable[[str, Any], int]:
    """A whole number within bounds."""

    def read(key: str, value: Any) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if type(number) is not int or not least <= number <= most:
            raise ConfigurationError(
                f"`{key}` must be a whole number from {least} to {most}: correct it."
            )
        return number

    return read


def duration(least: float, most: float) -> Callable[[str, Any], float]:
    """Seconds, given as a number or as text such as 10m, within bounds."""

    def read(key: str, value: Any) -> float:
        found = option_types.seconds(value) if isinstance(value, str) else value
        sound = isinstance(found, int | float) and not isinstance(found, bool)
        # Compared before it is converted: TOML's whole numbers may be larger than any float.
        if not sound or not least <= (found or 0) <= most:
            raise ConfigurationError(
                f"`{key}` must be a duration from {span(least)} to {span(most)},"
                " such as 90s, 10m or 24h: correct it."
            )
        return float(found or 0)

    return read


def seconds(least: float, most: float) -> Callable[[str, Any], int]:
    """The same in whole seconds."""
    read = duration(least, most)
    return lambda key, value: int(read(key, value))


def rate(key: str, value: Any) -> str:
    """A fee rate in sat/vB, as decimal text."""
    given = value if isinstance(value, str) else ""
    if isinstance(value, float) or (type(value) is int and 0 <= value < 1_000_000):
        given = str(value)
    if not _RATE.fullmatch(given):
        raise ConfigurationError(f"`{key}` must be a fee rate in sat/vB, such as 2.5: correct it.")
    return given


def several(
    one: Callable[[str, Any], Any], *, parted: bool = False
) -> Callable[[str, Any], tuple[Any, ...]]:
    """A list of such values; where it may be `parted`, text is one too, with commas."""

    def read(key: str, value: Any) -> tuple[Any, ...]:
        is_text = parted and isinstance(value, str)
        given = value.replace(",", " ").split() if is_text else value
        if not isinstance(given, list | tuple):
            raise ConfigurationError(f"`{key}` must be a list: correct it.")
        return tuple(one(key, each) for each in cast("list[Any]", given))

    return read


def size(key: str, value: Any) -> int:
    """Bytes, as a number or as text such as 20G."""
    given = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if given is not None:
        return int(given[1]) * _SIZES[given[2].upper()]
    try:
        return whole(1, _MOST_BYTES)(key, value)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"`{key}` must be a number of bytes or a size such as 500M or 20G: correct it."
        ) from error


def place(key: str, value: Any) -> tuple[str, int]:
    """Where a server listens, as host:port."""
    try:
        return option_types.Place().convert(text(key, value), None, None)
    except click.UsageError as error:
        raise ConfigurationError(f"`{key}`: {error.message}") from None


def local_place(key: str, value: Any) -> tuple[str, int]:
    """The same; a port alone is one of this machine."""
    given = str(value) if type(value) is int else value
    alone = isinstance(given, str) and given.strip().isdecimal()
    return place(key, f"{option_types.LOOPBACK}:{given.strip()}" if alone else given)


def network(key: str, value: Any) -> str:
    """An IP address, or a network such as 10.0.0.0/8."""
    given = text(key, value)
    try:
        ip_network(given)
    except ValueError:
        raise ConfigurationError(
            f"`{key}` must hold IP addresses or networks, such as 10.0.0.0/8: correct it."
        ) from None
    return given


def span(value: float) -> str:
    """A duration as text, such as 90s or 7d."""
    for seconds_, letter in ((86_400, "d"), (3600, "h"), (60, "m")):
        if value and value % seconds_ == 0:
            return f"{value // seconds_:.0f}{letter}"
    return f"{value:g}s"


def _path(key: str, given: str, kind: str) -> Path:
    wrong = ConfigurationError(
        f"`{key}` must be the path of a {kind}, `~` the home of a user that exists: correct it."
    )
    if "\0" in given:
        raise wrong
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError:
        raise wrong from None


def _or(choices: tuple[str, ...]) -> str:
    *most, last = (f'"{choice}"' for choice in choices)
    return f"{', '.join(most)} or {last}" if most else last
