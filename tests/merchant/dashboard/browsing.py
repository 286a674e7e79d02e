"""A browser of a few lines: it keeps cookies, follows no redirect, and sends forms."""

import asyncio
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from argon2 import PasswordHasher
from tests.merchant import refunds as samples
from tests.support.clock import Clock

from dovetail.merchant import pages
from dovetail.merchant.api import make_app
from dovetail.merchant.api.limits import Limits
from dovetail.merchant.dashboard import mount
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.messages import Role
from dovetail.merchant.public_url import PublicUrl
from dovetail.merchant.services.health import Health
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.users import Users

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
BOTH = pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
"""Marks a test whose statements the two databases may take differently."""
PASSWORD = "correct horse battery"
HIDDEN = re.compile(r'<input type="hidden" name="form" value="([0-9a-f]{64})">')


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    text: str

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        return found[-1] if found else None

    @property
    def cookies(self) -> list[str]:
        return [value for key, value in self.headers if key == "set-cookie"]

    @property
    def said(self) -> str:
        """The text without tags."""
        return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", self.text)))


@dataclass
class Browser:
    """One browser; `host` is what it says the server's name is."""

    app: Any
    host: str = "shop.example"
    scheme: str = "https"
    client: tuple[str, int] = ("192.0.2.7", 4000)
    agent: str = ""
    jar: dict[str, str] = field(default_factory=dict)
    form: str = ""

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    async def get(self, path: str, **headers: str) -> Answer:
        return await self._ask(
            "GET", path, b"", {"sec-fetch-site": "same-origin"} | _named(headers)
        )

    async def post(
        self,
        path: str,
        fields: Mapping[str, Any] | None = None,
        *,
        token: str | None = None,
        **headers: str,
    ) -> Answer:
        """Send a form with the token of the last page."""
        given = {"form": self.form if token is None else token} | dict(fields or {})
        usual = {
            "sec-fetch-site": "same-origin",
            "origin": self.origin,
            "content-type": "application/x-www-form-urlencoded",
        }
        body = urlencode(given, doseq=True).encode()
        return await self._ask("POST", path, body, usual | _named(headers))

    async def sign_in(self, name: str = "Ada", password: str = PASSWORD, **more: Any) -> Answer:
        await self.get("/dashboard/sign-in")
        return await self.post("/dashboard/sign-in", {"name": name, "password": password} | more)

    async def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        if self.jar:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        headers = {"host": self.host, "user-agent": self.agent} | {
            k: v for k, v in headers.items() if v
        }
        parts = urlsplit(path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": self.scheme,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
            "client": self.client,
            "server": (self.host, 443),
            "state": {},
        }
        answer = await _exchange(self.app, scope, body)
        for each in answer.cookies:
            self._keep(each)
        found = HIDDEN.search(answer.text)
        if found:
            self.form = found[1]
        return answer

    def _keep(self, cookie: str) -> None:
        pair, *attributes = [each.strip() for each in cookie.split(";")]
        name, _, value = pair.partition("=")
        told = {each.lower() for each in attributes}
        if name.startswith("__Host-"):
            assert {"secure", "path=/"} <= told, cookie
            assert not any(each.startswith("domain") for each in told), cookie
        if "secure" in told and self.scheme != "https":
            return
        if "max-age=0" in told:
            self.jar.pop(name, None)
        else:
            self.jar[name] = value.strip('"')


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


async def _exchange(app: Any, scope: dict[str, Any], body: bytes) -> Answer:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict[str, Any]] = []
    whole = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await whole.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            whole.set()

    await app(scope, receive, send)
    start = sent[0]
    content = b"".join(each.get("body", b"") for each in sent[1:])
    headers = [(name.decode().lower(), value.decode()) for name, value in start["headers"]]
    return Answer(start["status"], headers, content.decode())


@dataclass
class Office:
    """A shop with its dashboard, and users of each role."""

    database: Database
    parts: Parts
    users: Users
    app: Any
    store: StoreRow | None = None

    def browser(self, **about: Any) -> Browser:
        return Browser(self.app, **about)

    async def user(self, role: Role = Role.OWNER) -> Browser:
        """A browser in which a user of this role has signed in."""
        name = {"owner": "Ada", "manager": "Grace", "viewer": "Joan"}[role.value]
        browser = self.browser()
        answer = await browser.sign_in(name)
        assert answer.status == 303, answer.text
        return browser


PUBLIC = PublicUrl.parse("https://shop.example")


def open_office(database: Database, clock: Clock, *, public: PublicUrl | None = PUBLIC) -> Office:
    parts = samples.parts_of(database, SimpleNamespace(height=lambda: 100), None, clock)
    users = Users(database, QUICK)
    for name, role in (("Ada", Role.OWNER), ("Grace", Role.MANAGER), ("Joan", Role.VIEWER)):
        users.add(name, PASSWORD, role, by="test")
    mounts = pages.mount(Limits()), mount(parts, Health(parts), users=users)
    app = make_app(parts, public=public, mounts=mounts)
    return Office(database, parts, users, app)
