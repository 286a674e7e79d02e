from tests.support.fixtures import alice, bob, node, world  # noqa: F401 - the same people
