"""TCP connections to a host: of several addresses the first that answers (RFC 8305).

asyncio's own race in Python 3.11 loses the socket of a connection that is made while its caller
is cancelled.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from ipaddress import ip_address
from itertools import zip_longest
from typing import Any, TypeAlias, TypeVar

HEAD_START = 0.25
"""Seconds before the next address is tried beside the first (RFC 8305, 5)."""

P = TypeVar("P", bound=asyncio.Protocol)
_Connection: TypeAlias = tuple[asyncio.Transport, P]
_Dial: TypeAlias = Callable[[str], Coroutine[Any, Any, _Connection[P]]]


async def connect(
    protocol: Callable[[], P], host: str, port: int, *, local_address: str | None = None
) -> P:
    """Return the protocol of a connection to the host; raises `OSError`."""
    loop = asyncio.get_running_loop()
    bound = None if local_address is None else (local_address, 0)

    def dial(address: str) -> Coroutine[Any, Any, _Connection[P]]:
        return loop.create_connection(protocol, address, port, local_addr=bound)

    addresses = await _addresses(host, port)
    _, connected = await (dial(addresses[0]) if len(addresses) == 1 else _race(addresses, dial))
    return connected


async def _addresses(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order in which to try them."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return _interleaved([(family, str(address[0])) for family, _, _, _, address in found])


def _interleaved(addresses: Sequence[tuple[int, str]]) -> list[str]:
    """The addresses with their families in turn (RFC 8305, 4); the family of the first leads."""
    leading = [each for family, each in addresses if family == addresses[0][0]]
    others = [each for family, each in addresses if family != addresses[0][0]]
    return [each for pair in zip_longest(leading, others) for each in pair if each is not None]


async def _race(addresses: Sequence[str], dial: _Dial[P]) -> _Connection[P]:
    """The first connection of all; raises the failure of the first address if there is none."""
    untried = list(addresses)
    dials: list[asyncio.Task[_Connection[P]]] = []
    winner: asyncio.Task[_Connection[P]] | None = None
    try:
        while untried or any(not each.done() for each in dials):
            if untried:
                dials.append(asyncio.create_task(dial(untried.pop(0))))
            await asyncio.wait(
                [each for each in dials if not each.done()],
                timeout=HEAD_START if untried else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            winner = next(filter(_has_connected, dials), None)
            if winner is not None:
                break
        return (winner or dials[0]).result()
    finally:
        for each in dials:
            if each is not winner:
                each.cancel()
                each.add_done_callback(_hang_up)


def _has_connected(dial: asyncio.Task[_Connection[P]]) -> bool:
    return dial.done() and not dial.cancelled() and dial.exception() is None


def _hang_up(dial: asyncio.Task[_Connection[P]]) -> None:
    if _has_connected(dial):
        dial.result()[0].close()
