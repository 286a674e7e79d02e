"""rust-payjoin's side of a payjoin: our small program, led line by line."""

import asyncio
import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2 as httpx
from tests.interop.programs import Program

Answer = dict[str, Any]
_LIMIT = 16 * 1024 * 1024


class PeerError(Exception):
    """What rust-payjoin said when it would not go on."""


class RustPeer:
    """One process of the peer; it opens no connection, so we carry what it wants sent."""

    def __init__(self, process: asyncio.subprocess.Process, client: httpx.AsyncClient) -> None:
        self._process = process
        self._client = client
        self.carried: tuple[Answer, httpx.Response] | None = None
        """The request that was carried last, and its response."""

    async def order(self, verb: str, **fields: object) -> Answer:
        """Tell it what to do; raises `PeerError` with what it says against it."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise PeerError("the peer has no pipes")
        stdin.write(json.dumps({"do": verb, **fields}).encode() + b"\n")
        await stdin.drain()
        line = await stdout.readline()
        if not line:
            raise PeerError("the peer ended")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        found: Answer = answer["ok"]
        return found

    async def exchange(self, ask: str, hear: str, *, relay: str | None = None) -> Answer:
        """Let it make a request, carry that over HTTP and tell it the answer."""
        request = await self.order(ask, relay=relay)
        reply = await self._client.post(
            request["url"],
            content=b64decode(request["body"]),
            headers={"content-type": request["content_type"]},
        )
        self.carried = request, reply
        return await self.order(
            hear, status=reply.status_code, body=b64encode(reply.content).decode()
        )


@asynccontextmanager
async def rust_peer(
    program: Program, seed: bytes, trust: ssl.SSLContext
) -> AsyncGenerator[RustPeer]:
    """Start the peer with a wallet whose keys come from `seed`; `trust` is for its TLS."""
    process = await asyncio.create_subprocess_exec(
        program.path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LIMIT
    )
    try:
        async with httpx.AsyncClient(timeout=45, trust_env=False, verify=trust) as client:
            peer = RustPeer(process, client)
            await peer.order("wallet", seed=seed.hex())
            yield peer
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()
