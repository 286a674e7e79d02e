"""Asks a running regtest server to mine or to pay, over plain HTTP."""

import http.client
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from dovetail.errors import ChainError, ConfigurationError, UsageError

_TIMEOUT_SECONDS = 60


class _Mined(msgspec.Struct):
    blocks: list[str]


class _Funded(msgspec.Struct):
    txid: str
    vout: int


class _Refusal(msgspec.Struct):
    error: str


_Answer = TypeVar("_Answer", _Mined, _Funded)


def remote_mine(url: str, blocks: int = 1, address: str | None = None) -> list[str]:
    """Mine blocks, paying `address` or else the miner; gives their hashes in hex.

    Raises ConfigurationError for another URL than `http://host:port`, ChainError when no
    regtest server answers there and UsageError with its reason when it refuses.
    """
    return _post(url, "mine", {"blocks": blocks, "address": address}, _Mined).blocks


def remote_fund(url: str, address: str, sats: int, confirmations: int = 1) -> str:
    """Pay an address from the miner's coins and confirm it; gives `txid:vout`.

    Raises the same as `remote_mine`.
    """
    body = {"address": address, "sats": sats, "confirmations": confirmations}
    funded = _post(url, "fund", body, _Funded)
    return f"{funded.txid}:{funded.vout}"


def _post(url: str, action: str, body: Mapping[str, object], answer_type: type[_Answer]) -> _Answer:
    connection, path = _connect(url)
    try:
        connection.request(
            "POST",
            f"{path}/regtest/{action}",
            msgspec.json.encode(body),
            {"Content-Type": "application/json"},
        )
        response = connection.getresponse()
        answer = response.read()
        if response.status == http.client.OK:
            return msgspec.json.decode(answer, type=answer_type)
        refusal = msgspec.json.decode(answer, type=_Refusal)
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        raise ChainError(
            "No regtest server answers there; start one or correct the URL."
        ) from error
    finally:
        connection.close()
    raise UsageError(refusal.error)


def _connect(url: str) -> tuple[http.client.HTTPConnection, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigurationError("The regtest server's URL must look like http://host:port.")
    connection = http.client.HTTPConnection(parts.hostname, port, timeout=_TIMEOUT_SECONDS)
    return connection, parts.path.rstrip("/")
