"""The shop's API, as a few lines of shop software ask it."""

import json
from typing import Any

import httpcore2


class Api:
    """Asks with a key."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._headers = [
            ("authorization", f"Bearer {secret}"),
            ("content-type", "application/json"),
        ]

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._ask("POST", path, json.dumps(body).encode())

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def _ask(self, method: str, path: str, content: bytes | None) -> Any:
        with httpcore2.ConnectionPool() as pool:
            answer = pool.request(
                method, f"{self._url}/api/v1{path}", headers=self._headers, content=content
            )
        told = json.loads(answer.content)
        if answer.status >= 400:
            raise RuntimeError(told)
        return told
