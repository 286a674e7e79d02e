"""The style and the script of the pages. A name has the hash of its content, and never changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType

from litestar import Response, get
from litestar.params import FromPath

from dovetail.merchant.api.problems import not_found

PATH = "/assets/"
FOREVER = "public, max-age=31536000, immutable"

_TYPES = MappingProxyType({"css": "text/css", "js": "text/javascript"})
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    content: bytes
    media_type: str


@cache
def assets() -> Mapping[str, Asset]:
    """The files by their names with the hash."""
    found: dict[str, Asset] = {}
    for path in (files("dovetail.merchant.pages") / "static").iterdir():
        stem, _, kind = path.name.partition(".")
        content = path.read_bytes()
        name = f"{stem}.{sha256(content).hexdigest()[:_DIGITS]}.{kind}"
        found[name] = Asset(content, _TYPES[kind])
    return MappingProxyType(found)


@cache
def asset_path(name: str) -> str:
    """Where a file is served, such as `pages.css`; raises `KeyError`."""
    stem, _, kind = name.partition(".")
    for each in assets():
        first, _, last = each.split(".")
        if (first, last) == (stem, kind):
            return PATH + each
    raise KeyError(name)


@get(PATH + "{name:str}")
async def serve_asset(name: FromPath[str]) -> Response[bytes]:
    """Serve a file, for as long as a browser wants to keep it."""
    found = assets().get(name)
    if found is None:
        raise not_found()
    return Response(found.content, media_type=found.media_type, headers={"cache-control": FOREVER})
