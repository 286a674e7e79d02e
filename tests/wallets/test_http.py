from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.certificates import Certificate, make_certificate
from tests.support.scripted_http import Answer, ScriptedServer

from dovetail.errors import ChainError
from dovetail.wallets.bounded_answers import Reply, fetch_bounded
from dovetail.wallets.esplora.http import FAULTS
from dovetail.wallets.http import connections, request


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
def secure(certificate: Certificate) -> Iterator[ScriptedServer]:
    with ScriptedServer(tls=certificate.server()) as running:
        yield running


def ask(url: str) -> Reply:
    with closing(connections(url)) as carrier:
        wanted = request("GET", f"{url}/path", headers={}, connect=2, timeout=2)
        return fetch_bounded(carrier, wanted, FAULTS, seconds=5, most=100)


def test_a_certificate_that_nobody_signed_is_not_believed(secure: ScriptedServer) -> None:
    with pytest.raises(ChainError, match="as its certificate cannot be trusted"):
        ask(secure.url)
    assert secure.asked == []


def test_the_authorities_that_the_environment_names_take_the_place_of_the_usual_ones(
    secure: ScriptedServer, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure.answers["/path"] = Answer(body=b"bytes")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cert))
    assert ask(secure.url).body == b"bytes"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_followed_by_nobody(scripted: ScriptedServer, status: int) -> None:
    scripted.answers["/path"] = Answer(status, headers=(("location", f"{scripted.url}/other"),))
    assert ask(scripted.url).status == status
    assert scripted.asked == ["/path"]


def test_no_proxy_of_the_environment_is_used(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.answers["/path"] = Answer(body=b"bytes")
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert ask(scripted.url).body == b"bytes"
