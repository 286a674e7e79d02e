"""The signer at its socket: who gets in, and what they can break."""

import grp
import json
import logging
import os
import socket
import ssl
import stat
import struct
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from tests.merchant.signer.deals import AMOUNT, SignersHouse
from tests.merchant.signer.served import serving
from tests.support.certificates import make_certificate

from dovetail.errors import ConfigurationError, WalletError
from dovetail.merchant.signer import messages
from dovetail.merchant.signer import server as servers
from dovetail.merchant.signer.client import RemoteSigner
from dovetail.merchant.signer.framing import framed
from dovetail.merchant.signer.place import SignerPlace, TlsFiles
from dovetail.merchant.signer.policy import SignerRefused


@pytest.fixture
def place(tmp_path: Path) -> SignerPlace:
    return SignerPlace(path=tmp_path / "signer" / "signer.sock")


@pytest.fixture
def served(house: SignersHouse, place: SignerPlace) -> Iterator[SignerPlace]:
    with serving(house, place):
        yield place


@pytest.fixture
def remote(served: SignerPlace) -> Iterator[RemoteSigner]:
    with closing(RemoteSigner(served)) as opened:
        yield opened


def raw(place: SignerPlace) -> socket.socket:
    plain = socket.socket(socket.AF_UNIX)
    plain.settimeout(10)
    plain.connect(str(place.path))
    return plain


def said(place: SignerPlace, message: bytes) -> messages.Answer | None:
    """The answer to one message; None where the connection is closed."""
    with raw(place) as plain, plain.makefile("rb") as stream:
        try:
            plain.sendall(message)
            head = stream.read(4)
        except ConnectionError:
            return None
        if not head:
            return None
        answer: messages.Answer = messages.answers.decode(stream.read(*struct.unpack(">I", head)))
        return answer


# who gets in


def test_the_socket_and_its_folder_are_for_the_user_alone(served: SignerPlace):
    assert served.path is not None
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(served.path.parent.stat().st_mode) == 0o700


def test_the_socket_goes_with_the_server(house: SignersHouse, place: SignerPlace):
    assert place.path is not None
    with serving(house, place):
        assert place.path.exists()
    assert not place.path.exists()


def test_a_second_signer_does_not_take_the_place_of_the_first(
    house: SignersHouse, served: SignerPlace, remote: RemoteSigner
):
    with pytest.raises(ConfigurationError, match="cannot listen"), serving(house, served):
        pass
    assert remote.wallet().network == "regtest"


def test_a_socket_that_a_crash_left_is_replaced(house: SignersHouse, place: SignerPlace):
    assert place.path is not None
    place.path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place.path))
    with serving(house, place), closing(RemoteSigner(place)) as remote:
        assert remote.descriptors() == (house.keys.hot, house.keys.cold)


def tls_place(folder: Path, name: str, port: int, *, authority: str = "shop") -> SignerPlace:
    own = make_certificate(folder, name=name) if not (folder / f"{name}.crt").exists() else None
    files = TlsFiles(
        authority=folder / f"{authority}.crt",
        certificate=folder / f"{name}.crt" if own is None else own.cert,
        key=folder / f"{name}.key" if own is None else own.key,
    )
    return SignerPlace.parse(f"127.0.0.1:{port}", files)


def test_over_tls_only_certificates_of_the_shop_get_in(house: SignersHouse, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ours = tls_place(tmp_path, "shop", port)
    stranger = tls_place(tmp_path, "stranger", port)
    with serving(house, ours):
        with closing(RemoteSigner(ours)) as remote:
            remote.open("a", demand=5)
        with closing(RemoteSigner(stranger)) as remote, pytest.raises(WalletError):
            remote.open("b", demand=5)
        assert not lets_in_anybody(port)


def lets_in_anybody(port: int) -> bool:
    """Whether a client without a certificate gets an answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain) as unknown,
        ):
            unknown.sendall(framed(b'{"type":"hello"}'))
            return bool(unknown.recv(4))
    except OSError:
        return False


def test_a_server_of_another_authority_is_not_believed(house: SignersHouse, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    make_certificate(tmp_path, name="shop")
    false = tls_place(tmp_path, "stranger", port, authority="stranger")
    ours = tls_place(tmp_path, "shop", port)
    with serving(house, false), closing(RemoteSigner(ours)) as remote, pytest.raises(WalletError):
        remote.descriptors()


@pytest.mark.parametrize("text", ["127.0.0.1:8000", "host:0", "host:70000", ":80", "host:x"])
def test_a_host_and_port_need_tls_and_sense(text: str):
    with pytest.raises(ConfigurationError, match="signer"):
        SignerPlace.parse(text)


def test_a_socket_has_a_path_that_fits():
    with pytest.raises(ConfigurationError, match="shorter"):
        SignerPlace.parse(f"/{'long/' * 40}signer.sock")
    assert SignerPlace.parse("~/signer.sock").path == Path("~/signer.sock").expanduser()
    assert SignerPlace.parse("a:b/signer.sock").path == Path("a:b/signer.sock")


def test_tls_files_that_are_missing_are_told(tmp_path: Path):
    files = TlsFiles(authority=tmp_path / "a", certificate=tmp_path / "b", key=tmp_path / "c")
    with pytest.raises(ConfigurationError, match="TLS files"):
        files.context(server=True)


# what they can say


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "hello", "more": 1},
        {"type": "keys"},
        {"type": "open", "session": "a", "demand": "5"},
        {"type": "open", "session": "a", "demand": 5.0},
        {"type": "open", "session": "a", "demand": True},
        {"type": "open", "session": "a", "demand": 0},
        {"type": "open", "session": "a", "demand": -5},
        {"type": "open", "session": "a", "demand": 2**63},
        {"type": "open", "session": "../a", "demand": 5},
        {"type": "open", "session": "", "demand": 5},
        {"type": "open", "session": "a" * 65, "demand": 5},
        {"type": "open", "session": 5, "demand": 5},
        {"type": "release"},
        {"type": "holders", "coins": ["ab:0"]},
        [],
        "hello",
        None,
    ],
)
def test_messages_are_strict(served: SignerPlace, message: object):
    answer = said(served, framed(json.dumps(message).encode()))
    assert isinstance(answer, messages.Refusal)
    assert "not one that this signer knows" in answer.why


@pytest.mark.parametrize("message", [b"\xff\xfe", b"{", b"[" * 100_000, b'{"type":"\xed\xa0\x80"}'])
def test_what_is_no_json_is_refused(served: SignerPlace, message: bytes):
    assert isinstance(said(served, framed(message)), messages.Refusal)


@pytest.mark.parametrize("length", [0, messages.MOST_BYTES + 1, 2**32 - 1])
def test_an_impossible_length_ends_the_connection(served: SignerPlace, length: int):
    assert said(served, struct.pack(">I", length)) is None


def test_half_a_message_ends_the_connection(
    served: SignerPlace, monkeypatch: pytest.MonkeyPatch, remote: RemoteSigner
):
    monkeypatch.setattr(servers, "PATIENCE", 0.05)
    assert said(served, struct.pack(">I", 100) + b"{") is None
    assert remote.wallet().protocol == messages.PROTOCOL


def test_a_silent_connection_is_closed(served: SignerPlace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(servers, "IDLE", 0.05)
    assert said(served, b"") is None


def test_more_connections_than_allowed_are_closed(
    served: SignerPlace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(servers, "MOST_CONNECTIONS", 1)
    hello = framed(b'{"type":"hello"}')
    with raw(served) as first:
        first.sendall(hello)
        assert first.recv(4)
        assert said(served, hello) is None


def test_refusals_are_logged_without_what_was_asked(
    served: SignerPlace, house: SignersHouse, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, "dovetail")
    request = house.deal.request(session="invoice-9")
    assert isinstance(said(served, framed(messages.encode(request))), messages.Refusal)
    (line,) = [each.getMessage() for each in caplog.records if "Refused" in each.getMessage()]
    assert line.startswith("Refused to sign: The signer knows no such session")
    assert "invoice-9" not in line
    assert house.keys.hot not in repr(house.keys) + repr(request)


# what clients get


def test_a_client_gets_refusals_and_failures_as_errors(house: SignersHouse, remote: RemoteSigner):
    with pytest.raises(SignerRefused, match="first one counts"):
        remote.open("invoice-1", demand=AMOUNT - 1)
    house.log._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(WalletError, match="see to its disk") as failed:
        remote.open("invoice-2", demand=AMOUNT)
    assert not isinstance(failed.value, SignerRefused)


def test_a_signature_passes_the_socket(house: SignersHouse, remote: RemoteSigner):
    deal = house.deal
    asked = deal.psbt()
    signed = remote.sign(
        deal.session,
        asked,
        inputs=deal.own,
        outputs=deal.named(asked),
        fallback=deal.fallback,
        fallback_index=3,
    )
    assert signed == house.signed(deal.request())
    assert set(remote.holders(deal.own).values()) == {deal.session}
    remote.release(deal.session)
    assert remote.holders(deal.own) == {}


def test_a_client_away_from_its_signer_says_so(place: SignerPlace):
    with closing(RemoteSigner(place, patience=1)) as remote:
        assert str(place.path) in repr(remote)
        with pytest.raises(WalletError, match="start it, or correct `signer`"):
            remote.descriptors()


def test_a_signer_that_hangs_is_not_waited_for(tmp_path: Path):
    path = tmp_path / "deaf.sock"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        with (
            closing(RemoteSigner(SignerPlace(path=path), patience=0.2)) as remote,
            pytest.raises(WalletError, match="does not answer"),
        ):
            remote.descriptors()


def test_many_threads_that_claim_different_amounts_get_one_signature(
    house: SignersHouse, served: SignerPlace
):
    """Two signatures of one transaction over different amounts could be put together."""
    deal = house.deal
    outputs = deal.psbt().unsigned_transaction.outputs
    requests = [
        deal.request(deal.but(coins={7: 80_000 - each}).psbt(*outputs)) for each in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        sent = [framed(messages.encode(each)) for each in requests]
        answers = set(pool.map(lambda message: said(served, message), sent))
    assert len(answers) == 1
    assert isinstance(answers.pop(), messages.Signed)


def test_a_group_may_ask_where_the_shop_runs_as_another_user(house: SignersHouse):
    group = grp.getgrgid(os.getgid()).gr_name
    with tempfile.TemporaryDirectory() as short:
        place = SignerPlace.parse(f"{short}/signer.sock", group=group)
        with serving(house, place):
            status = Path(short, "signer.sock").stat()
            assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, os.getgid())
            remote = RemoteSigner(place)
            assert remote.wallet().hot == house.keys.hot
            remote.close()


def test_a_group_that_is_not_there_is_refused_and_no_socket_left(house: SignersHouse):
    with tempfile.TemporaryDirectory() as short:
        place = SignerPlace.parse(f"{short}/signer.sock", group="no-such-group-at-all")
        with (
            pytest.raises(ConfigurationError, match="the group of `signer_group`"),
            serving(house, place),
        ):
            pass
        assert list(Path(short).iterdir()) == []
