"""Sync a BDK wallet with an Esplora or Electrum server."""

import os
import socket
import threading
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from bdkpython import (
    BlockHash,
    ElectrumClient,
    EsploraClient,
    FullScanRequest,
    SyncRequest,
    Update,
)
from bdkpython import Wallet as BdkCore

from dovetail.bitcoin import Network
from dovetail.errors import ChainError
from dovetail.wallets.bdk.errors import SYNC_ERRORS
from dovetail.wallets.electrum.bridge import bridge
from dovetail.wallets.electrum.rpc import ElectrumRpc, other_network
from dovetail.wallets.esplora.http import FAULTS
from dovetail.wallets.server_url import ChainServer

_STOP_GAP = 30
_PARALLEL_REQUESTS = 4
_BATCH = 30
_TIMEOUT_SECONDS = 30
_LOOK_SECONDS = 5
# BDK sets no timeout on its HTTP client; the client reads one in seconds from this variable.
_TIMEOUT_VARIABLE = "MINREQ_TIMEOUT"


@dataclass(frozen=True, slots=True)
class Question:
    """A sync request: a scan of all possible addresses at first, later of known ones."""

    network: Network
    genesis: BlockHash
    scan: FullScanRequest | None
    sync: SyncRequest

    @classmethod
    def of(cls, core: BdkCore, network: Network) -> Self:
        """Return the request for a wallet's present state."""
        checkpoints = core.checkpoints()
        return cls(
            network,
            checkpoints[0].hash,
            core.start_full_scan().build() if len(checkpoints) == 1 else None,
            core.start_sync_with_revealed_spks().build(),
        )


def start_fetch(server: ChainServer, question: Question) -> Future[Update]:
    """Run `fetch_update` in a daemon thread."""
    future = Future[Update]()

    def fetch() -> None:
        try:
            future.set_result(fetch_update(server, question))
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            future.set_exception(error)

    threading.Thread(target=fetch, name="dovetail-sync", daemon=True).start()
    return future


def fetch_update(server: ChainServer, question: Question) -> Update:
    """Fetch the update. Raises `ChainError`, also when the server is on another network."""
    try:
        return (_from_electrum if server.is_electrum else _from_esplora)(server, question)
    except SYNC_ERRORS as error:
        _look_for_it(server)
        raise ChainError(
            "The chain server did not answer properly; try again later, or check `chain`."
        ) from error


def _look_for_it(server: ChainServer) -> None:
    """Raise `ChainError` with the reason for a failed connection, which BDK omits."""
    if server.is_electrum:
        return  # the bridge has reported it
    parts = urlsplit(server.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((server.host, port), _LOOK_SECONDS).close()
    except OSError as error:
        raise FAULTS.away(error) from error


def _from_esplora(server: ChainServer, question: Question) -> Update:
    os.environ.setdefault(_TIMEOUT_VARIABLE, str(_TIMEOUT_SECONDS))
    client = EsploraClient(server.url.rstrip("/"))
    if question.scan is None:
        return client.sync(question.sync, _PARALLEL_REQUESTS)
    _check_network(str(client.get_block_hash(0)), question)
    return client.full_scan(question.scan, _STOP_GAP, _PARALLEL_REQUESTS)


def _from_electrum(server: ChainServer, question: Question) -> Update:
    if question.scan is not None:
        with closing(ElectrumRpc(server, question.network, timeout=_TIMEOUT_SECONDS)) as rpc:
            _check_network(rpc.genesis(), question)
    with bridge(server, timeout=_TIMEOUT_SECONDS) as url:
        client = ElectrumClient(url, timeout=_TIMEOUT_SECONDS, retry=0)
        # The spent outputs of others give the fee of a transaction that is replaced.
        if question.scan is None:
            return client.sync(question.sync, _BATCH, fetch_prev_txouts=True)
        return client.full_scan(question.scan, _STOP_GAP, _BATCH, fetch_prev_txouts=True)


def _check_network(genesis: str, question: Question) -> None:
    if genesis != str(question.genesis):
        raise other_network(question.network)
