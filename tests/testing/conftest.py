from tests.runtime.conftest import alice, bob, node, world

__all__ = ["alice", "bob", "node", "world"]
