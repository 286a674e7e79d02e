"""The way to an Electrum server: a TCP connection, through Tor where it must be, then TLS."""

import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path

from dovetail.errors import ChainError, ConfigurationError
from dovetail.tor import (
    CIRCUIT_PATIENCE,
    Conversation,
    Failure,
    ProxyFailed,
    SocksProxy,
    connecting,
)
from dovetail.wallets.server_url import ChainServer, chain_faults

_MAX_CERTIFICATE = 65_536

FAULTS = chain_faults("an Electrum server")


def pinned(path: Path) -> bytes:
    """The certificate of a PEM file, in DER. Raises `ConfigurationError`."""
    try:
        with path.open("rb") as file:
            return ssl.PEM_cert_to_DER_cert(file.read(_MAX_CERTIFICATE).decode("ascii").strip())
    except OSError as error:
        raise ConfigurationError(
            f"The file that `chain_certificate` names cannot be read ({error.strerror}): check"
            " its path."
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            "The file that `chain_certificate` names is not one certificate in PEM: save the"
            " server's own again."
        ) from error


def connect(server: ChainServer, *, timeout: float) -> socket.socket:
    """A connection to the server, which has proved over TLS who it is.

    `timeout`, in seconds, is for dialling and for TLS, and stays the socket's own. Nothing was
    sent that tells anything about a wallet. Raises `ChainError`.
    """
    pin = None if server.certificate is None else pinned(server.certificate)
    dialled = _dialled(server, timeout)
    try:
        dialled.settimeout(timeout)
        return _secured(dialled, server.host, pin) if server.uses_tls else dialled
    except BaseException:
        dialled.close()
        raise


def _dialled(server: ChainServer, timeout: float) -> socket.socket:
    if server.is_onion and server.proxy is not None:
        return _through(server.proxy, server, timeout=max(timeout, CIRCUIT_PATIENCE))
    try:
        return socket.create_connection((server.host, server.port), timeout)
    except TimeoutError as error:
        raise ChainError(FAULTS.too_slow) from error
    except (OSError, UnicodeError) as error:
        raise FAULTS.away(error) from error


def _through(proxy: SocksProxy, server: ChainServer, *, timeout: float) -> socket.socket:
    try:
        dialled = socket.create_connection((proxy.host, proxy.port), timeout)
    except OSError as error:
        raise ChainError(Failure.AWAY) from error
    try:
        _converse(dialled, connecting(server.host, server.port), time.monotonic() + timeout)
    except BaseException as error:
        dialled.close()
        if isinstance(error, ProxyFailed):
            raise ChainError(str(error)) from error
        if isinstance(error, TimeoutError):
            raise ChainError(Failure.NO_WAY) from error
        if isinstance(error, OSError):
            raise ChainError(Failure.NO_PROXY) from error
        raise
    return dialled


def _converse(dialled: socket.socket, conversation: Conversation, deadline: float) -> None:
    say, size = next(conversation)
    while True:
        dialled.sendall(say)
        heard = _read(dialled, size, deadline)
        try:
            say, size = conversation.send(heard)
        except StopIteration:
            return


def _read(dialled: socket.socket, size: int, deadline: float) -> bytes:
    read = bytearray()
    while len(read) < size:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        dialled.settimeout(left)
        chunk = dialled.recv(size - len(read))
        if not chunk:
            raise ProxyFailed(Failure.NO_PROXY)
        read += chunk
    return bytes(read)


def _secured(dialled: socket.socket, host: str, pin: bytes | None) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    if pin is not None:
        # The pin says more than a name or a signature could: this certificate and no other.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        secured = context.wrap_socket(dialled, server_hostname=host.rstrip("."))
    except ssl.SSLCertVerificationError as error:
        raise ChainError(
            "The chain server's certificate is not one that this system trusts; if the server"
            " signs its own, save that certificate to a file and set `chain_certificate` to it."
        ) from error
    except TimeoutError as error:
        raise ChainError(FAULTS.too_slow) from error
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ChainError(
            "The chain server does not answer in TLS there; check the port that `chain` names."
        ) from error
    if pin is not None and secured.getpeercert(binary_form=True) != pin:
        secured.close()
        raise ChainError(
            "The chain server shows another certificate than the one that `chain_certificate`"
            " names; go on only when its owner says that it was changed, with the new one."
        )
    return secured


def hang_up(connection: socket.socket) -> None:
    """End a connection at once, also for a thread that waits on it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


class LineReader:
    """Lines from a connection, each bounded in size and in the time until it is whole."""

    def __init__(self, connection: socket.socket, *, most: int) -> None:
        self._connection = connection
        self._most = most
        self._read = bytearray()

    def ready(self) -> bytes | None:
        """A line that has come already; None where none has. Raises as `line`."""
        while self._read.find(b"\n") < 0:
            if len(self._read) > self._most:
                raise ChainError(FAULTS.too_large)
            self._connection.settimeout(0)
            try:
                chunk = self._connection.recv(65_536)
            except (BlockingIOError, ssl.SSLWantReadError):
                return None
            if not chunk:
                raise EOFError
            self._read += chunk
        return self._cut(self._read.find(b"\n"))

    def _cut(self, end: int) -> bytes:
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line

    def line(self, deadline: float) -> bytes:
        """The next line without its end; `deadline` on the monotonic clock.

        Raises `ChainError`; `EOFError` when the server hung up, `OSError` when the way broke.
        """
        searched = 0
        while (end := self._read.find(b"\n", searched)) < 0:
            searched = len(self._read)
            if searched > self._most:
                raise ChainError(FAULTS.too_large)
            left = deadline - time.monotonic()
            if left <= 0:
                raise ChainError(FAULTS.too_slow)
            self._connection.settimeout(left)
            try:
                chunk = self._connection.recv(65_536)
            except TimeoutError as error:
                raise ChainError(FAULTS.too_slow) from error
            if not chunk:
                raise EOFError
            self._read += chunk
        return self._cut(end)
