import http.server
import threading

import pytest
from tests.regtest.spending import SOME_SCRIPT

from dovetail.bitcoin.script import Address, Network
from dovetail.bitcoin.transaction import OutPoint
from dovetail.errors import ChainError, ConfigurationError, UsageError
from dovetail.regtest.remote import remote_fund, remote_mine

ADDRESS = str(Address.from_script(SOME_SCRIPT, Network.REGTEST))


def test_a_running_server_mines(server):
    assert remote_mine(server.url) == [str(server.node.tip)]
    assert remote_mine(f"{server.url}/api/", 2, ADDRESS)[-1] == str(server.node.tip)
    assert server.node.height == 113


def test_a_running_server_pays(server):
    outpoint = OutPoint.parse(remote_fund(server.url, ADDRESS, 5000))
    assert server.node.utxo(outpoint).value == 5000
    assert server.node.confirmations(outpoint.txid) == 1
    waiting = OutPoint.parse(remote_fund(server.url, ADDRESS, 5000, 0))
    assert server.node.in_mempool(waiting.txid)


def test_a_refusal_is_passed_on(server):
    with pytest.raises(UsageError, match="address"):
        remote_fund(server.url, "nonsense", 5000)
    with pytest.raises(UsageError):
        remote_mine(server.url, -1)


def test_nobody_there_is_reported(server):
    url = server.url
    server.close()
    with pytest.raises(ChainError):
        remote_mine(url)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "ftp://127.0.0.1", "https://127.0.0.1", "http://", "http://x:y", "//["]
)
def test_another_url_is_refused(url):
    with pytest.raises(ConfigurationError):
        remote_mine(url)


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"hello"), (200, b"{}"), (500, b"oops"), (400, b"[]"), (200, b"")]
)
def test_another_server_s_answer_is_not_trusted(status, body):
    class Other(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Stay silent."""

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as other:
        thread = threading.Thread(target=other.handle_request)
        thread.start()
        with pytest.raises(ChainError):
            remote_mine(f"http://127.0.0.1:{other.server_port}")
        thread.join()
