import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from tests.support.scripted_http import Answer, ScriptedServer
from tests.wallets.fake_connections import Answering, content

from dovetail.bitcoin import Network
from dovetail.errors import ChainError, ConfigurationError
from dovetail.wallets.core import rpc as core_rpc
from dovetail.wallets.core.rpc import (
    CookieFile,
    CoreRpc,
    RpcError,
    UserPassword,
    call,
    checked_node_url,
    usual_cookie,
)

PASSWORD = "correct-horse-battery"
LOGIN = UserPassword("dovetail", PASSWORD)


@pytest.fixture
def rpc(scripted: ScriptedServer) -> Iterator[CoreRpc]:
    made = CoreRpc(scripted.url, LOGIN, wallet="a b/c", timeout=5)
    yield made
    made.close()


def answering(told: Any, status: int = 200) -> httpcore2.Response:
    return httpcore2.Response(status, content=json.dumps(told).encode())


class Speaking:
    """Answers each call as `says` has it, and keeps what was asked."""

    def __init__(self, says: Any, status: int = 200) -> None:
        self.says, self.status = says, status
        self.requests: list[httpcore2.Request] = []

    def handle_request(self, request: httpcore2.Request) -> httpcore2.Response:
        self.requests.append(request)
        asked = json.loads(content(request))
        alone = isinstance(asked, dict)
        told = [{"id": each["id"], **self.says} for each in ([asked] if alone else asked)]
        return answering(told[0] if alone else told, self.status)

    def close(self) -> None:
        """Nothing is open."""


def speaking(says: Any, status: int = 200, login: core_rpc.Login = LOGIN) -> CoreRpc:
    return CoreRpc("http://127.0.0.1:8332", login, wallet="w", carrier=Speaking(says, status))


def answer(scripted: ScriptedServer, said: Answer) -> None:
    scripted.answers["/wallet/a%20b%2Fc"] = said


def test_a_call_names_wallet_login_method_and_arguments() -> None:
    web = Speaking({"result": 7, "error": None})
    rpc = CoreRpc("http://127.0.0.1:8332/", LOGIN, wallet="a b/c", carrier=web)
    assert rpc.ask("getbalance", int, minconf=1, dummy=None) == 7
    [request] = web.requests
    assert bytes(request.url) == b"http://127.0.0.1:8332/wallet/a%20b%2Fc"
    assert dict(request.headers)[b"authorization"].startswith(b"Basic ")
    body = json.loads(content(request))
    assert (body["method"], body["params"]) == ("getbalance", {"minconf": 1})


def test_many_calls_are_one_request_and_fail_one_by_one() -> None:
    def mixed(request: httpcore2.Request) -> httpcore2.Response:
        first, second = json.loads(content(request))
        return answering(
            [
                {"id": second["id"], "error": {"code": -5, "message": "gone"}},
                {"id": first["id"], "result": "here", "error": None},
            ]
        )

    rpc = CoreRpc("http://127.0.0.1:8332", LOGIN, wallet="w", carrier=Answering(mixed))
    told = rpc.batch([call("first"), call("second")], str)
    assert told[0] == "here"
    assert isinstance(told[1], RpcError)
    assert (told[1].code, told[1].words) == (-5, "gone")
    assert rpc.batch([], str) == []


def test_a_refused_call_is_an_error_without_the_nodes_words() -> None:
    rpc = speaking({"error": {"code": -8, "message": "secret of the node"}}, 500)
    with pytest.raises(RpcError, match=r"refused a request \(code -8\)") as caught:
        rpc.ask("anything", str)
    assert "secret" not in str(caught.value)
    assert caught.value.words == "secret of the node"


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        (-28, ChainError, "still starting"),
        (-18, ConfigurationError, r"not loaded the wallet that `core_wallet` names.*loadwallet"),
    ],
)
def test_a_node_that_starts_or_lacks_the_wallet_says_so(code, kind, sentence) -> None:
    with pytest.raises(kind, match=sentence):
        speaking({"error": {"code": code}}, 500).ask("getwalletinfo", dict)


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (401, ConfigurationError, "correct `core_user` and `core_password`"),
        (403, ConfigurationError, r"`rpcallowip`.*`rpcwhitelist`"),
        (503, ChainError, "busy"),
        (302, ChainError, "check `core_url`"),
    ],
)
def test_a_status_is_told_by_the_setting_to_correct(status, kind, sentence) -> None:
    with pytest.raises(kind, match=sentence) as caught:
        speaking({}, status).ask("getblockcount", int)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"id": 99, "result": 1}'])
def test_what_no_node_says_is_not_understood(scripted, rpc, body) -> None:
    answer(scripted, Answer(200, body))
    with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
        rpc.ask("getblockcount", int)


def test_an_answer_of_another_type_is_not_understood() -> None:
    with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
        speaking({"result": "many"}).ask("getblockcount", int)


def test_a_silent_node_is_given_up(scripted) -> None:
    scripted.stalls = True
    rpc = CoreRpc(scripted.url, LOGIN, wallet="w", timeout=0.2)
    with pytest.raises(ChainError, match=r"takes too long.*`core_url`"):
        rpc.ask("getblockcount", int)
    rpc.close()


def test_an_answer_that_drips_is_given_up(scripted, rpc, monkeypatch) -> None:
    monkeypatch.setattr(rpc, "_timeout", 0.3)
    answer(scripted, Answer(drips=True))
    with pytest.raises(ChainError, match="takes too long"):
        rpc.ask("getblockcount", int)


def test_an_answer_without_end_is_given_up(scripted, rpc, monkeypatch) -> None:
    monkeypatch.setattr(core_rpc, "MAX_ANSWER", 10)
    answer(scripted, Answer(200, b"x" * 11))
    with pytest.raises(ChainError, match="too large"):
        rpc.ask("getblockcount", int)


def test_a_broken_connection_is_told(scripted, rpc) -> None:
    answer(scripted, Answer(200, b"{", promised=100))
    with pytest.raises(ChainError, match="connection to the Bitcoin Core node broke"):
        rpc.ask("getblockcount", int)


def test_a_node_that_does_not_run_is_told() -> None:
    rpc = CoreRpc("http://127.0.0.1:1", LOGIN, wallet="w")
    with pytest.raises(
        ChainError, match=r"no connection to the Bitcoin Core node.*: start it.*`core_url`"
    ):
        rpc.ask("getblockcount", int)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8332",
        "ftp://127.0.0.1",
        "http://",
        "http://[::1",
        "http://host:port",
        "http://host/wallet/w",
        "http://host?x",
        "http://host#x",
        "http://h st",
        "http://hösst",
    ],
)
def test_an_address_that_cannot_be_a_nodes_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="`core_url` must be the node's address"):
        checked_node_url(url)


def test_a_login_does_not_belong_into_the_address() -> None:
    with pytest.raises(ConfigurationError, match="set `core_user` and `core_password`") as caught:
        checked_node_url(f"http://dovetail:{PASSWORD}@host:8332")
    assert PASSWORD not in str(caught.value)


def test_the_cookie_is_read_anew_for_each_request(tmp_path: Path) -> None:
    path = tmp_path / ".cookie"
    web = Speaking({"result": 1})
    rpc = CoreRpc("http://127.0.0.1:8332", CookieFile(path), wallet="w", carrier=web)
    for secret in ("one", "two"):
        path.write_text(f"__cookie__:{secret}\n")
        rpc.ask("getblockcount", int)
    first, second = (dict(request.headers)[b"authorization"] for request in web.requests)
    assert first != second


def test_a_missing_cookie_means_that_the_node_does_not_run(tmp_path: Path) -> None:
    login = CookieFile(tmp_path / ".cookie")
    with pytest.raises(ChainError, match=r"cookie file is not there.*`core_cookie`"):
        speaking({"result": 1}, login=login).ask("getblockcount", int)


def test_a_cookie_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read.*`core_cookie`"):
        CookieFile(tmp_path).credentials()
    path = tmp_path / ".cookie"
    path.write_text("no cookie")
    with pytest.raises(ConfigurationError, match="`core_cookie` names is not a node's cookie"):
        CookieFile(path).credentials()
    path.write_text("__cookie__:old")
    with pytest.raises(ConfigurationError, match="does not accept the cookie: `core_cookie` must"):
        speaking({}, 401, CookieFile(path)).ask("getblockcount", int)


@pytest.mark.parametrize(
    ("platform", "ending"),
    [
        ("linux", ".bitcoin/signet/.cookie"),
        ("darwin", "Library/Application Support/Bitcoin/signet/.cookie"),
        ("win32", "Bitcoin/signet/.cookie"),
    ],
)
def test_the_cookie_is_looked_for_where_core_keeps_it(monkeypatch, platform, ending) -> None:
    monkeypatch.setattr("dovetail.wallets.core.rpc.sys.platform", platform)
    assert usual_cookie(Network.SIGNET).as_posix().endswith(ending)


def test_secrets_show_nowhere(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    rpc = speaking({"result": 1})
    rpc.ask("getblockcount", int)
    told = f"{rpc!r} {LOGIN!r} {caplog.text}"
    assert "correct" not in told
    assert "dovetail:" not in told
    assert repr(LOGIN) == "<UserPassword>"
