from tests.support.fixtures import alice, node, world

__all__ = ["alice", "node", "world"]
