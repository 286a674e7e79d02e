"""From settings to a Bitcoin Core node: its address, its login, its wallet."""

from dovetail.bitcoin import Network
from dovetail.cli.config import Settings
from dovetail.errors import ConfigurationError
from dovetail.wallets.core.node import CoreNode
from dovetail.wallets.core.rpc import PORTS, CookieFile, Login, UserPassword, usual_cookie


def open_node(settings: Settings, network: Network) -> CoreNode:
    """The node with its wallet; it is not asked yet. Raises `ConfigurationError`."""
    if settings.core_wallet is None:
        raise ConfigurationError(
            "No wallet of the node is named: set `core_wallet` to one that it has loaded"
            " (`bitcoin-cli listwallets`)."
        )
    url = settings.core_url or f"http://127.0.0.1:{PORTS[network]}"
    login = _login(settings, network)
    return CoreNode(url, login, wallet=settings.core_wallet, network=network)


def _login(settings: Settings, network: Network) -> Login:
    user, password = settings.core_user, settings.core_password
    if user is None and password is None:
        return CookieFile(settings.core_cookie or usual_cookie(network))
    if settings.core_cookie is not None:
        raise ConfigurationError(
            "`core_cookie` and `core_user` with `core_password` are two ways to log in: set one."
        )
    if user is None or password is None:
        missing = "core_user" if user is None else "core_password"
        raise ConfigurationError(f"`{missing}` is not set: a login takes a user and a password.")
    return UserPassword(user, password)
