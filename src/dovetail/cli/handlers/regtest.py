"""`dovetail regtest`: a chain of one's own, and what to ask of it."""

from dovetail.cli import json_keys
from dovetail.cli.config import LOCAL_CHAIN
from dovetail.cli.exits import Exit
from dovetail.cli.output import Screen
from dovetail.cli.paths import CHAIN, make_folder, server_folder, settings
from dovetail.errors import ConfigurationError
from dovetail.regtest import RegtestServer, remote_fund, remote_mine, serve
from dovetail.wallets.server_url import ChainServer


def run(
    place: tuple[str, int],
    folder: str | None,
    *,
    blocks: int,
    electrum: int | None,
    screen: Screen,
) -> int:
    """Run the chain until a signal comes."""
    home = server_folder(folder, "regtest", CHAIN)
    make_folder(home)
    host, port = place

    def ready(server: RegtestServer) -> None:
        screen.result(server.url)
        if server.electrum_url is not None:
            screen.result(server.electrum_url)
        screen.say("A regtest chain is running there. Ctrl-C stops it; it is kept.")

    serve(home, host=host, port=port, blocks=blocks, electrum=electrum, on_ready=ready)
    screen.say("The chain has stopped.")
    return Exit.DONE


def mine(blocks: int, address: str | None, screen: Screen) -> int:
    """Mine blocks on a running chain."""
    hashes = remote_mine(_url(), blocks, address)
    for each in hashes:
        screen.result(each)
    screen.emit(json_keys.REGTEST_MINE, {"blocks": hashes})
    return Exit.DONE


def fund(address: str, amount: int, confirmations: int, screen: Screen) -> int:
    """Have the miner of a running chain pay an address."""
    outpoint = remote_fund(_url(), address, amount, confirmations)
    screen.result(outpoint)
    screen.emit(json_keys.REGTEST_FUND, {"outpoint": outpoint})
    return Exit.DONE


def _url() -> str:
    url = settings().chain or LOCAL_CHAIN
    if ChainServer(url).is_electrum:
        raise ConfigurationError(
            "A regtest chain takes orders at its Esplora side: name its http:// URL with `--chain`."
        )
    return url
