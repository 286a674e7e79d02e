"""Have an Electrum server's node test a transaction, where the server passes that on (1.7).

Version 1.7 of the protocol names scripts in another way than those before it, so that this has a
connection of its own: whatever else is asked is asked in the version that all servers speak.
"""

import msgspec

from dovetail.bitcoin import Network, Transaction
from dovetail.errors import ChainError
from dovetail.wallets.electrum.rpc import Denied, ElectrumRpc, UnspokenVersion
from dovetail.wallets.mempool_policy import verdict_of
from dovetail.wallets.ports import Accepted, Refused
from dovetail.wallets.server_url import ChainServer

_VERSION = "1.7"
_TEST = "blockchain.transaction.testmempoolaccept"


class _Verdict(msgspec.Struct, frozen=True):
    """What Bitcoin Core's `testmempoolaccept` says, as the protocol words it."""

    allowed: bool | None = None
    reason: str = ""


class NodesTest:
    """Asks one server for its node's verdicts; one that has none is asked once."""

    def __init__(self, server: ChainServer, network: Network, *, timeout: float) -> None:
        """`timeout` in seconds for one answer; nothing is connected to before it is asked."""
        self._rpc = ElectrumRpc(server, network, timeout=timeout, offers=(_VERSION,))
        self._is_offered = True

    def close(self) -> None:
        """Close its connection; a second call does nothing."""
        self._rpc.close()

    def verdict(self, transaction: Transaction) -> Accepted | Refused | None:
        """Whether the node would take it; None where it cannot be had, now or ever."""
        if not self._is_offered:
            return None
        raw = transaction.serialize().hex()
        try:
            verdicts = self._rpc.ask_leave(_TEST, [raw], kind=list[_Verdict])
        except UnspokenVersion:
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
