from tests.support.fixtures import alice, bob, node, pair, world

__all__ = ["alice", "bob", "node", "pair", "world"]
