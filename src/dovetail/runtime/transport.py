"""HTTP, as a protocol whose ciphertexts leave once needs it (P1): no retries, no redirects."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import httpx

from dovetail.errors import TransportError
from dovetail.protocol.exchange import Request

PATIENCE = 45.0
"""Seconds to wait for an answer: a mailbox holds a poll for 30, and a relay adds its own."""

CONNECT_PATIENCE = 10.0
MOST_AT_ONCE = 256
"""Requests under way at once; more wait for their turn, and that wait is no failure."""
LIMIT = 65_536
"""Bytes of an answer that are read at most; an OHTTP response has 8192."""


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """An HTTP status and a body of at most the limit asked for."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"<Reply {self.status} with a body of {len(self.body)} bytes>"


class Transport(Protocol):
    """The seam between the runtime and the network; a test may stand in for it."""

    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:
        """Send the request once and read the answer.

        Raises `TransportError` when none arrived whole; whether the request did is unknown.
        """
        ...

    async def get(self, url: str, *, proxy: str | None = None, limit: int = LIMIT) -> Reply:
        """Fetch a public document, through the tunnel of a relay if `proxy` names one."""
        ...


class HttpxTransport:
    """The `Transport` over httpx. Close it with `aclose`."""

    def __init__(self, *, patience: float = PATIENCE) -> None:
        """`patience` in seconds bounds the wait for an answer, however slowly it drips in."""
        self._whole = patience + CONNECT_PATIENCE
        self._timeout = httpx.Timeout(patience, connect=CONNECT_PATIENCE)
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._client = self._open_client()

    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:
        """See `Transport.post`."""
        headers = {"content-type": request.content_type}
        async with self._answer(
            self._client, "POST", request.url, limit, content=request.body, headers=headers
        ) as reply:
            return reply

    async def get(self, url: str, *, proxy: str | None = None, limit: int = LIMIT) -> Reply:
        """See `Transport.get`."""
        if proxy is None:
            async with self._answer(self._client, "GET", url, limit) as reply:
                return reply
        async with (
            self._open_client(proxy=proxy) as client,
            self._answer(client, "GET", url, limit) as reply,
        ):
            return reply

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _open_client(self, *, proxy: str | None = None) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            timeout=self._timeout,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            follow_redirects=False,
            trust_env=False,
            proxy=proxy,
        )
        # A relay learns the address it is called from; it need not learn our software too. Bodies
        # are read as they come, so that no small answer unpacks into a large one.
        del client.headers["user-agent"]
        client.headers["accept-encoding"] = "identity"
        return client

    @asynccontextmanager
    async def _answer(
        self,
        client: httpx.AsyncClient,
        method: str,
        url: str,
        limit: int,
        *,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> AsyncGenerator[Reply]:
        try:
            async with (
                self._slots,
                asyncio.timeout(self._whole),
                client.stream(method, url, content=content, headers=headers) as response,
            ):
                yield Reply(response.status_code, await _read(response, limit))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise TransportError(
                "The server did not answer in time: it is tried again later."
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransportError(
                "The server cannot be reached: check its address and your connection."
            ) from error


async def _read(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise TransportError("The server answered with more than the protocol allows.")
    return bytes(body)
