"""Our embedded regtest chain and a Bitcoin Core node as one network.

Both run the same consensus code. Blocks are mined by the embedded chain alone and handed to the
node; transactions go both ways. So wallets over our Esplora API and the node's pay each other.
"""

import threading
import time
from contextlib import suppress
from typing import Self

import httpx2 as httpx
from tests.live_core.bitcoind import NodeAccess, RpcFailed

_TICK = 0.02
_OK = 200


class Mirror:
    """Keeps both alike from a thread of its own, until it is closed."""

    def __init__(self, url: str, node: NodeAccess) -> None:
        """`url` is the embedded chain's."""
        self._esplora = httpx.Client(base_url=url, timeout=30)
        self._node = node
        self._ended = threading.Event()
        self._refused: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="mirror")
        self.failed: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._esplora.close()

    def settle(self) -> None:
        """Wait until both have the same tip and the same transactions waiting."""
        deadline = time.monotonic() + 60
        while not self._is_alike():
            if time.monotonic() > deadline:
                raise TimeoutError("The two chains do not get alike.") from self.failed
            time.sleep(_TICK)

    def step(self) -> None:
        """Hand over what one has and the other has not."""
        self._hand_over_blocks()
        waiting, known = self._waiting(), set(self._node.rpc("getrawmempool"))
        for txid in sorted(waiting - known - self._refused):
            raw = self._esplora.get(f"/tx/{txid}/hex")
            if raw.status_code == _OK:
                try:
                    self._node.rpc("sendrawtransaction", raw.text, 0)
                except RpcFailed:
                    self._refused.add(txid)  # such as one that it sees replaced
        for txid in sorted(known - waiting - self._refused):
            with suppress(RpcFailed):
                answer = self._esplora.post(
                    "/tx", content=self._node.rpc("getrawtransaction", txid)
                )
                if answer.status_code != _OK:
                    self._refused.add(txid)

    def _run(self) -> None:
        while not self._ended.wait(_TICK):
            try:
                self.step()
            except Exception as error:  # noqa: BLE001 - told by the test that waits for it
                self.failed = error

    def _hand_over_blocks(self) -> None:
        there = self._text("/blocks/tip/hash")
        if there == self._node.rpc("getbestblockhash"):
            return
        self._refused.clear()
        missing = []
        while there and not self._is_known(there):
            missing.append(there)
            header = bytes.fromhex(self._text(f"/block/{there}/header"))
            there = header[4:36][::-1].hex()
        for block in reversed(missing):
            self._node.rpc("submitblock", self._esplora.get(f"/block/{block}/raw").content.hex())

    def _is_known(self, block: str) -> bool:
        try:
            self._node.rpc("getblockheader", block)
        except RpcFailed:
            return False
        return True

    def _is_alike(self) -> bool:
        try:
            return self._compared()
        except (httpx.HTTPError, RpcFailed, FileNotFoundError) as error:
            self.failed = error  # one of them is only starting, or busy
            return False

    def _compared(self) -> bool:
        same_tip = self._text("/blocks/tip/hash") == self._node.rpc("getbestblockhash")
        both = self._waiting() ^ set(self._node.rpc("getrawmempool"))
        return same_tip and not both - self._refused

    def _waiting(self) -> set[str]:
        return set(self._esplora.get("/mempool/txids").json())

    def _text(self, path: str) -> str:
        answer = self._esplora.get(path)
        answer.raise_for_status()
        return answer.text
