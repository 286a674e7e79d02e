"""Both clients meet servers that are away, slow, wrong, large or hostile."""

import json
import socket
import ssl
from itertools import pairwise
from uuid import UUID

import pytest
from tests.merchant.client.scripted import answer, problem, scripted, stream
from tests.merchant.client.test_event_stream import text
from tests.support.certificates import make_certificate

from dovetail.errors import ConfigurationError
from dovetail.merchant.client import AsyncShop, Shop, ShopProblem, ShopUnreachable
from dovetail.merchant.client.server import LIMIT
from dovetail.merchant.messages import NewInvoice, NewMark

ID = UUID(int=1)
WANTED = NewInvoice(amount_sats=5_000)
STORES = answer(200, [])
SLOWLY: list[str | float] = [" ", 0.1] * 30
QUIETLY: list[str | float] = [": quiet\r\n\r\n", 0.2] * 30


def _cut(connection: socket.socket) -> None:
    connection.sendall(STORES[:-1])


async def _failure(client, *script, name="list_stores", given=(), **more):
    with scripted(*script) as told:
        shop = client(told.url, **more)
        with pytest.raises((ShopProblem, ShopUnreachable)) as caught:
            await shop.ask(name, *given)
    return caught.value, told


async def test_a_server_that_is_away_is_asked_a_few_times(client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    shop = client(f"http://127.0.0.1:{port}", retries={"attempts": 3})
    for name, given in (("list_stores", ()), ("mark_invoice", (ID, NewMark(settled=True)))):
        with pytest.raises(ShopUnreachable, match="nothing listens at its port") as caught:
            await shop.ask(name, *given)
        assert not caught.value.sent


@pytest.mark.parametrize(
    "first", [problem(503, "unavailable"), answer(502, b"", "text/html"), _cut]
)
async def test_what_may_be_repeated_is_repeated(client, first) -> None:
    with scripted(first, first, STORES) as told:
        assert await client(told.url).ask("list_stores") == []
    assert len(told.asked) == 3


async def test_an_invoice_is_asked_for_again_with_the_same_idempotency_key(client) -> None:
    failure, told = await _failure(
        client, _cut, _cut, problem(422, "invalid"), name="create_invoice", given=(ID, WANTED)
    )
    assert failure.kind == "invalid"
    keys = {headers["idempotency-key"] for _, _, headers, _ in told.asked}
    assert (len(told.asked), len(keys)) == (3, 1)
    assert json.loads(told.asked[0][3])["amount_sats"] == 5_000


@pytest.mark.parametrize("first", [problem(503, "unavailable"), problem(500, "internal"), _cut])
async def test_what_may_be_done_once_is_not_repeated(client, first) -> None:
    _, told = await _failure(
        client, first, STORES, name="mark_invoice", given=(ID, NewMark(settled=True))
    )
    assert len(told.asked) == 1


async def test_a_request_too_many_is_repeated_when_the_shop_says(client) -> None:
    busy = problem(429, "rate-limited", retry_after="1")
    with scripted(busy, answer(200, {}), STORES) as told:
        shop = client(told.url)
        with pytest.raises(ShopUnreachable):
            await shop.ask("mark_invoice", ID, NewMark(settled=True))
    assert [round(after - before) for before, after in pairwise(told.at)] == [1]


async def test_a_shop_that_asks_to_wait_for_long_is_not_waited_for(client) -> None:
    failure, told = await _failure(client, problem(429, "rate-limited", retry_after="60"))
    assert (failure.retry_after, len(told.asked)) == (60, 1)
    failure, told = await _failure(
        client, problem(503, "unavailable", retry_after="soon"), retries={"attempts": 2}
    )
    assert (failure.retry_after, len(told.asked)) == (None, 2)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (answer(302, b"", location="http://127.0.0.1:1/"), "another address"),
        (answer(200, b"<html>", "text/html"), "another media type"),
        (answer(200, b"[{"), "not what its API promises"),
        (answer(200, {"id": 1}), "not what its API promises"),
        (answer(404, b"<html>", "text/html"), "status 404"),
        (answer(400, b"{}", "application/problem+json"), "status 400"),
        (answer(200, b" " * (LIMIT + 1)), "more than"),
        (problem(404, "not-found"), "What happened; do this."),
        (problem(401, "unauthorized"), "What happened; do this."),
    ],
    ids=["redirect", "html", "malformed", "wrong", "404", "no-problem", "large", "404p", "401p"],
)
async def test_what_will_not_pass_is_told_at_once(client, bad, words) -> None:
    failure, told = await _failure(client, bad)
    assert words in str(failure)
    assert len(told.asked) == 1
    assert "dvt_test" not in f"{failure!r} {failure}"


async def test_an_answer_of_another_protocol_is_a_broken_connection(client) -> None:
    failure, _ = await _failure(client, b"SSH-2.0-x\r\n\r\n", retries={"attempts": 1})
    assert "broke before a whole answer" in str(failure)


async def test_an_answer_without_an_end_is_bounded(client) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        for _ in range(LIMIT // 65_536 + 20):
            connection.sendall(b" " * 65_536)

    failure, _ = await _failure(client, endless)
    assert "more than" in str(failure)


async def test_a_slow_answer_is_not_waited_for(client) -> None:
    def slow(connection: socket.socket) -> None:
        connection.sendall(STORES[:-2])
        connection.recv(1)

    failure, _ = await _failure(client, slow, timeout=0.3, retries={"attempts": 1})
    assert "did not answer in time" in str(failure)


async def test_an_answer_that_drips_in_is_not_waited_for(client) -> None:
    drip = stream(*SLOWLY)
    failure, _ = await _failure(client, drip, timeout=0.5, retries={"attempts": 1})
    assert "did not answer in time" in str(failure)


async def test_a_stream_that_is_cut_goes_on_after_the_last_event(client) -> None:
    with scripted(
        stream(text(1, 2).decode(), "data: {"),
        problem(503, "unavailable"),
        stream(": quiet\r\n\r\n"),
        stream(text(2, 3).decode(), 5.0),
    ) as told:
        found = await client(told.url).events(ID, 3)
    assert [each.sequence for each in found] == [1, 2, 3]
    last = [headers["last-event-id"] for _, _, headers, _ in told.asked]
    assert last == ["0", "2", "2", "2"]


@pytest.mark.parametrize(
    "bad",
    [problem(404, "not-found"), answer(200, []), answer(302, b""), stream("data: {}\n\n")],
    ids=["404", "json", "redirect", "wrong"],
)
async def test_a_stream_that_is_none_ends_the_following(client, bad) -> None:
    with scripted(bad) as told, pytest.raises((ShopProblem, ShopUnreachable)):
        await client(told.url).events(ID, 1)
    assert len(told.asked) == 1


async def test_a_stream_from_a_server_that_stays_away_ends(client) -> None:
    with scripted(problem(503, "unavailable")) as told, pytest.raises(ShopProblem):
        await client(told.url, retries={"attempts": 3}).events(ID, 1)
    assert len(told.asked) == 3


async def test_a_wait_ends_in_time_whatever_the_stream_says(client) -> None:
    invoice = answer(200, _invoice())
    with (
        scripted(invoice, stream(*QUIETLY)) as told,
        pytest.raises(TimeoutError, match="has no such status yet"),
    ):
        await client(told.url).wait(ID, seconds=0.7)
    assert len(told.asked) >= 2


def _invoice():
    known = {"status": "new", "exception": "none", "cause": "waiting", "sequence": 1}
    sums = {"amount_sats": 5_000, "paid_sats": 0, "gained_sats": 0}
    times = {"created_at": 1, "expires_at": 2, "monitored_until": 3}
    ids = {"id": str(ID), "store_id": str(ID), "label": "", "metadata": {}, "address": "a"}
    return known | sums | times | ids | {"payjoin": {"offered": False}}


@pytest.mark.parametrize("kind", [Shop, AsyncShop])
@pytest.mark.parametrize(
    "url",
    [
        "shop.example",
        "ftp://shop.example",
        "https://user:secret@shop.example",
        "https://shop.example/?a=b",
        "https://shop.example:x",
        "https://[",
        "https://sh op.example",
        "https://",
        "http://shop.example",
        "http://10.0.0.1:8000",
    ],
)
def test_an_address_that_is_none_is_refused_with_a_sentence(kind, url) -> None:
    with pytest.raises(ConfigurationError, match="`url`") as caught:
        kind(url, "dvt_x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", [Shop, AsyncShop])
def test_a_key_that_is_none_is_refused_and_a_key_is_not_shown(kind) -> None:
    for key in ("", "a b", "a\nb", "é"):
        with pytest.raises(ConfigurationError, match="`key`"):
            kind("https://shop.example", key)
    shop = kind("http://shop.example/pay/", "dvt_secret", allow_http=True)
    assert "shop.example" in repr(shop)
    shown = f"{shop!r} {vars(shop)}"
    assert "dvt_secret" not in shown


async def test_only_a_certificate_that_is_trusted_is_shown_the_key(client, tmp_path) -> None:
    own = make_certificate(tmp_path)
    with scripted(STORES, tls=own.server()) as told:
        shop = client(told.url, retries={"attempts": 1})
        with pytest.raises(ShopUnreachable, match="no connection"):
            await shop.ask("list_stores")
        assert told.asked == []
        assert await client(told.url, trust=own.trust()).ask("list_stores") == []


async def test_a_path_before_the_api_is_kept_and_the_key_sent(client) -> None:
    with scripted(STORES) as told:
        await client(f"{told.url}/pay/", "dvt_1", trust=ssl.create_default_context()).ask(
            "list_stores"
        )
    ((method, path, headers, body),) = told.asked
    assert (method, path, body) == ("GET", "/pay/api/v1/stores", b"")
    assert headers["authorization"] == "Bearer dvt_1"
