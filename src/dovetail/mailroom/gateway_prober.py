"""Probes whether gateways accept requests of any relay (BIP 77, Relay/Directory interactions)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from dovetail.errors import TransportError
from dovetail.mailroom.gateway import BIP77_PURPOSE, PURPOSES_TYPE
from dovetail.mailroom.gateway_uri import Target
from dovetail.protocol.requests import GATEWAY_PATH

PROBE_PATH = f"{GATEWAY_PATH}?allowed_purposes"
_KNOWN = 1_000
"""The number of gateways that are cached."""


class OptIn(Enum):
    """The result of a probe; its value is how many seconds it is cached.

    An unreachable gateway is probed again soon, because one error must not exclude it.
    """

    YES = 86_400.0
    NO = 600.0
    UNREACHABLE = 5.0


@dataclass(frozen=True, slots=True)
class Probe:
    """A gateway's answer."""

    status: int
    media_type: str
    body: bytes
    address: str = ""
    """The IP address that answered."""


class Gateways:
    """Probes whether gateways opted in, and caches the results."""

    def __init__(
        self, ask: Callable[[Target], Awaitable[Probe]], *, clock: Callable[[], float]
    ) -> None:
        """`ask` sends a GET of `PROBE_PATH`; it raises `TransportError`."""
        self._ask = ask
        self._clock = clock
        self._known: dict[Target, tuple[OptIn, float, str]] = {}
        self._asking: dict[Target, asyncio.Task[OptIn]] = {}

    def known(self, target: Target) -> OptIn | None:
        """Return the cached result, or None if the gateway must be probed."""
        verdict = self._known.get(target)
        return verdict[0] if verdict is not None and verdict[1] > self._clock() else None

    def asking(self, target: Target) -> "asyncio.Task[OptIn] | None":
        """Return the running probe of a gateway; all callers share it."""
        return self._asking.get(target)

    def ask(self, target: Target) -> "asyncio.Task[OptIn]":
        """Start a probe of a gateway that has none running."""
        task = asyncio.create_task(self._learn(target))
        self._asking[target] = task
        task.add_done_callback(lambda _: self._asking.pop(target))
        return task

    async def opted_in(self, target: Target) -> OptIn:
        """Return whether the gateway opted in; probe it if necessary."""
        if (known := self.known(target)) is not None:
            return known
        asked = self.asking(target) or self.ask(target)
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            if asked.cancelled():
                return OptIn.UNREACHABLE
            raise

    def give_up(self, target: Target) -> None:
        """Stop the probe of a gateway; callers that wait get UNREACHABLE."""
        asked = self.asking(target)
        if asked is not None:
            asked.cancel()

    def address(self, target: Target) -> str:
        """Return the IP address at which a gateway opted in; tunnels may lead only there.

        Raises `TransportError` if the gateway is not known to have opted in.
        """
        verdict, _, address = self._known.get(target, (OptIn.UNREACHABLE, 0.0, ""))
        if verdict is not OptIn.YES or not address:
            raise TransportError("The gateway cannot be reached; try again later.")
        return address

    def forget(self, target: Target) -> None:
        """Drop the cached result of a gateway."""
        self._known.pop(target, None)

    async def aclose(self) -> None:
        """Stop all probes."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _learn(self, target: Target) -> OptIn:
        address = ""
        try:
            probe = await self._ask(target)
            verdict, address = judge(probe), probe.address
        except TransportError:
            verdict = OptIn.UNREACHABLE
        self._known.pop(target, None)
        self._known[target] = (verdict, self._clock() + verdict.value, address)
        if len(self._known) > _KNOWN:
            del self._known[next(iter(self._known))]
        return verdict


def judge(probe: Probe) -> OptIn:
    """Return whether a probe's answer lists BIP 77's purpose."""
    if probe.status >= 500:
        return OptIn.UNREACHABLE
    if probe.status != 200 or probe.media_type != PURPOSES_TYPE:
        return OptIn.NO
    return OptIn.YES if BIP77_PURPOSE in parse_purposes(probe.body) else OptIn.NO


def parse_purposes(data: bytes) -> tuple[bytes, ...]:
    """Read a list of u8-prefixed names after a u16, which is their length in bytes or their count.

    BIP 77 describes the length, and peers write the count. The result is empty for any other
    number.
    """
    names: list[bytes] = []
    at = 2
    while at < len(data):
        end = at + 1 + data[at]
        names.append(data[at + 1 : end])
        at = end
    whole = at == len(data) and int.from_bytes(data[:2]) in (len(names), len(data) - 2)
    return tuple(names) if whole else ()
