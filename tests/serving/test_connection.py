import logging
import time
from collections.abc import Iterator

import pytest
from tests.serving.small_app import SECONDS, Web, one_answer, request, served, until_closed

from dovetail.serving.connection import AHEAD_LIMIT
from dovetail.serving.connection_limits import BODY_LIMIT
from dovetail.serving.request_cycle import CONTINUE
from dovetail.serving.request_head import FIELD_LIMIT, HEAD_LIMIT


@pytest.fixture
def web() -> Iterator[Web]:
    with served() as web:
        yield web


def exchange(web: Web, data: bytes) -> bytes:
    with web.client() as client:
        client.sendall(data)
        return until_closed(client)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def waited(what, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(what())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\r\nx: " + b"a" * HEAD_LIMIT, 431),
        (request("/", *["x: y"] * FIELD_LIMIT), 431),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01", 400),
        (request("/", "transfer-encoding: gzip", method="POST"), 501),
        (request("x:443", method="CONNECT"), 501),
        (request("/", version="2.0"), 505),
        (request("/echo", "transfer-encoding: chunked", method="POST") + b"no size\r\n", 400),
    ],
)
def test_what_is_refused_is_answered_and_the_connection_ends(
    web: Web, data: bytes, expected: int
) -> None:
    begun = time.monotonic()
    assert status(exchange(web, data)) == expected
    assert time.monotonic() - begun < SECONDS * 10


def test_a_body_beyond_the_limit_is_413(web: Web) -> None:
    with web.client() as client:
        client.sendall(
            request("/echo", f"content-length: {BODY_LIMIT + 1}", method="POST")
            + b"x" * (BODY_LIMIT + 1)
        )
        assert status(until_closed(client)) == 413


def test_chunks_beyond_the_limit_are_413() -> None:
    with served(body_limit=10) as web:
        data = request("/echo", "transfer-encoding: chunked", method="POST") + b"b\r\n"
        assert status(exchange(web, data + b"x" * 11)) == 413


def test_requests_follow_one_another_on_one_connection(web: Web) -> None:
    with web.client() as client:
        for body in (b"one", b"two", b"x" * 200_000):
            client.sendall(request("/echo", method="POST", body=body))
            assert body in one_answer(client).replace(b"\r\n", b"") or len(body) > 1_000
        client.sendall(request(method="HEAD"))
        head = client.recv(1 << 16)
        assert head.endswith(b"\r\n\r\n")
        client.sendall(request("/empty"))
        assert status(one_answer(client)) == 204
    assert web.app.asked == 5


def test_what_an_application_does_to_a_request_is_not_seen_by_the_next(web: Web) -> None:
    with web.client() as client:
        for _ in range(3):
            client.sendall(request("/takes", "a: b"))
            assert b"2 fields" in one_answer(client)


def test_requests_that_came_at_once_are_answered_in_turn(web: Web) -> None:
    with web.client() as client:
        client.sendall(request() * 8)
        assert [status(one_answer(client)) for _ in range(8)] == [200] * 8


def test_requests_ahead_of_their_turn_are_bounded(web: Web) -> None:
    with web.client() as client:
        client.settimeout(SECONDS)
        client.sendall(request("/held"))
        assert waited(lambda: web.app.asked == 1)
        sent = 0
        with pytest.raises(OSError):  # noqa: PT012  # nobody reads on: time or a reset
            while sent < 64 << 20:
                sent += client.send(request() * 1_000)
        web.app.release.set()
        assert web.app.asked == 1
        assert sent < 32 << 20
        client.settimeout(10)
        until_closed(client)
    assert waited(lambda: web.door._connections.count == 0)
    assert web.app.asked <= 1 + AHEAD_LIMIT // len(request())


def test_a_client_that_waits_for_100_is_asked_for_its_body(web: Web) -> None:
    with web.client() as client:
        client.sendall(request("/echo", "expect: 100-continue", "content-length: 4", method="POST"))
        assert client.recv(len(CONTINUE)) == CONTINUE
        client.sendall(b"body")
        assert b"body" in one_answer(client)


def test_100_is_not_said_to_whom_did_not_wait(web: Web) -> None:
    with web.client() as client:
        client.sendall(request("/echo", "expect: 100-continue", method="POST", body=b"body"))
        assert status(one_answer(client)) == 200


def test_100_is_not_said_where_the_body_is_not_wanted(web: Web) -> None:
    with web.client() as client:
        client.sendall(
            request("/early", "expect: 100-continue", "content-length: 4", method="POST")
        )
        assert status(one_answer(client)) == 200


def test_an_early_answer_reaches_a_client_that_is_still_sending(web: Web) -> None:
    size = 900_000
    with web.client() as client:
        client.sendall(request("/early", f"content-length: {size}", method="POST"))
        client.sendall(b"x" * 100_000)
        answer = until_closed(client)
    assert b"enough" in answer


def test_after_an_early_answer_a_short_rest_is_read_and_the_connection_kept(web: Web) -> None:
    with web.client() as client:
        client.sendall(request("/early", "content-length: 4", method="POST"))
        assert b"enough" in one_answer(client)
        client.sendall(b"rest" + request())
        assert b"ok" in one_answer(client)


def test_who_keeps_sending_after_the_last_word_is_cut_off(web: Web) -> None:
    with web.client() as client:
        client.sendall(b"\0")
        begun = time.monotonic()
        with pytest.raises(ConnectionError):  # noqa: PT012
            while time.monotonic() - begun < 10:
                client.sendall(b"x" * 65_536)
        assert time.monotonic() - begun < 5


def test_a_head_that_does_not_come_is_not_waited_for(web: Web) -> None:
    with web.client() as silent, web.client() as slow:
        slow.sendall(b"GET / HT")
        begun = time.monotonic()
        assert until_closed(silent) == until_closed(slow) == b""
        assert SECONDS / 2 < time.monotonic() - begun < SECONDS + 3


def test_a_body_that_does_not_come_is_not_waited_for(web: Web) -> None:
    with web.client() as client:
        begun = time.monotonic()
        client.sendall(request("/gone", "content-length: 4", method="POST") + b"ab")
        assert b"HTTP" not in until_closed(client)
        assert time.monotonic() - begun < SECONDS + 3


def test_an_idle_connection_ends_after_its_own_time() -> None:
    with served(keep_alive=1.5, seconds=0.3) as web, web.client() as client:
        client.sendall(request())
        one_answer(client)
        time.sleep(0.7)
        client.sendall(request())
        assert status(one_answer(client)) == 200
        begun = time.monotonic()
        assert until_closed(client) == b""
        assert 1.2 < time.monotonic() - begun < 4


def test_a_client_that_never_reads_is_hung_up_on(web: Web) -> None:
    with web.client(small=True) as client, web.client("127.0.2.1") as honest:
        client.sendall(request("/endless"))
        assert waited(lambda: web.app.asked == 1)
        honest.sendall(request())
        assert status(one_answer(honest)) == 200
        honest.close()
        assert waited(lambda: web.door._connections.count == 0, 5 * SECONDS + 2)


@pytest.mark.parametrize("path", ["/endless", "/held"])
def test_an_end_does_not_wait_for_a_client_that_never_reads(path: str) -> None:
    with served(seconds=30) as web, web.client(small=True) as client, web.client() as idle:
        idle.sendall(request())
        one_answer(idle)
        client.sendall(request(path))
        assert waited(lambda: web.app.asked == 2)
        time.sleep(0.2)
        web.app.release.set()
        web.ending.set()
        assert waited(lambda: web.close_seconds > 0, 8)
        assert until_closed(idle) == b""
    assert web.close_seconds < 4


def test_an_end_cuts_no_answer(web: Web) -> None:
    with web.client() as client:
        client.sendall(request("/held"))
        assert waited(lambda: web.app.asked == 1)
        web.ending.set()
        time.sleep(0.2)
        web.app.release.set()
        answer = until_closed(client)
    assert b"released" in answer
    assert b"connection: close" in answer


def test_an_application_that_fails_says_nothing_of_the_request(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "dovetail.serving"), web.client() as client:
        client.sendall(request("/fails?secret"))
        assert status(one_answer(client)) == 500
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("path", "expected"), [("/malformed", 500), ("/longer", 500), ("/twice", 200)]
)
def test_an_answer_that_breaks_the_rules_is_a_fault_of_the_application(
    web: Web, caplog: pytest.LogCaptureFixture, path: str, expected: int
) -> None:
    with caplog.at_level(logging.ERROR, "dovetail.serving"), web.client() as client:
        client.sendall(request(path))
        assert status(one_answer(client)) == expected
        assert waited(lambda: "RuntimeError" in caplog.text)


def test_an_answer_that_stays_unfinished_ends_the_connection(web: Web) -> None:
    assert exchange(web, request("/half")).endswith(b"half")


@pytest.mark.parametrize(
    "data",
    [request("/closes"), request("/", "connection: close"), request("/", version="1.0")],
)
def test_the_connection_ends_where_one_of_both_wants_it(web: Web, data: bytes) -> None:
    answer = exchange(web, data)
    assert status(answer) == 200
    assert answer.count(b"connection: close") == 1


def test_who_leaves_is_told_to_the_application(web: Web) -> None:
    with web.client() as client:
        client.sendall(request("/gone"))
        assert waited(lambda: web.app.asked == 1)
    assert waited(lambda: web.app.lost == 1)
