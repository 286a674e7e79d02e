"""Tests of a mailroom from outside: clock, certificate, opt-in, and a message there and back."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from secrets import token_bytes
from typing import Any
from urllib.parse import urlsplit

from dovetail.crypto import KeyConfig, SecretKey
from dovetail.errors import ConfigurationError, DovetailError, TransportError
from dovetail.mailroom.checking import CLOCK_APART, Finding
from dovetail.mailroom.gateway import PURPOSES_TYPE
from dovetail.mailroom.gateway_prober import PROBE_PATH, OptIn, Probe, judge
from dovetail.protocol import ShortId, poll_mailbox, post_to_mailbox
from dovetail.protocol.mailbox import MESSAGE_SIZE
from dovetail.runtime.ohttp_keys import OhttpKeys
from dovetail.runtime.relays import Relays
from dovetail.runtime.transport import Transport

LEAST_DAYS = 14
"""Days for which a certificate should still be good; what renews it does so at thirty."""

_PATIENCE = 10.0
_LARGEST = 4_096
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Outside:
    """What is tested: a directory as its users reach it."""

    url: str
    """The public URL of the directory."""
    relays: Relays
    transport: Transport
    trust: ssl.SSLContext = field(repr=False)
    """The authorities whose certificates are accepted."""
    now: Callable[[], float] = time.time


async def findings(outside: Outside) -> list[Finding]:
    """Test what users would notice. A random mailbox gets a random message."""
    tests: dict[str, Callable[[Outside], Awaitable[str]]] = {
        "time": _time,
        "certificate": _certificate,
        "opt-in": _opt_in,
        "round trip": _round_trip,
    }
    return [await _tested(about, test(outside)) for about, test in tests.items()]


async def _tested(about: str, test: Awaitable[str]) -> Finding:
    try:
        return Finding(about, True, await test)
    except DovetailError as error:
        return Finding(about, False, str(error))


async def _time(outside: Outside) -> str:
    """Compare the clock with the one of a relay, which is another machine's."""
    relay, _ = _way(outside)
    if relay is None:
        return "Not compared with another clock, as no relay is set."
    before = outside.now()
    told = await _date_of(relay, outside.trust)
    if told is None:
        return f"Not compared with another clock, as {relay} does not tell its own."
    apart = max(before - told, told - outside.now(), 0.0)
    if apart > CLOCK_APART:
        raise ConfigurationError(
            f"The clock of this machine and that of {relay} are {apart:.0f} s apart: set the wrong"
            " one right."
        )
    return f"The clock agrees with that of {relay}."


async def _date_of(url: str, trust: ssl.SSLContext) -> float | None:
    """Return what the `date` of an answer says, in Unix seconds."""
    head = await _head_of(url, trust)
    line = next((each for each in head.split(b"\r\n") if each[:5].lower() == b"date:"), b"date:")
    try:
        return parsedate_to_datetime(line[5:].strip().decode("latin-1")).timestamp()
    except ValueError:
        return None


async def _head_of(url: str, trust: ssl.SSLContext) -> bytes:
    """Ask for the first page of a server, and return the head of its answer."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(
                parts.hostname, port, ssl=trust if secure else None, limit=_LARGEST
            )
            try:
                writer.write(f"HEAD / HTTP/1.1\r\nhost: {parts.netloc}\r\n\r\n".encode())
                return await reader.readuntil(b"\r\n\r\n")
            finally:
                writer.transport.abort()
    except (OSError, EOFError, asyncio.LimitOverrunError) as error:
        raise TransportError(f"The relay {url} cannot be reached: set another one.") from error


async def _certificate(outside: Outside) -> str:
    parts = urlsplit(outside.url)
    if parts.scheme != "https":
        return "There is none: the URL is of plain http, for this machine alone."
    host, port = parts.hostname or "", parts.port or 443
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=outside.trust)
    except ssl.SSLCertVerificationError as error:
        raise ConfigurationError(
            f"The certificate is not trusted: {error.verify_message}. Have the proxy send the whole"
            " chain of a valid one."
        ) from error
    except OSError as error:
        raise TransportError(
            "The public URL cannot be reached from here: check name, port and firewall."
        ) from error
    told: dict[str, Any] = writer.get_extra_info("peercert")
    writer.transport.abort()
    until = ssl.cert_time_to_seconds(str(told["notAfter"]))
    days = int((until - outside.now()) // _DAY)
    if days < LEAST_DAYS:
        raise ConfigurationError(
            f"The certificate is good for {days} more days: see why it was not renewed."
        )
    return f"Its chain is trusted, and it is good for {days} more days."


async def _opt_in(outside: Outside) -> str:
    """Ask through the relay's tunnel, if there is one: that is how others see it."""
    relay, way = _way(outside)
    if not outside.url.startswith("https://"):  # a tunnel carries TLS alone
        relay, way = None, "straight"
    answer = await outside.transport.get(outside.url + PROBE_PATH, proxy=relay, limit=_LARGEST)
    # The transport does not show the media type, which relays compare too.
    if judge(Probe(answer.status, PURPOSES_TYPE, answer.body)) is not OptIn.YES:
        raise ConfigurationError(
            f"The gateway does not say that it takes payjoins ({way}): check that the proxy passes"
            f" {PROBE_PATH} on."
        )
    return f"The gateway says that it takes payjoins, asked {way}."


async def _round_trip(outside: Outside) -> str:
    relay, way = _way(outside)
    keys = OhttpKeys(outside.transport, outside.relays, clock=lambda: int(outside.now()))
    config = await keys.of(outside.url)
    mailbox, message = ShortId.of(SecretKey.generate().public_key), token_bytes(MESSAGE_SIZE)
    begun = time.monotonic()
    await _post(outside, relay, config, mailbox, message)
    if await _poll(outside, relay, config, mailbox) != message:
        raise TransportError("A message came back changed or not at all: check the proxies.")
    seconds = time.monotonic() - begun
    return f"A message went there and back {way}, in {seconds:.2f} s."


async def _post(
    outside: Outside, relay: str | None, keys: KeyConfig, mailbox: ShortId, message: bytes
) -> None:
    request, context = post_to_mailbox(
        relay=relay, directory=outside.url, short_id=mailbox, ohttp_keys=keys, body=message
    )
    context.open((await outside.transport.post(request)).body).confirm_posted()


async def _poll(
    outside: Outside, relay: str | None, keys: KeyConfig, mailbox: ShortId
) -> bytes | None:
    request, context = poll_mailbox(
        relay=relay, directory=outside.url, short_id=mailbox, ohttp_keys=keys
    )
    return context.open((await outside.transport.post(request)).body).message()


def _way(outside: Outside) -> tuple[str | None, str]:
    relay = outside.relays.choose(outside.url)
    return relay, "straight, as no relay is set" if relay is None else f"through {relay}"
