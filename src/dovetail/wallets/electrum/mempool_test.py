"""Let an Electrum server's node test a transaction (protocol version 1.7).

Version 1.7 identifies scripts in another way than earlier versions. So this uses its own
connection; all other requests use a version that all servers support.
"""

import msgspec

from dovetail.bitcoin import Network, Transaction
from dovetail.errors import ChainError
from dovetail.wallets.electrum.rpc import Denied, ElectrumRpc, UnsupportedProtocol
from dovetail.wallets.mempool_policy import verdict_of
from dovetail.wallets.ports import Accepted, Refused
from dovetail.wallets.server_url import ChainServer

_VERSION = "1.7"
_TEST = "blockchain.transaction.testmempoolaccept"


class _Verdict(msgspec.Struct, frozen=True):
    """The result of Bitcoin Core's `testmempoolaccept` in the protocol's format."""

    allowed: bool | None = None
    reason: str = ""


class MempoolTest:
    """Asks one server for its node's verdicts; a server that does not offer them is asked once."""

    def __init__(self, server: ChainServer, network: Network, *, timeout: float) -> None:
        """`timeout` is in seconds for one answer; it connects at the first request."""
        self._rpc = ElectrumRpc(server, network, timeout=timeout, offers=(_VERSION,))
        self._is_offered = True

    def close(self) -> None:
        """Close its connection; a second call does nothing."""
        self._rpc.close()

    def verdict(self, transaction: Transaction) -> Accepted | Refused | None:
        """Return whether the node would accept it, or None if the server does not say."""
        if not self._is_offered:
            return None
        raw = transaction.serialize().hex()
        try:
            verdicts = self._rpc.ask_optional(_TEST, [raw], kind=list[_Verdict])
        except UnsupportedProtocol:
            self._is_offered = False
            return None
        except ChainError:
            return None
        if isinstance(verdicts, Denied) or len(verdicts) != 1:
            return None
        [verdict] = verdicts
        if verdict.allowed is None:
            return None
        return verdict_of(verdict.reason, allowed=verdict.allowed)
