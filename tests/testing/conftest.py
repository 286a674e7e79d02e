from tests.support.fixtures import alice, bob, node, world

__all__ = ["alice", "bob", "node", "world"]
