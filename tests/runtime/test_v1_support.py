"""A directory that takes no v1 senders is not named in a link for them."""

import pytest
from tests.support.clock import Clock
from tests.support.wire import Wire

from dovetail.errors import ConfigurationError, TransportError
from dovetail.runtime.relays import Relays
from dovetail.runtime.transport import Reply
from dovetail.runtime.v1_support import require_v1

RELAY = "https://relay.example"
HERE = "https://directory.example"


class Health(Wire):
    """A directory whose health page says this; None where it does not answer."""

    def __init__(self, body: bytes | None, *, status: int = 200) -> None:
        super().__init__()
        self.said, self.status = body, status

    async def get(self, url: str, *, proxy: str | None = None, limit: int = 0) -> Reply:  # noqa: ARG002 - the port's
        self.gets.append((url, proxy))
        if self.said is None:
            raise TransportError("No answer came.")
        return Reply(self.status, self.said)


async def ask(wire: Health, directory: str = HERE) -> None:
    await require_v1(directory, wire, Relays([RELAY], clock=Clock()))


async def test_one_that_says_so_is_refused_with_what_to_do():
    wire = Health(b'{"status": "ok", "versions": [2]}')
    with pytest.raises(ConfigurationError, match="takes no senders that speak only BIP 78") as told:
        await ask(wire)
    assert "directory.example" in str(told.value)
    assert wire.gets == [(f"{HERE}/health", RELAY)], "it does not learn who asks"


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": "ok", "versions": [1, 2]}',
        b'{"status": "ok"}',
        b'{"versions": "2"}',
        b'["versions"]',
        b"OK",
        b"\xff",
        b"",
        b"[" * 4000,
        None,
    ],
)
async def test_one_that_does_not_say_so_is_taken_at_the_users_word(body: bytes | None):
    await ask(Health(body))


async def test_a_page_that_is_not_there_says_nothing():
    await ask(Health(b'{"versions": [2]}', status=404))


async def test_a_directory_of_ones_own_is_asked_straight():
    wire = Health(b"")
    await ask(wire, "http://127.0.0.1:8080")
    assert wire.gets == [("http://127.0.0.1:8080/health", None)]
