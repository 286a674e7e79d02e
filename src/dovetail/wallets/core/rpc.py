"""A JSON-RPC client for Bitcoin Core, with limits on time and size.

The password, the cookie and the node's messages never appear in errors or reprs (P4).
"""

import base64
import itertools
import os
import sys
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from dovetail.bitcoin import Network
from dovetail.errors import ChainError, ConfigurationError
from dovetail.extras import brought_by
from dovetail.wallets.server_faults import Faults

with brought_by("agent", "Asking a Bitcoin Core node"):
    from dovetail.wallets.bounded_answers import BackOff, Reply, fetch_bounded
    from dovetail.wallets.http import Carrier, connections, request

T = TypeVar("T")

MAX_ANSWER = 64_000_000
"""The largest answer in bytes: a batch of blocks in hex."""

PORTS = {
    Network.MAINNET: 8332,
    Network.TESTNET: 48332,
    Network.SIGNET: 38332,
    Network.REGTEST: 18443,
}
"""The default port of each network; testnet is testnet 4."""

_FOLDERS = {
    Network.MAINNET: "",
    Network.TESTNET: "testnet4",
    Network.SIGNET: "signet",
    Network.REGTEST: "regtest",
}
_MAX_COOKIE = 1_000
_CONNECT_SECONDS = 10.0
# The node closes connections that are idle for 30 seconds, so close them earlier.
_IDLE_SECONDS = 15.0
_TELLING = (200, 400, 404, 500)  # the node sends JSON with these
_UNAUTHORIZED, _FORBIDDEN, _BUSY = 401, 403, 503
_WARMING_UP, _NO_SUCH_WALLET = -28, -18

FAULTS = Faults(
    server="the Bitcoin Core node",
    remedy="start it with `server=1`, or correct `core_url`",
    broken=(
        "The connection to the Bitcoin Core node broke: check that it runs, and check `core_url`."
    ),
    too_slow="The Bitcoin Core node takes too long to answer: try again, and check `core_url`.",
    too_large="The Bitcoin Core node's answer is too large: check `core_url`.",
    strange="The answer is not what a Bitcoin Core node gives: check `core_url`.",
)


@dataclass(frozen=True, slots=True)
class CookieFile:
    """The cookie file of a running node, with a password for users of the same machine."""

    path: Path

    def credentials(self) -> bytes:
        """Read user and password again, because a restart of the node changes them.

        Raises `ChainError` if the file is missing, `ConfigurationError` if it is unusable.
        """
        try:
            with self.path.open("rb") as file:
                cookie = file.read(_MAX_COOKIE).strip()
        except FileNotFoundError as error:
            # A node deletes its cookie when it stops.
            raise ChainError(
                "The node's cookie file is not there: start Bitcoin Core, or set `core_cookie` to"
                " the .cookie in its data directory, or `core_user` and `core_password`."
            ) from error
        except OSError as error:
            raise ConfigurationError(
                "The node's cookie file cannot be read: check who may read what `core_cookie`"
                " names, or set `core_user` and `core_password`."
            ) from error
        if b":" not in cookie:
            raise ConfigurationError(
                "What `core_cookie` names is not a node's cookie file: correct it."
            )
        return cookie

    refused = (
        "The node does not accept the cookie: `core_cookie` must name the .cookie of the node that"
        " `core_url` names."
    )


@dataclass(frozen=True, slots=True, repr=False)
class UserPassword:
    """A user and password of the node's `rpcauth`; its repr shows neither."""

    user: str
    password: str

    def credentials(self) -> bytes:
        """Return both in the format of HTTP's Basic scheme (RFC 7617)."""
        return f"{self.user}:{self.password}".encode()

    def __repr__(self) -> str:
        return "<UserPassword>"

    refused = (
        "The node does not accept the user or the password: correct `core_user` and"
        " `core_password`."
    )


Login = CookieFile | UserPassword


def usual_cookie(network: Network) -> Path:
    """Return the default path of Bitcoin Core's cookie."""
    if sys.platform == "darwin":
        home = Path.home() / "Library" / "Application Support" / "Bitcoin"
    elif sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA", Path.home())) / "Bitcoin"
    else:
        home = Path.home() / ".bitcoin"
    return home / _FOLDERS[network] / ".cookie"


class RpcError(ChainError):
    """The node refused a call; `code` as in Bitcoin Core's rpc/protocol.h.

    `words` is the node's message, for decisions only; never show it.
    """

    def __init__(self, code: int, words: str) -> None:
        """The message contains only the code."""
        super().__init__(
            f"The Bitcoin Core node refused a request (code {code}): see its debug.log."
        )
        self.code = code
        self.words = words


class _Failure(msgspec.Struct, frozen=True):
    code: int
    message: str = ""


class _Request(msgspec.Struct, frozen=True):
    id: int
    method: str
    params: dict[str, Any]


class _Answer(msgspec.Struct, frozen=True):
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Failure | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a method and its arguments by name."""

    method: str
    arguments: dict[str, Any]


def call(method: str, **arguments: Any) -> Call:
    """Return a call; arguments that are None are left out."""
    return Call(method, {name: value for name, value in arguments.items() if value is not None})


class CoreRpc:
    """A thread-safe connection pool for one node and one of its wallets.

    `url` is the node's without a path, `wallet` the wallet's name, `timeout` in seconds for one
    answer. Every failure is a `ChainError`, `RpcError` among them, or a `ConfigurationError`.
    """

    def __init__(
        self,
        url: str,
        login: Login,
        *,
        wallet: str,
        timeout: float = 30.0,
        carrier: Carrier | None = None,
    ) -> None:
        """`carrier` sends the requests; by default the client has its own."""
        self._url = f"{checked_node_url(url)}/wallet/{quote(wallet, safe='')}"
        self._login = login
        self._timeout = timeout
        self._ids = itertools.count(1)
        self._carrier = carrier or connections(self._url, idle=_IDLE_SECONDS)
        self._back_off = BackOff()
        # Close the connections even if the owner forgets `close`.
        weakref.finalize(self, self._carrier.close)

    def __repr__(self) -> str:
        return "<CoreRpc>"

    def close(self) -> None:
        """Close its connections; a second call does nothing."""
        self._carrier.close()

    def ask(self, method: str, kind: type[T], /, **arguments: Any) -> T:
        """Make one call; the arguments that are None are left out."""
        return self.make(call(method, **arguments), kind)

    def make(self, wanted: Call, kind: type[T]) -> T:
        """Make one call."""
        [answer] = self.batch([wanted], kind)
        if isinstance(answer, RpcError):
            raise answer
        return answer

    def batch(self, calls: Sequence[Call], kind: type[T]) -> list[T | RpcError]:
        """Make many calls of one kind in one request; what fails of them is returned."""
        return [
            answer if isinstance(answer, RpcError) else FAULTS.decoded(answer, kind)
            for answer in self.batch_raw(calls)
        ]

    def batch_raw(self, calls: Sequence[Call]) -> list[msgspec.Raw | RpcError]:
        """Make a batch, and leave the answers undecoded."""
        if not calls:
            return []
        requests = [_Request(next(self._ids), each.method, each.arguments) for each in calls]
        alone = len(requests) == 1
        self._back_off.require_no_pause()
        reply = self._post(msgspec.json.encode(requests[0] if alone else requests))
        if reply.wait is not None:
            self._back_off.note_reply(reply)
        self._check(reply.status)
        answer = reply.body
        found = (
            [FAULTS.decoded(answer, _Answer)] if alone else FAULTS.decoded(answer, list[_Answer])
        )
        by_id = {each.id: each for each in found}
        if by_id.keys() != {each.id for each in requests}:
            raise FAULTS.not_understood()
        return [_result(by_id[each.id]) for each in requests]

    def _check(self, status: int) -> None:
        if status == _UNAUTHORIZED:
            raise ConfigurationError(self._login.refused)
        if status == _FORBIDDEN:
            raise ConfigurationError(
                "The node refuses the connection: allow this machine by its `rpcallowip` and the"
                " user by its `rpcwhitelist`, or correct `core_url` and `core_user`."
            )
        if status == _BUSY:
            raise ChainError("The Bitcoin Core node is busy with other requests; try again.")
        if status not in _TELLING:
            raise FAULTS.not_understood()

    def _post(self, body: bytes) -> Reply:
        basic = base64.b64encode(self._login.credentials()).decode()
        wanted = request(
            "POST",
            self._url,
            body=body,
            headers={
                "authorization": f"Basic {basic}",
                "content-type": "application/json",
                "user-agent": "dovetail",
            },
            connect=min(self._timeout, _CONNECT_SECONDS),
            timeout=self._timeout,
        )
        return fetch_bounded(self._carrier, wanted, FAULTS, seconds=self._timeout, most=MAX_ANSWER)


def checked_node_url(url: str) -> str:
    """Return the URL without a slash at its end. Raises `ConfigurationError`."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
        or not (url.isascii() and url.isprintable())
        or " " in url
    ):
        raise ConfigurationError(
            "`core_url` must be the node's address without a path, such as http://127.0.0.1:8332:"
            " correct it, and name the wallet by `core_wallet`."
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "`core_url` holds a login: take it out and set `core_user` and `core_password`."
        )
    return url.rstrip("/")


def _result(answer: _Answer) -> msgspec.Raw | RpcError:
    failure = answer.error
    if failure is None:
        return answer.result
    if failure.code == _WARMING_UP:
        raise ChainError("The Bitcoin Core node is still starting; try again in a minute.")
    if failure.code == _NO_SUCH_WALLET:
        raise ConfigurationError(
            "The node has not loaded the wallet that `core_wallet` names: correct the name, or load"
            " it with `bitcoin-cli loadwallet`."
        )
    return RpcError(failure.code, failure.message)
