from tests.runtime.conftest import alice, bob, node, world  # noqa: F401 - the same people
