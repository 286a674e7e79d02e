"""One delivery over real HTTP: each answer, the limits, and the addresses that are refused."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import httpcore2
import pytest
from tests.support.certificates import make_certificate
from tests.support.scripted_http import Answer, ScriptedServer

from dovetail.merchant.webhooks import delivery
from dovetail.merchant.webhooks.delivery import Accepted, Failed, Gone, Sender, retry_after
from dovetail.runtime.streams import AsyncioBackend

PUBLIC = "93.184.216.34"
HEADERS = [("webhook-id", "one")]


class Names:
    """Answers in turn, and counts; the last answer stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int, /) -> list[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def shop() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


async def _send(shop: ScriptedServer, path: str = "/hook", **options: object):
    sender = Sender(private=True, names=Names(["127.0.0.1"]), **options)  # type: ignore[arg-type]
    return await sender.send(shop.url + path, b"{}", HEADERS)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200), Accepted(200)),
        (Answer(204), Accepted(204)),
        (Answer(410), Gone()),
        (Answer(500), Failed("The endpoint answered with status 500.", 500)),
        (
            Answer(429, headers=(("Retry-After", "77"),)),
            Failed("The endpoint answered with status 429.", 429, 77),
        ),
        (
            Answer(503, headers=(("retry-after", "9999999"),)),
            Failed("The endpoint answered with status 503.", 503, 86_400),
        ),
        (
            Answer(500, headers=(("retry-after", "77"),)),
            Failed("The endpoint answered with status 500.", 500),
        ),
        (Answer(200, b"x" * 5_000_000), Accepted(200)),
    ],
)
async def test_an_answer_is_judged_by_its_status(shop, answer, expected) -> None:
    shop.answers["/hook"] = answer
    assert await _send(shop) == expected
    ((headers, body),) = shop.posted
    assert (headers["webhook-id"], headers["content-type"]) == ("one", "application/json")
    assert body == b"{}"


async def test_a_redirect_is_not_followed(shop) -> None:
    shop.answers["/hook"] = Answer(302, headers=(("location", shop.url + "/other"),))
    assert await _send(shop) == Failed("The endpoint answered with status 302.", 302)
    assert shop.asked == ["/hook"]


async def test_a_silent_endpoint_is_left_in_time(shop) -> None:
    shop.stalls = True
    answer = await _send(shop, seconds=0.3)
    assert isinstance(answer, Failed)
    assert "did not answer" in answer.why


async def test_an_answer_that_drips_is_left_in_time(shop) -> None:
    shop.answers["/hook"] = Answer(drips=True)
    answer = await _send(shop, seconds=0.3)
    assert isinstance(answer, Failed)
    assert "did not answer" in answer.why


async def test_an_answer_that_ends_early_is_no_answer(shop) -> None:
    shop.answers["/hook"] = Answer(200, b"half", promised=1_000)
    assert isinstance(await _send(shop), Failed)


async def test_an_endpoint_that_does_not_listen_has_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    sender = Sender(private=True, names=Names(["127.0.0.1"]))
    answer = await sender.send(f"http://127.0.0.1:{port}/", b"{}", HEADERS)
    assert isinstance(answer, Failed)
    assert answer.why.startswith("The endpoint could not be reached")


async def test_nothing_connects_to_a_private_address(tmp_path) -> None:
    certificate = make_certificate(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        url = f"https://localhost:{listening.getsockname()[1]}/"
        sender = Sender(names=Names(["127.0.0.1", "10.0.0.1", "::1"]), trust=certificate.trust())
        answer = await sender.send(url, b"{}", HEADERS)
        assert answer == Failed("The endpoint is at a private address, to which nothing is sent.")
        with pytest.raises(BlockingIOError):
            listening.accept()


async def test_a_private_address_is_served_by_tls_where_it_is_allowed(tmp_path) -> None:
    certificate = make_certificate(tmp_path)
    with ScriptedServer(certificate.server()) as shop:
        shop.otherwise = Answer(200)
        assert await _send(shop, trust=certificate.trust()) == Accepted(200)
        assert isinstance(await _send(shop), Failed)
    assert len(shop.posted) == 1


async def test_plain_http_is_refused(shop) -> None:
    answer = await Sender(names=Names([PUBLIC])).send(shop.url, b"{}", HEADERS)
    assert answer == Failed("The endpoint is not on https, so that nothing is sent.")
    assert shop.asked == []


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to(monkeypatch) -> None:
    connected: list[str] = []

    class Recorded(httpcore2.AsyncNetworkBackend):
        async def connect_tcp(self, host: str, *_: object, **__: object):
            connected.append(host)
            raise httpcore2.ConnectError

    monkeypatch.setattr(delivery, "AsyncioBackend", Recorded)
    names = Names(["127.0.0.1", PUBLIC], ["127.0.0.1"])
    sender = Sender(names=names)
    first = await sender.send("https://shop.example/", b"{}", HEADERS)
    assert (connected, names.asked) == ([PUBLIC], 1)
    second = await sender.send("https://shop.example/", b"{}", HEADERS)
    assert connected == [PUBLIC]
    assert isinstance(first, Failed)
    assert "could not be reached" in first.why
    assert isinstance(second, Failed)
    assert "private" in second.why


async def test_a_url_that_is_none_is_a_failure() -> None:
    assert isinstance(await Sender(private=True).send("http://[", b"{}", HEADERS), Failed)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        (b"soon", None),
        (b"12", 12),
        (b"Sun, 06 Nov 1994 08:50:37 GMT", 60),
        (b"Sun, 06 Nov 1994 08:49:00 GMT", 0),
        (b"Sun, 06 Nov 1994 08:50:37 -0000", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value, seconds) -> None:
    assert retry_after(value, datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)) == seconds


async def test_an_address_that_stays_silent_gives_way_to_the_next(shop, monkeypatch) -> None:
    connect = AsyncioBackend.connect_tcp
    waited = []

    async def silent_first(self, host, port, seconds=None, *more):
        waited.append(seconds)
        if host == PUBLIC:
            raise httpcore2.ConnectTimeout
        return await connect(self, host, port, seconds, *more)

    monkeypatch.setattr(AsyncioBackend, "connect_tcp", silent_first)
    sender = Sender(private=True, names=Names([PUBLIC, "127.0.0.1"]))
    shop.answers["/hook"] = Answer(200)
    assert await sender.send(shop.url + "/hook", b"{}", HEADERS) == Accepted(200)
    assert waited == [delivery.CONNECT_SECONDS] * 2
