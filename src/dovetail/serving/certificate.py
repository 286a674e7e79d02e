"""A certificate and its key in PEM files, which may be replaced while a server runs."""

import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from dovetail.errors import ConfigurationError

_log = logging.getLogger(__name__)


class Certificate:
    """A server's certificate; `context` stays the same when another one is used."""

    def __init__(self, chain: Path, key: Path, *, names: tuple[str, str]) -> None:
        """Read the files; `chain` holds the server's own certificate first.

        `names` are the settings that name the files, for errors. Raises `ConfigurationError`.
        """
        self._chain = chain
        self._key = key
        self._names = names
        self._newest = self.read()
        self.context = _context()
        self.context.sni_callback = self._choose
        self.context.load_cert_chain(chain, key, password=_no_password)

    def use(self, newest: ssl.SSLContext) -> None:
        """Use what `read` has returned for handshakes from now on; connections go on."""
        self._newest = newest

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _first: Any) -> None:
        """Give a handshake the newest certificate; called whether or not it names a host."""
        connection.context = self._newest

    def read(self) -> ssl.SSLContext:
        """Read the files again and check them; raises `ConfigurationError`."""
        chain, key = self._names
        own = _parsed(self._chain, chain, "certificate", x509.load_pem_x509_certificates)[0]
        secret = _parsed(self._key, key, "key", _load_key)
        if own.public_key() != secret.public_key():
            raise ConfigurationError(
                f"The key in `{key}` does not belong to the certificate in `{chain}`: name two "
                "that belong together."
            )
        _warn_of_its_end(own, chain)
        context = _context()
        try:
            context.load_cert_chain(self._chain, self._key, password=_no_password)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"TLS cannot use what `{chain}` and `{key}` name: make a new key and certificate."
            ) from error
        return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _parsed(path: Path, name: str, kind: str, parse: Callable[[bytes], Any]) -> Any:
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"The file in `{name}` cannot be read ({error.strerror}): correct the path or who may "
            "read it."
        ) from error
    except TypeError:
        raise ConfigurationError(
            f"The key in `{name}` has a password, which nobody can be asked for: store it without "
            "one, readable by the server alone."
        ) from None
    except ValueError:  # a chained cause could quote the key
        raise ConfigurationError(
            f"The file in `{name}` holds no PEM {kind}: name one that does."
        ) from None


def _load_key(data: bytes) -> PrivateKeyTypes:
    return load_pem_private_key(data, password=None)


def _warn_of_its_end(own: x509.Certificate, name: str) -> None:
    end = own.not_valid_after_utc
    if end < datetime.now(UTC):
        _log.warning(
            "The certificate in `%s` ran out on %s, and clients refuse it: renew it.",
            name,
            f"{end:%d %B %Y}",
        )


def _no_password() -> str:
    raise ValueError
