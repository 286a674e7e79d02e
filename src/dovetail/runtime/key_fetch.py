"""Fetch a directory's OHTTP keys, for wallets that drive the states without an agent."""

import time
from collections.abc import Sequence
from contextlib import aclosing

from dovetail.crypto import KeyConfig
from dovetail.protocol.uri import parse_directory
from dovetail.runtime.ohttp_keys import OhttpKeys
from dovetail.runtime.relays import Relays
from dovetail.runtime.transport import HttpTransport, Transport
from dovetail.tor import SocksProxy


async def fetch_ohttp_keys(
    directory: str,
    *,
    relays: Sequence[str] = (),
    direct: bool = False,
    tor: SocksProxy | None = None,
    transport: Transport | None = None,
) -> KeyConfig:
    """The key configuration of `directory`, for `receiver.create`; keep it for six hours at most.

    It is fetched through a tunnel of one of `relays`, or of another where that fails, so that an
    https directory does not learn our address; `direct` allows asking it straight. Raises
    `TransportError` where the fetch fails, `ConfigurationError` with neither a relay nor
    `direct`, and `InvalidUri` for a directory that is no URL (RFC 9458, Section 3).
    """
    routes = Relays(relays, clock=time.time, direct=direct)
    origin = parse_directory(directory)
    if transport is not None:
        return await OhttpKeys(transport, routes, clock=_seconds).of(origin)
    async with aclosing(HttpTransport(tor=tor)) as own:
        return await OhttpKeys(own, routes, clock=_seconds).of(origin)


def _seconds() -> int:
    return int(time.time())
