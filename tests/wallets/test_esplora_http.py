import logging
from types import SimpleNamespace

import pytest
from tests.wallets.scripted import Answer

from dovetail.errors import ChainError, ConfigurationError
from dovetail.wallets import answers, esplora_http
from dovetail.wallets.esplora_http import EsploraHttp, Outspend


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
    ("status", "sentence"), [(429, "fewer requests"), (503, "HTTP status 503"), (301, "301")]
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
    monkeypatch.setattr(answers, "time", clock)
    with pytest.raises(ChainError, match="too long"):
        http.get("/path")


def test_an_endless_answer_is_cut_off(scripted, http, monkeypatch):
    monkeypatch.setattr(esplora_http, "_MAX_ANSWER", 10)
    scripted.answers["/path"] = Answer(body=bytes(11))
    with pytest.raises(ChainError, match="too large"):
        http.get("/path")


def test_an_answer_that_breaks_off_is_an_error(scripted, http):
    scripted.answers["/path"] = Answer(body=b"half", promised=8)
    with pytest.raises(ChainError, match="cannot be reached"):
        http.get("/path")


def test_a_server_that_is_gone_cannot_be_reached():
    http = EsploraHttp("http://127.0.0.1:1", timeout=1)
    with pytest.raises(ChainError, match="cannot be reached") as caught:
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
