import logging
import time
from contextlib import closing
from email.utils import formatdate
from types import SimpleNamespace

import pytest
from tests.support.scripted_http import Answer

from dovetail.errors import ChainError, ConfigurationError
from dovetail.wallets import bounded_answers
from dovetail.wallets.bounded_answers import BackOff, Reply
from dovetail.wallets.esplora import http as esplora_http
from dovetail.wallets.esplora.http import EsploraHttp, Outspend
from dovetail.wallets.http import connections, request


@pytest.fixture
def http(scripted):
    opened = EsploraHttp(scripted.url, timeout=2)
    yield opened
    opened.close()


def test_an_answer_comes_back_whole(scripted, http):
    scripted.answers["/path"] = Answer(body=b"bytes")
    assert http.get("/path") == b"bytes"
    assert scripted.asked == ["/path"]


def test_nothing_found_is_none(http):
    assert http.get("/nowhere") is None
    assert http.get_json("/nowhere", Outspend) is None
    assert http.post("/nowhere", b"") is None


def test_json_has_the_type_asked_for(scripted, http):
    scripted.answers["/path"] = Answer(body=b'{"spent":false,"more":1}')
    assert http.get_json("/path", Outspend) == Outspend(spent=False)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"spent":1}', b"\xff", b"[" * 100_000])
def test_other_json_is_not_understood_nor_quoted(scripted, http, body):
    scripted.answers["/path"] = Answer(body=body)
    with pytest.raises(ChainError, match="not what an Esplora server gives") as caught:
        http.get_json("/path", Outspend)
    assert caught.value.__cause__ is None


def test_a_post_tells_yes_and_no(scripted, http):
    scripted.answers["/tx"] = Answer(body=b"txid")
    assert http.post("/tx", b"body") == (True, b"txid")
    scripted.answers["/tx"] = Answer(400, b"reason")
    assert http.post("/tx", b"body") == (False, b"reason")


@pytest.mark.parametrize(
    ("status", "sentence"), [(429, "fewer requests"), (503, "fewer requests"), (301, "301")]
)
def test_other_statuses_say_what_to_do(scripted, http, status, sentence):
    scripted.otherwise = Answer(status, b"secret")
    for ask in (lambda: http.get("/path"), lambda: http.post("/path", b"")):
        with pytest.raises(ChainError, match=sentence) as caught:
            ask()
        assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_takes_too_long(scripted):
    scripted.stalls = True
    http = EsploraHttp(scripted.url, timeout=0.05)
    with pytest.raises(ChainError, match="too long"):
        http.get("/path")
    http.close()


def test_an_answer_that_trickles_takes_too_long(scripted, http, monkeypatch):
    scripted.answers["/path"] = Answer(body=b"bytes")
    times = iter((0.0, 2.1))
    clock = SimpleNamespace(monotonic=lambda: next(times))
    monkeypatch.setattr(bounded_answers, "time", clock)
    with pytest.raises(ChainError, match="too long"):
        http.get("/path")


def test_a_head_that_drips_takes_too_long(scripted):
    scripted.answers["/path"] = Answer(drips=True)
    http = EsploraHttp(scripted.url, timeout=0.3)
    began = time.monotonic()
    with pytest.raises(ChainError, match="too long"):
        http.get("/path")
    assert time.monotonic() - began < 2
    http.close()


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_is_left_alone_for_as_long_as_it_says(scripted, http, status):
    scripted.answers["/path"] = Answer(status, headers=(("retry-after", "70"),))
    with pytest.raises(ChainError, match="after 70 seconds"):
        http.get("/path")
    scripted.answers["/path"] = Answer(body=b"bytes")
    with pytest.raises(ChainError, match="fewer requests"):
        http.get("/path")
    assert scripted.asked == ["/path"]


def _clocked() -> tuple[BackOff, list[float]]:
    now = [0.0]
    return BackOff(lambda: now[0]), now


def test_who_does_not_say_how_long_is_left_alone_for_longer_each_time():
    manners, now = _clocked()
    for pause in (5, 10, 20, 40, 80, 160, 300, 300):
        with pytest.raises(ChainError, match=f"after {pause} seconds"):
            manners.note_reply(Reply(429, b""))
        now[0] += pause - 0.5
        with pytest.raises(ChainError):
            manners.require_no_pause()
        now[0] += 0.5
        manners.require_no_pause()
    manners.note_reply(Reply(200, b""))
    with pytest.raises(ChainError, match="after 5 seconds"):
        manners.note_reply(Reply(429, b""))


def test_nobody_is_left_alone_for_ever():
    manners, _ = _clocked()
    with pytest.raises(ChainError, match="after 3600 seconds"):
        manners.note_reply(Reply(503, b"", wait=1e9))


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ("70", 70, 70),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        (lambda: formatdate(time.time() + 100, usegmt=True), 1, 101),
    ],
    ids=["seconds", "a date that has passed", "a date to come"],
)
def test_how_long_is_told_in_seconds_or_by_a_date(scripted, told, least, most):
    told = told() if callable(told) else told
    scripted.answers["/path"] = Answer(200, headers=(("retry-after", told),))
    with closing(connections(scripted.url)) as carrier:
        wanted = request("GET", scripted.url + "/path", headers={}, connect=2, timeout=2)
        reply = bounded_answers.fetch_bounded(
            carrier, wanted, esplora_http.FAULTS, seconds=2, most=10
        )
    assert reply.wait is not None
    assert least <= reply.wait <= most


@pytest.mark.parametrize("told", ["soon", "-1", "9" * 400])
def test_a_strange_wait_is_none_or_bounded(scripted, http, told):
    scripted.answers["/path"] = Answer(429, headers=(("retry-after", told),))
    with pytest.raises(ChainError, match=r"after (5|3600) seconds"):
        http.get("/path")


def test_an_endless_answer_is_cut_off(scripted, http, monkeypatch):
    monkeypatch.setattr(esplora_http, "_MAX_ANSWER", 10)
    scripted.answers["/path"] = Answer(body=bytes(11))
    with pytest.raises(ChainError, match="too large"):
        http.get("/path")


def test_an_answer_that_breaks_off_is_an_error(scripted, http):
    scripted.answers["/path"] = Answer(body=b"half", promised=8)
    with pytest.raises(ChainError, match="broke"):
        http.get("/path")


def test_a_server_that_is_gone_cannot_be_reached():
    http = EsploraHttp("http://127.0.0.1:1", timeout=1)
    with pytest.raises(ChainError, match="There is no connection to") as caught:
        http.get("/path")
    assert "127.0.0.1" not in str(caught.value)
    http.close()


def test_a_url_with_a_login_is_refused():
    with pytest.raises(ConfigurationError):
        EsploraHttp("http://user:password@127.0.0.1", timeout=1)


def test_paths_never_reach_the_log(scripted, http, caplog):
    caplog.set_level(logging.DEBUG)
    http.get("/scripthash/abcdef/txs")
    assert "abcdef" not in caplog.text
