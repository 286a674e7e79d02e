"""A connection to an Electrum server: TCP, through Tor if necessary, then TLS."""

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
    socks_handshake,
)
from dovetail.wallets.server_url import ChainServer, chain_faults

_MAX_CERTIFICATE = 65_536

FAULTS = chain_faults("an Electrum server")


def load_pin(path: Path) -> bytes:
    """Return the certificate of a PEM file in DER. Raises `ConfigurationError`."""
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
    """Connect to the server and verify its certificate by TLS.

    `timeout` in seconds is for the connection and for TLS, and stays set on the socket. Nothing
    about a wallet is sent. Raises `ChainError`.
    """
    pin = None if server.certificate is None else load_pin(server.certificate)
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
        _converse(dialled, socks_handshake(server.host, server.port), time.monotonic() + timeout)
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
        # The pin replaces name and signature checks: only this certificate is accepted.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        secured = context.wrap_socket(dialled, server_hostname=host.rstrip("."))
    except ssl.SSLCertVerificationError as error:
        raise ChainError(
            "This system does not trust the chain server's certificate; if the server has a "
            "self-signed one, save it to a file and set `chain_certificate` to that file."
        ) from error
    except TimeoutError as error:
        raise ChainError(FAULTS.too_slow) from error
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ChainError(
            "The chain server does not use TLS at this port; check the port in `chain`."
        ) from error
    if pin is not None and secured.getpeercert(binary_form=True) != pin:
        secured.close()
        raise ChainError(
            "The chain server's certificate is not the one that `chain_certificate` names; use "
            "the new one only if the server's owner confirms the change."
        )
    return secured


def hang_up(connection: socket.socket) -> None:
    """Close a connection at once, also for a thread that waits on it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


class LineReader:
    """Reads lines from a connection, with limits on their size and time."""

    def __init__(self, connection: socket.socket, *, most: int) -> None:
        self._connection = connection
        self._most = most
        self._read = bytearray()

    def ready(self) -> bytes | None:
        """Return a line that has arrived, or None. Raises the errors of `line`."""
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
        """Return the next line without its end; `deadline` is on the monotonic clock.

        Raises `ChainError`, `EOFError` if the server hung up, `OSError` if the connection broke.
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
