"""The listening socket that a service manager has opened, as systemd's socket units do.

See sd_listen_fds(3). The manager keeps the socket open over a restart: connections wait meanwhile.
"""

import os
import socket
from collections.abc import MutableMapping

from dovetail.errors import ConfigurationError

_FIRST = 3
_NAMES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def inherited_listener(
    environment: MutableMapping[str, str] = os.environ, *, first: int = _FIRST
) -> socket.socket | None:
    """Return the socket that was passed to this process, or None; close it in the end.

    The variables are removed, so that no child takes them for its own. `first` is the number of the
    first file that was passed. Raises `ConfigurationError` for several sockets and for one that is
    no TCP socket that listens.
    """
    meant, count, _ = [environment.pop(name, "") for name in _NAMES]
    if meant != str(os.getpid()) or not count.isdigit() or int(count) == 0:
        return None
    if int(count) > 1:
        raise ConfigurationError(
            f"The service manager has passed {count} sockets, and one is used: leave one "
            "`ListenStream=` in the socket unit."
        )
    os.set_inheritable(first, False)
    try:
        passed = socket.socket(fileno=first)
    except OSError as error:
        raise _wrong() from error
    if passed.family not in (socket.AF_INET, socket.AF_INET6) or not _listens(passed):
        passed.close()
        raise _wrong()
    return passed


def _listens(passed: socket.socket) -> bool:
    if passed.type != socket.SOCK_STREAM:
        return False
    return bool(passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _wrong() -> ConfigurationError:
    return ConfigurationError(
        "The service manager has passed what is no TCP socket that listens: write a "
        "`ListenStream=` with host and port in the socket unit."
    )
