"""Stand-ins for the connections to a server: what is asked, and what a test has them answer."""

from collections.abc import Callable, Iterable

import httpcore2


def content(request: httpcore2.Request) -> bytes:
    assert isinstance(request.stream, Iterable)
    return b"".join(request.stream)


class Answering:
    def __init__(self, respond: Callable[[httpcore2.Request], httpcore2.Response]) -> None:
        self.handle_request = respond

    def close(self) -> None:
        """Nothing is open."""
