"""A directory's OHTTP keys: fetched once, kept for a while (RFC 9458, Section 3)."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from dovetail.causes import place
from dovetail.crypto import KeyConfig
from dovetail.durable_files import replace_durably
from dovetail.errors import ParseError, TransportError
from dovetail.protocol.requests import GATEWAY_PATH
from dovetail.runtime.relays import Relays
from dovetail.runtime.transport import Transport
from dovetail.tor import is_onion

KEEP = 6 * 3600
"""Seconds until keys are fetched anew; a directory accepts old ones far longer."""

_OK = 200
_LARGEST = 4096
_TRIES = 3


class OhttpKeys:
    """Fetches key configurations and keeps them in a file, which holds nothing secret.

    An https directory is asked through a relay's tunnel, so that it does not learn our address;
    straight only where the user allows that, where the directory is on plain http and a tunnel
    would hide nothing, or where Tor is used.
    """

    def __init__(
        self,
        transport: Transport,
        relays: Relays,
        *,
        clock: Callable[[], int],
        cache: Path | None = None,
    ) -> None:
        """`cache` is the file; None keeps the keys in memory only."""
        self._transport = transport
        self._relays = relays
        self._clock = clock
        self._cache = cache
        self._known = _read(cache)

    async def of(self, directory: str) -> KeyConfig:
        """The key configuration of `directory`, an origin; raises `TransportError`."""
        kept = self._known.get(directory)
        if kept is not None and 0 <= self._clock() - kept[0] < KEEP:
            return KeyConfig.parse(kept[1])
        config = await self._fetch_patiently(directory)
        self._known[directory] = (self._clock(), config.serialize())
        _write(self._cache, self._known)
        return config

    async def _fetch_patiently(self, directory: str) -> KeyConfig:
        """Fetch, by another relay where one fails, as a person waits for this answer."""
        for _ in range(_TRIES - 1):
            relay = tunnel_to(directory, self._relays)
            with suppress(TransportError):
                return await self._fetch(directory, relay)
            if relay is None:
                break
        return await self._fetch(directory, tunnel_to(directory, self._relays))

    async def _fetch(self, directory: str, relay: str | None) -> KeyConfig:
        try:
            reply = await self._transport.get(directory + GATEWAY_PATH, proxy=relay, limit=_LARGEST)
        except TransportError as error:
            self._relays.failed(relay)
            way = "" if relay is None else f", through the relay {place(relay)}"
            raise TransportError(
                f"The directory's OHTTP keys could not be fetched{way}. {error}", at=error.at
            ) from error
        if reply.status != _OK:
            raise TransportError(
                f"The directory has no OHTTP keys (it answered with status {reply.status}), and"
                " may be no payjoin directory: check `directory`."
            )
        try:
            return KeyConfig.parse(reply.body)
        except ParseError as error:
            raise TransportError(
                "The directory's OHTTP keys cannot be read, and it may be no payjoin directory:"
                " check `directory`."
            ) from error


def tunnel_to(directory: str, relays: Relays) -> str | None:
    """The relay whose tunnel keeps our address from `directory`; None: straight, or by Tor."""
    hides = urlsplit(directory).scheme == "https" and not is_onion(directory)
    return relays.choose(directory) if hides else None


def _read(cache: Path | None) -> dict[str, tuple[int, bytes]]:
    """The keys that a former run kept; a damaged file counts as none."""
    if cache is None or not cache.exists():
        return {}
    try:
        entries = json.loads(cache.read_bytes())
        known = {
            directory: (int(at), b64decode(config, validate=True))
            for directory, (at, config) in entries.items()
        }
        for _, config in known.values():
            KeyConfig.parse(config)
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
    return known


def _write(cache: Path | None, known: dict[str, tuple[int, bytes]]) -> None:
    """Keep the keys for the next run; if the disk refuses, they are fetched again."""
    if cache is None:
        return
    entries = {
        directory: (at, b64encode(config).decode()) for directory, (at, config) in known.items()
    }
    with suppress(OSError):
        replace_durably(cache, json.dumps(entries).encode())
