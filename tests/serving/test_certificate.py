import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from tests.support.certificates import make_certificate

from dovetail.errors import ConfigurationError
from dovetail.serving.certificate import Certificate

NAMES = ("some_cert", "some_key")


def lose(path: Path) -> None:
    path.unlink()


def garble(path: Path) -> None:
    path.write_text("-----BEGIN CERTIFICATE-----\nnothing\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("server.crt", lose, r"`some_cert` cannot be read \(No such file or directory\)"),
        ("server.key", lose, r"`some_key` cannot be read \(No such file or directory\)"),
        ("server.crt", garble, "`some_cert` holds no PEM certificate"),
        ("server.crt", empty, "`some_cert` holds no PEM certificate"),
        ("server.key", empty, "`some_key` holds no PEM key"),
    ],
)
def test_what_cannot_be_used_is_named_by_its_setting(
    tmp_path: Path, name: str, change: Callable[[Path], None], words: str
) -> None:
    made = make_certificate(tmp_path)
    change(tmp_path / name)
    with pytest.raises(ConfigurationError, match=words):
        Certificate(made.cert, made.key, names=NAMES)


def test_a_key_of_another_certificate_is_told_as_that(tmp_path: Path) -> None:
    one, other = (make_certificate(tmp_path, name=name) for name in ("one", "other"))
    with pytest.raises(ConfigurationError) as caught:
        Certificate(one.cert, other.key, names=NAMES)
    assert str(caught.value) == (
        "The key in `some_key` does not belong to the certificate in `some_cert`: name two that "
        "belong together."
    )


def test_a_key_with_a_password_asks_nobody_for_it(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, password=b"secret")
    with pytest.raises(ConfigurationError, match="`some_key` has a password"):
        Certificate(made.cert, made.key, names=NAMES)


def test_a_key_is_not_quoted_in_an_error(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    made.key.write_text(made.key.read_text().replace("A", "B"))
    with pytest.raises(ConfigurationError) as caught:
        Certificate(made.cert, made.key, names=NAMES)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_the_servers_own_certificate_is_the_first_of_its_file(tmp_path: Path) -> None:
    one, other = (make_certificate(tmp_path, name=name) for name in ("one", "other"))
    one.cert.write_bytes(one.cert.read_bytes() + other.cert.read_bytes())
    Certificate(one.cert, one.key, names=NAMES)
    with pytest.raises(ConfigurationError, match="does not belong"):
        Certificate(one.cert, other.key, names=NAMES)


def test_one_that_ran_out_is_served_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = make_certificate(tmp_path)
    key = load_pem_private_key(made.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    name = x509.Name([])
    ended = dt.datetime(2020, 5, 1, tzinfo=dt.UTC)
    old = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(ended - dt.timedelta(days=1))
        .not_valid_after(ended)
        .sign(key, hashes.SHA256())
    )
    made.cert.write_bytes(old.public_bytes(Encoding.PEM))
    caplog.set_level(logging.WARNING)
    Certificate(made.cert, made.key, names=NAMES)
    assert "`some_cert` ran out on 01 May 2020" in caplog.text
