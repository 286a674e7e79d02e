"""The servers that are attacked, each a program, and what an honest client asks of them."""

import json
import os
import ssl
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import httpx2 as httpx
from tests.flood.sending import CERTIFICATE, FACTS
from tests.interop.mailrooms import WAIT
from tests.mailroom.client import GATEWAY, MESSAGE, new_mailbox
from tests.support.certificates import make_certificate
from tests.support.servers import free_port

from dovetail.crypto.ohttp import KeyConfig
from dovetail.protocol import OhttpContext, Request, poll_mailbox, post_to_mailbox

_DOVETAIL = Path(sys.executable).with_name("dovetail")
_HONEST = "127.77.7.7"

Asks = Callable[[], Awaitable[bool]]
"""Asks once, and says whether it was answered as it should be."""


class _Mailbox:
    """Posts a message, and takes it from the mailbox."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url
        self._mailbox = new_mailbox()
        self._keys: KeyConfig | None = None

    async def post(self) -> bool:
        self._mailbox = new_mailbox()
        return await self._send(
            *post_to_mailbox(short_id=self._mailbox, body=MESSAGE, **await self._ways())
        )

    async def get(self) -> bool:
        return await self._send(*poll_mailbox(short_id=self._mailbox, **await self._ways()))

    async def _ways(self) -> Any:
        if self._keys is None:
            self._keys = KeyConfig.parse((await self._http.get(self._url + GATEWAY)).content)
        return {"relay": None, "directory": self._url, "ohttp_keys": self._keys}

    async def _send(self, request: Request, context: OhttpContext) -> bool:
        headers = {"content-type": request.content_type}
        answer = await self._http.post(request.url, content=request.body, headers=headers)
        return answer.status_code == 200 and context.open(answer.content).status == 200


@dataclass(frozen=True, slots=True)
class Make:
    """A server: by default our mailroom, and two who write to each other there."""

    name: str = "Dovetail"
    ours: bool = True
    """Whether it is held to the bounds."""

    def command(self, home: Path, port: int) -> list[str]:
        """What starts it."""
        options = ["--listen", f"127.0.0.1:{port}", "--data", str(home), "--local", "--v1"]
        return [str(_DOVETAIL), "mailroom", "serve", *options]

    def ready(self, home: Path) -> bool:  # noqa: ARG002 - others look there
        """Whether it can be asked, once it takes connections."""
        return True

    def honest(self, http: httpx.AsyncClient, home: Path, port: int) -> list[Asks]:  # noqa: ARG002 - too
        """What an honest client asks of it, in order, again and again."""
        client = _Mailbox(http, f"http://127.0.0.1:{port}")
        return [client.post, client.get]


@dataclass(frozen=True, slots=True)
class Peer(Make):
    """`payjoin-mailroom`."""

    name: str = "payjoin-mailroom"
    ours: bool = False
    program: str = ""

    def command(self, home: Path, port: int) -> list[str]:
        config, listener = home / "config.toml", f'listener = "127.0.0.1:{port}"'
        config.write_text(f'{listener}\nstorage_dir = "{home / "data"}"\ntimeout = {WAIT}\n[v1]\n')
        return [self.program, "--config", str(config)]


@dataclass(frozen=True, slots=True)
class Relay(Make):
    """Our mailroom, whose relay asks a name server on this machine."""

    local: bool = True

    def command(self, home: Path, port: int) -> list[str]:
        names = free_port()
        make_certificate(home, ["gateway.rebind.test"])
        (home / FACTS).write_text(json.dumps({"names": names}))
        words = ["-m", "tests.flood.relayed", str(home), str(port), str(names)]
        return [sys.executable, *words, *(["--local"] if self.local else [])]


@dataclass(frozen=True, slots=True)
class Shop(Make):
    """Our BIP 78 server; the honest customer offers the same payment again."""

    tls: bool = False

    def command(self, home: Path, port: int) -> list[str]:
        more = ["--tls"] if self.tls else []
        return [sys.executable, "-m", "tests.flood.shop", str(home), str(port), *more]

    def ready(self, home: Path) -> bool:
        return (home / FACTS).exists()

    def honest(self, http: httpx.AsyncClient, home: Path, port: int) -> list[Asks]:
        url = f"http{'s' if self.tls else ''}://127.0.0.1:{port}"

        async def pay() -> bool:
            facts = json.loads((home / FACTS).read_text())
            headers = {"content-type": "text/plain"}
            asked = f"{url}{facts['path']}?v=1"
            answer = await http.post(asked, content=facts["body"], headers=headers)
            return answer.status_code == 200

        return [pay]


@asynccontextmanager
async def honest_client(home: Path, seconds: float) -> AsyncGenerator[httpx.AsyncClient]:
    """A client with a network of its own, which keeps no connection."""
    certificate = home / CERTIFICATE
    trust = ssl.create_default_context(cafile=certificate if certificate.exists() else None)
    transport = httpx.AsyncHTTPTransport(
        local_address=_HONEST, limits=httpx.Limits(max_keepalive_connections=0), verify=trust
    )
    async with httpx.AsyncClient(transport=transport, timeout=seconds) as http:
        yield http


def named_peer() -> str | None:
    """The `payjoin-mailroom` that PAYJOIN_MAILROOM or PATH names."""
    return os.environ.get("PAYJOIN_MAILROOM") or which("payjoin-mailroom")
