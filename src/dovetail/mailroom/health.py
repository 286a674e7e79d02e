"""The public health of a mailroom: words, versions, and no counts, which would tell of others."""

import json
from collections.abc import Callable
from http import HTTPStatus

from dovetail.serving.responses import Response, not_found, typed

PATH = "/health"
LIVE_PATH = "/health/live"
READY_PATH = "/health/ready"
DRAINING = "draining"

_JSON = "application/json"


def answer(path: str, status: Callable[[], str], versions: list[int]) -> Response:
    """Answer a GET of one of the paths.

    A mailroom that answers is live. It is ready unless it drains: one that can only read still
    serves messages.
    """
    if path == PATH:
        return _json({"status": status(), "versions": versions})
    if path == LIVE_PATH:
        return _json({"status": "live"})
    if path == READY_PATH:
        word = status()
        ready = word != DRAINING
        return _json({"status": word}, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)
    return not_found()


def _json(told: dict[str, object], status: int = HTTPStatus.OK) -> Response:
    return typed(_JSON, json.dumps(told).encode(), status=status)
