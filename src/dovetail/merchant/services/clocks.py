"""Whether clocks can be right, and a chain source is of the network that it should be."""

from collections.abc import Callable

from dovetail.bitcoin import Network, UnixTime
from dovetail.errors import ConfigurationError
from dovetail.merchant.data.database import Database
from dovetail.wallets.ports import TransactionChain

AHEAD = 2 * 3600
"""Seconds that a block's time may be ahead of the clocks of nodes."""

OLD = 6 * 3600
"""Seconds after which the newest block is too old: so long a pause comes once in ages."""

APART = 30
"""Seconds that the database server's clock may differ."""

GENESIS = {
    Network.MAINNET: 1_231_006_505,
    Network.TESTNET: 1_714_777_860,
    Network.SIGNET: 1_598_918_400,
    Network.REGTEST: 1_296_688_602,
}
"""The time of each network's first block, by which a chain source tells its network."""

_ADVICE = "set this machine's clock, such as by NTP"


def require_network(chain: TransactionChain, network: Network) -> None:
    """Raise `ConfigurationError` for a chain source of another network, `ChainError` for none."""
    told = chain.block_time(0)
    if told == GENESIS[network]:
        return
    names = {time: each.value for each, time in GENESIS.items()}
    names[GENESIS[Network.REGTEST]] = "regtest or the old testnet 3"
    raise ConfigurationError(
        f"The chain source of `chain` is on {names.get(told, 'another network')}, not on"
        f" {network}: give one of {network}."
    )


def require_chains_time(chain: TransactionChain, network: Network, now: UnixTime) -> int:
    """Return the best block's height; raises `ConfigurationError` for a clock that is wrong.

    Raises `ChainError` where the chain source is away. A regtest has a new block when somebody
    wants one.
    """
    height = chain.height()
    behind = chain.block_time(height) - now
    if behind > AHEAD:
        raise ConfigurationError(
            f"The clock here is {_span(behind)} behind the newest block: {_ADVICE}."
        )
    if -behind > OLD and network is not Network.REGTEST:
        raise ConfigurationError(
            f"The newest block is {_span(-behind)} old by the clock here: {_ADVICE}, or see whether"
            " the chain source of `chain` has stopped."
        )
    return height


def require_databases_time(database: Database, clock: Callable[[], UnixTime]) -> None:
    """Raise `ConfigurationError` where the database server has another time than this machine."""
    before = clock()
    told = database.time()
    apart = max(told - clock(), before - told)
    if apart > APART:
        raise ConfigurationError(
            f"The clocks of this machine and of the database server are {_span(apart)} apart:"
            " set both, such as by NTP."
        )


def _span(seconds: int) -> str:
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} seconds"
