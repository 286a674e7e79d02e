import json
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dovetail.bitcoin import Network
from dovetail.errors import ChainError
from dovetail.wallets.electrum import rpc as electrum_rpc
from dovetail.wallets.electrum.rpc import Denied, ElectrumRpc
from dovetail.wallets.server_url import ChainServer

BANNER = "server.banner"
HEADER = "blockchain.block.header"


def opened(url: str, timeout: float = 5) -> ElectrumRpc:
    return ElectrumRpc(ChainServer(url), Network.REGTEST, timeout=timeout)


@pytest.fixture
def rpc(scripted_electrum):
    made = opened(scripted_electrum.url)
    yield made
    made.close()


def test_the_protocol_and_the_network_come_first_and_once(scripted_electrum, rpc):
    for _ in range(2):
        rpc.ask(BANNER, kind=str)
    assert scripted_electrum.asked == ["server.version", HEADER, BANNER, BANNER]
    assert scripted_electrum.connections == 1


def test_the_first_block_is_told_by_its_hash(server, rpc):
    assert rpc.genesis() == str(server.node.chain.at(0))


def test_many_questions_come_back_in_their_order(server, rpc):
    heights = range(server.node.height + 1)
    answers = rpc.ask_each([*((HEADER, (each,)) for each in heights), ("no.such", ())], str)
    *headers, last = answers
    assert headers == [
        server.node.chain.block_at(each).header.serialize().hex() for each in heights
    ]
    assert isinstance(last, Denied)
    assert "unknown method" in last.message


def test_threads_share_a_connection(server, scripted_electrum, rpc):
    def header(height):
        return rpc.ask(HEADER, height, kind=str)

    heights = list(range(50))
    with ThreadPoolExecutor(8) as pool:
        headers = list(pool.map(header, heights))
    assert headers == [
        server.node.chain.block_at(each).header.serialize().hex() for each in heights
    ]
    assert scripted_electrum.connections == 1


def test_answers_may_come_in_any_order_with_news_in_between(scripted_electrum, rpc):
    rpc.ask(BANNER, kind=str)
    news = b'{"jsonrpc":"2.0","method":"blockchain.headers.subscribe","params":[{}]}\n'
    stale = b'{"jsonrpc":"2.0","id":1,"result":"stale"}\n'
    scripted_electrum.before[BANNER] = news + stale
    assert rpc.ask(BANNER, kind=str) == ""


def test_a_connection_that_was_closed_is_made_anew(scripted_electrum, rpc):
    rpc.ask(BANNER, kind=str)
    scripted_electrum.raw["server.ping"] = b""
    with pytest.raises(ChainError, match="There is no connection to"):
        rpc.ask("server.ping", kind=str)
    # Both the old connection and a fresh one were tried.
    assert scripted_electrum.connections == 2
    assert rpc.ask(BANNER, kind=str) == ""
    rpc.close()
    rpc.close()
    assert rpc.ask(BANNER, kind=str) == ""


def test_a_broken_connection_is_made_anew(scripted_electrum):
    rpc = opened(scripted_electrum.url)
    rpc.ask(BANNER, kind=str)
    assert rpc._line is not None
    rpc._line.connection.close()
    assert rpc.ask(BANNER, kind=str) == ""
    rpc.close()


def test_a_refusal_is_told_without_its_words(scripted_electrum, rpc):
    for error in ("secret", {"code": 1, "message": "secret"}):
        scripted_electrum.errors[BANNER] = error
        with pytest.raises(ChainError, match="refuses to answer") as caught:
            rpc.ask(BANNER, kind=str)
        assert "secret" not in str(caught.value)
        assert rpc.ask_optional(BANNER, kind=str) == Denied("secret")


@pytest.mark.parametrize(
    "raw",
    [
        b"\n",
        b"{\n",
        b"[]\n",
        b"5\n",
        b"\xff\xfe\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"[" * 100_000 + b"\n",
        b'{"id":"one","result":""}\n',
        b'{"id":null,"error":{"code":-32700,"message":"parse error"}}\n',
        b'{"id":1e99,"result":""}\n',
    ],
)
def test_other_lines_are_not_understood_nor_quoted(scripted_electrum, rpc, raw):
    scripted_electrum.raw[BANNER] = raw
    with pytest.raises(ChainError, match="not what an Electrum server gives") as caught:
        rpc.ask(BANNER, kind=str)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("error", [{"message": 5}, {"code": 1, "message": None}, [], 5])
def test_an_error_of_another_form_is_not_understood(scripted_electrum, rpc, error):
    scripted_electrum.errors[BANNER] = error
    with pytest.raises(ChainError, match="not what an Electrum server gives"):
        rpc.ask(BANNER, kind=str)


@pytest.mark.property
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(max_size=200))
def test_any_bytes_give_an_answer_or_a_chain_error(scripted_electrum, raw):
    rpc = opened(scripted_electrum.url)
    scripted_electrum.raw[BANNER] = raw.replace(b"\n", b"") + b"\n" + b"."
    try:
        rpc.ask(BANNER, kind=str)
    except ChainError:
        pass
    finally:
        rpc.close()


def test_a_server_that_does_not_answer_takes_too_long(scripted_electrum):
    rpc = opened(scripted_electrum.url, timeout=0.05)
    scripted_electrum.stalls = True
    with pytest.raises(ChainError, match="too long"):
        rpc.ask(BANNER, kind=str)


def test_news_do_not_keep_a_question_open(scripted_electrum):
    rpc = opened(scripted_electrum.url, timeout=0.3)
    rpc.ask(BANNER, kind=str)
    scripted_electrum.raw[BANNER] = b'{"method":"news","params":[]}\n' * 3
    with pytest.raises(ChainError, match="too long"):
        rpc.ask(BANNER, kind=str)


def test_an_endless_answer_is_cut_off(scripted_electrum, rpc, monkeypatch):
    monkeypatch.setattr(electrum_rpc, "_MAX_ANSWER", 1000)
    scripted_electrum.raw[BANNER] = bytes(100_000)
    with pytest.raises(ChainError, match="too large"):
        rpc.ask(BANNER, kind=str)


def test_an_answer_that_breaks_off_is_an_error(scripted_electrum, rpc):
    scripted_electrum.raw[BANNER] = json.dumps({"id": 3, "result": "half"}).encode()
    with pytest.raises(ChainError, match="There is no connection to"):
        rpc.ask(BANNER, kind=str)


def test_what_is_asked_never_reaches_the_log(scripted_electrum, rpc, caplog):
    caplog.set_level(logging.DEBUG)
    rpc.ask_optional("blockchain.scripthash.get_history", "abcdef", kind=str)
    assert "abcdef" not in caplog.text


def test_a_server_of_another_version_is_offered_a_range(scripted_electrum, rpc):
    answers = iter(
        (b'{"id":%d,"error":{"code":1,"message":"unsupported protocol version"}}\n', b"")
    )
    asked = []
    usual = scripted_electrum.answer

    def answer(session, line):
        request = json.loads(line)
        if request["method"] == "server.version":
            asked.append(request["params"][1])
            if said := next(answers):
                return said % request["id"]
        return usual(session, line)

    scripted_electrum.answer = answer
    assert rpc.ask(BANNER, kind=str) == ""
    assert asked == ["1.4", ["1.4", "1.6"]]


def test_a_server_of_no_version_that_we_speak_is_told_as_what_it_is(scripted_electrum, rpc):
    scripted_electrum.errors["server.version"] = {"code": 1, "message": "unsupported"}
    with pytest.raises(
        ChainError, match=r"another version of Electrum's protocol than 1\.4 to 1\.6"
    ):
        rpc.ask(BANNER, kind=str)
    assert scripted_electrum.connections == 2
