"""A wallet on a node whose payjoins pay cold scripts: keys that are not its own."""

from collections.abc import Collection

from tests.support.keys import Keys
from tests.support.wallet import NodeWallet

from dovetail.bitcoin import Script
from dovetail.regtest.node import RegtestNode


class ColdSettlingNodeWallet(NodeWallet):
    """A `SettlingWallet`; each address has one cold script, or none if it is told so."""

    def __init__(self, name: str, node: RegtestNode) -> None:
        super().__init__(name, node)
        self.cold = Keys(f"{name}, cold")
        self.settlements: dict[Script, Script] = {}
        self.has_no_cold_keys = False
        self.settles_to: Script | None = None
        self.also_owns: frozenset[Script] = frozenset()

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        return super().owned(scripts) | self.also_owns.intersection(scripts)

    def settlement_script(self, script: Script) -> Script | None:
        if self.has_no_cold_keys:
            return None
        following = self.settles_to or self.cold.script(len(self.settlements))
        return self.settlements.setdefault(script, following)
