"""`/health/live` and `/health/ready`: for what starts, watches and stops this server.

They need no key, count for no limit, and tell a word for each part and nothing else.
"""

from http import HTTPStatus

import msgspec

from dovetail.merchant.services.health import Health
from dovetail.serving.asgi import Scope, Send
from dovetail.serving.responses import Response, typed, wrong_method

LIVE = "/health/live"
READY = "/health/ready"

_JSON = "application/json"


class HealthPages:
    """Answers both paths."""

    def __init__(self, health: Health) -> None:
        """`health` looks after the parts."""
        self._health = health

    async def answers(self, scope: Scope, send: Send) -> bool:
        """Answer a request to one of the paths; False for any other."""
        if scope["path"] not in (LIVE, READY):
            return False
        answer = await self._answer(scope["path"], scope["method"])
        length = (b"content-length", str(len(answer.body)).encode())
        headers = [*answer.headers, length]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})
        return True

    async def _answer(self, path: str, method: str) -> Response:
        if method not in ("GET", "HEAD"):
            return wrong_method("GET", "HEAD")
        if path == LIVE:
            return typed(_JSON, b'{"status":"live"}')
        found = await self._health.findings()
        status = HTTPStatus.OK if found.takes_requests else HTTPStatus.SERVICE_UNAVAILABLE
        body = msgspec.json.encode({"status": found.overall, **found.parts})
        return typed(_JSON, body, status=status)
