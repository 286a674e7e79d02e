import logging
from contextlib import ExitStack

import pytest
from tests.serving.small_app import one_answer, request, served, until_closed
from tests.serving.test_connection import status, waited

from dovetail.serving.client_shares import Clients

CROWD = "127.0.2.{}"
HONEST = "127.0.3.1"


def test_a_network_has_its_share_of_connections(caplog: pytest.LogCaptureFixture) -> None:
    with served(limit=20, per_client=3, seconds=10) as web, ExitStack() as opened:
        for number in range(1, 4):
            opened.enter_context(web.client(CROWD.format(number)))
        assert waited(lambda: web.door._connections.count == 3)
        with caplog.at_level(logging.WARNING, "dovetail.serving"):
            refused = until_closed(opened.enter_context(web.client(CROWD.format(9))))
        assert status(refused) == 503
        assert b"retry-after: " in refused
        assert "A connection was refused" in caplog.text
        assert "127.0.2" not in caplog.text
        honest = opened.enter_context(web.client(HONEST))
        honest.sendall(request())
        assert status(one_answer(honest)) == 200


def test_one_network_leaves_room_for_another_without_a_share_of_its_own() -> None:
    with served(limit=8, seconds=10) as web, ExitStack() as opened:
        crowd = [opened.enter_context(web.client(CROWD.format(n))) for n in range(1, 9)]
        assert waited(lambda: web.door._connections.count == 4)
        honest = opened.enter_context(web.client(HONEST))
        honest.sendall(request())
        assert status(one_answer(honest)) == 200
        assert sum(status(until_closed(each) or b"x 0 x") == 503 for each in crowd[4:]) == 4


def test_the_operators_proxy_is_bound_by_the_total_alone() -> None:
    with served(limit=4, per_client=1, seconds=10) as web, ExitStack() as opened:
        clients = [opened.enter_context(web.client()) for _ in range(4)]
        for client in clients:
            client.sendall(request())
            assert status(one_answer(client)) == 200
        assert status(until_closed(opened.enter_context(web.client()))) == 503


def test_a_place_is_free_again_when_a_connection_ends() -> None:
    with served(limit=20, per_client=1, seconds=10) as web:
        for number in range(1, 6):
            with web.client(CROWD.format(number)) as client:
                client.sendall(request())
                assert status(one_answer(client)) == 200
            assert waited(lambda: web.door._connections.count == 0)


def test_a_client_behind_the_proxy_has_its_share_of_requests(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clients = Clients(forwarded="x-forwarded-for")
    held = request("/held", "x-forwarded-for: 198.51.100.7")
    with (
        served(limit=20, per_client=2, seconds=10, clients=clients) as web,
        ExitStack() as opened,
    ):
        inside = [opened.enter_context(web.client()) for _ in range(2)]
        for each in inside:
            each.sendall(held)
        assert waited(lambda: web.app.asked == 2)
        third = opened.enter_context(web.client())
        with caplog.at_level(logging.WARNING, "dovetail.serving"):
            third.sendall(held)
            answer = one_answer(third)
        assert status(answer) == 503
        assert b"retry-after: " in answer
        assert "A request was refused" in caplog.text
        assert "198.51.100" not in caplog.text
        third.sendall(request("/", "x-forwarded-for: 203.0.113.9"))
        assert status(one_answer(third)) == 200
        web.app.release.set()
        assert [status(one_answer(each)) for each in inside] == [200, 200]
        third.sendall(request("/", "x-forwarded-for: 198.51.100.7"))
        assert status(one_answer(third)) == 200


@pytest.mark.parametrize("path", [None, "/", "/held", "/echo"])
def test_the_network_with_the_most_connections_gives_way_to_another(path: str | None) -> None:
    """Whether they say nothing, are idle, wait for an answer or send a body."""
    with served(limit=8, seconds=10) as web, ExitStack() as opened:
        crowd = [
            opened.enter_context(web.client(f"127.0.{network}.1"))
            for network in (2, 2, 2, 2, 4, 4, 5, 6)
        ]
        for each in crowd if path else ():
            method = "POST" if path == "/echo" else "GET"
            asked = request(str(path), *(["content-length: 9"] if path == "/echo" else []))
            each.sendall(asked.replace(b"GET", method.encode()))
            assert path != "/" or status(one_answer(each)) == 200
        assert waited(lambda: web.door._connections.count == 8)
        for number in (1, 2):
            honest = opened.enter_context(web.client(HONEST))
            honest.sendall(request())
            assert status(one_answer(honest)) == 200
            assert until_closed(crowd[number - 1]) == b""
        assert waited(lambda: len(web.door._admitted) == 8)


def test_a_connection_that_does_not_read_gives_way_at_once() -> None:
    with served(limit=4, seconds=10) as web, ExitStack() as opened:
        crowd = [opened.enter_context(web.client(CROWD.format(n), small=True)) for n in (1, 2)]
        for each in crowd:
            each.sendall(request("/endless"))
        others = [opened.enter_context(web.client(f"127.0.{n}.1")) for n in (5, 6)]
        assert waited(lambda: web.door._connections.count == 4)
        honest = opened.enter_context(web.client(HONEST))
        honest.sendall(request())
        assert status(one_answer(honest)) == 200
        assert waited(lambda: len(web.door._admitted) == 4)
        assert others
