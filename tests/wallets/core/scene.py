"""A Bitcoin Core node as it answers, of several versions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.wallets.scenes import COIN, FUNDING, HEIGHT, PAYMENT, Told, node_code
from tests.wallets.scripted_node import Refusal, node

from dovetail.testing.chain_contract import ALREADY, Stage
from dovetail.wallets.core.chain import CoreChain


@dataclass(frozen=True)
class Version:
    """What differs between versions of Bitcoin Core in what we ask (its release notes)."""

    number: int
    min_relay: float
    already: str


CORE_25 = Version(250_000, 0.00001, "Transaction already in block chain")
CORE_28 = Version(280_000, 0.00001, "Transaction outputs already in utxo set")
CORE_30 = Version(300_000, 0.000001, "Transaction outputs already in utxo set")


@dataclass
class CoreScene(Told):
    """A node of this version; its wallet has both transactions."""

    version: Version = CORE_30

    def __post_init__(self) -> None:
        self.node = node(
            getnetworkinfo={"version": self.version.number},
            getblockcount=self._unless_away(lambda: HEIGHT),
            gettxout=self._unless_away(self._coin),
            gettxspendingprevout=self._unless_away(self._spender),
            gettransaction=self._unless_away(self._transaction),
            getrawtransaction=self._unless_away(self._raw),
            getmempoolentry=self._unless_away(self._entry),
            getblockheader=self._unless_away(self._header),
            getblockchaininfo={"chain": "regtest", "initialblockdownload": False, "blocks": HEIGHT},
            getblockhash=self._unless_away(lambda height: f"{height:064x}"),
            getblock=self._unless_away(self._block),
            listsinceblock=self._unless_away(self._since),
            listreceivedbyaddress=self._unless_away(self._received),
            getaddressinfo={"ismine": True, "solvable": True},
            sendrawtransaction=self._unless_away(self._sent),
            testmempoolaccept=self._unless_away(lambda **_: [{"allowed": True}]),
            estimatesmartfee=self._unless_away(lambda **_: {"feerate": 0.00003}),
            getmempoolinfo={
                "mempoolminfee": self.version.min_relay,
                "minrelaytxfee": self.version.min_relay,
            },
        )
        self.chain = CoreChain(self.node)

    def _unless_away(self, usual: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **named: Refusal(-9, "not connected") if self.away else usual(**named)

    def _coin(self, txid: str, n: int, include_mempool: bool) -> Any:  # noqa: FBT001
        spent = include_mempool if self.stage is Stage.WAITING else True
        transaction, place = self.known().get(txid, (PAYMENT, 0))
        if txid not in self.known() or n >= len(transaction.outputs):
            return None
        if transaction is FUNDING and self.stage is not Stage.UNSENT and spent:
            return None
        if not place and not include_mempool:
            return None
        output = transaction.outputs[n]
        return {
            "bestblock": f"{HEIGHT:064x}",
            "confirmations": HEIGHT - place + 1 if place else 0,
            "value": int(output.value) / 100_000_000,
            "scriptPubKey": {"hex": output.script_pubkey.hex()},
        }

    def _spender(self, outputs: list[dict[str, Any]]) -> Any:
        waits = self.stage is Stage.WAITING
        return [
            {"spendingtxid": str(PAYMENT.txid)} if waits and each["txid"] == str(COIN.txid) else {}
            for each in outputs
        ]

    def _transaction(self, txid: str) -> Any:
        if txid not in self.known():
            return Refusal(-5, "Invalid or non-wallet transaction id")
        transaction, place = self.known()[txid]
        return {
            "hex": transaction.serialize().hex(),
            "confirmations": HEIGHT - place + 1 if place else 0,
        } | ({"blockhash": f"{place:064x}", "blockheight": place} if place else {})

    def _raw(self, txid: str) -> Any:
        if self.stage is Stage.WAITING and txid == str(PAYMENT.txid):
            return PAYMENT.serialize().hex()
        return Refusal(-5, "No such mempool transaction. Use -txindex")

    def _entry(self, txid: str) -> Any:
        waits = self.stage is Stage.WAITING and txid == str(PAYMENT.txid)
        return {} if waits else Refusal(-5, "Transaction not in mempool")

    def _header(self, blockhash: str) -> Any:
        height = int(blockhash, 16)
        return {
            "hash": blockhash,
            "height": height,
            "time": 1_700_000_000 + height,
            "confirmations": HEIGHT - height + 1,
            "previousblockhash": f"{height - 1:064x}",
        }

    def _block(self, blockhash: str, **_: Any) -> Any:
        previous = bytes.fromhex(self._header(blockhash)["previousblockhash"])
        return (bytes(4) + previous[::-1] + bytes(44)).hex()

    def _since(self, blockhash: str, **_: Any) -> Any:
        return {
            "transactions": [
                {"txid": txid, "confirmations": HEIGHT - place + 1, "blockhash": f"{place:064x}"}
                for txid, (_, place) in self.known().items()
                if place > int(blockhash, 16)
            ]
        }

    def _received(self, **_: Any) -> Any:
        return [{"txids": [str(PAYMENT.txid)]}] if self.stage is not Stage.UNSENT else []

    def _sent(self, **_: Any) -> Any:
        if self.words is None:
            return str(PAYMENT.txid)
        words = self.version.already if self.words in ALREADY[:2] else self.words
        return Refusal(node_code(words), words)
