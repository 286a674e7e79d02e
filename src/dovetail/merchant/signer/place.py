"""Where a signer listens: a socket in a folder, or a host and port with TLS."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from dovetail.errors import ConfigurationError

_MOST_BYTES_OF_A_PATH = 103
"""What every system takes as the path of a Unix socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: of the authority that both sides trust, and of one side's own certificate."""

    authority: Path
    certificate: Path
    key: Path

    def context(self, *, server: bool) -> ssl.SSLContext:
        """TLS 1.3 with certificates on both sides; raises `ConfigurationError`.

        Only certificates of the authority are trusted, and their names are not compared: the
        authority is the shop's own.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(self.authority)
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                "The signer's TLS files cannot be used: give the PEM files of the authority, and of"
                " a certificate with its key."
            ) from error
        return context


@dataclass(frozen=True, slots=True)
class SignerPlace:
    """A Unix socket's path, or a host and port, which need TLS."""

    path: Path | None = None
    host: str = ""
    port: int = 0
    tls: TlsFiles | None = None
    group: str | None = None
    """The system's group whose users may ask at the socket; None: the signer's own user alone."""

    @classmethod
    def parse(
        cls, text: str, tls: TlsFiles | None = None, *, group: str | None = None
    ) -> "SignerPlace":
        """Read a path, or `host:port`; raises `ConfigurationError`."""
        host, colon, port = text.rpartition(":")
        if not colon or "/" in text:
            path = Path(text).expanduser()
            if len(os.fsencode(path)) > _MOST_BYTES_OF_A_PATH:
                raise ConfigurationError(
                    f"The signer's socket may have a path of at most {_MOST_BYTES_OF_A_PATH} bytes:"
                    " set `signer` to a shorter one."
                )
            return cls(path=path, group=group)
        if not port.isdigit() or not 0 < int(port) < 65_536 or not host:
            raise ConfigurationError("`signer` must be a socket's path or host:port; correct it.")
        if tls is None:
            raise ConfigurationError(
                "A signer at a host and port needs TLS: set `signer_ca`, `signer_cert` and"
                " `signer_key`, or use a socket's path."
            )
        return cls(host=host.strip("[]"), port=int(port), tls=tls)

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else f"{self.host}:{self.port}"
