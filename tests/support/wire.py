"""A directory behind its gateway, in memory, as a `Transport` that can be told to misbehave."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.support.directory import Directory

from dovetail.errors import TransportError
from dovetail.protocol.requests import GATEWAY_PATH, OHTTP_REQUEST_TYPE, V1_TYPE, Request
from dovetail.runtime.transport import LIMIT, Reply

Fault = Callable[[Request, Reply], Reply]
"""Turns an answer into another one, or raises."""


@dataclass
class Wire:
    """The `Transport` of all agents of a test."""

    directory: Directory = field(default_factory=Directory)
    sent: list[Request] = field(default_factory=list)
    """Every request that left, answered or not (P1)."""
    urls: Counter[str] = field(default_factory=Counter)
    lose_request: int = 0
    """How many of the next requests get lost on their way."""
    lose_answer: int = 0
    """How many of the next answers get lost on their way back."""
    fault: Fault | None = None
    v1: Callable[[Request], Awaitable[Reply]] | None = None
    """Serves the BIP 78 requests."""
    delay: float = 0.0
    gets: list[tuple[str, str | None]] = field(default_factory=list)
    keys_status: int = 200
    keys_body: bytes | None = None
    broken_proxies: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    """Directories that do not answer."""

    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:  # noqa: ARG002 - the port's
        self.sent.append(request)
        self.urls[request.url] += 1
        await asyncio.sleep(self.delay)
        if request.content_type == V1_TYPE:
            assert self.v1 is not None
            return await self.v1(request)
        if self.lose_request:
            self.lose_request -= 1
            raise TransportError("lost on the way")
        reply = Reply(200, self.directory.serve(request))
        if self.lose_answer:
            self.lose_answer -= 1
            raise TransportError("lost on the way back")
        return reply if self.fault is None else self.fault(request, reply)

    async def get(
        self,
        url: str,
        *,
        proxy: str | None = None,
        limit: int = LIMIT,  # noqa: ARG002 - the port's
    ) -> Reply:
        await asyncio.sleep(0)
        self.gets.append((url, proxy))
        if proxy in self.broken_proxies:
            raise TransportError("no tunnel")
        if url.removesuffix(GATEWAY_PATH) in self.down:
            raise TransportError("no answer")
        assert url == self.directory.origin + GATEWAY_PATH
        return Reply(self.keys_status, self.keys_body or self.directory.config.serialize())

    def bodies(self) -> list[bytes]:
        """The ciphertexts that left."""
        return [each.body for each in self.sent if each.content_type == OHTTP_REQUEST_TYPE]
