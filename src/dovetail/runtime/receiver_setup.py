"""The setup of a new receiver: an address without a history, and an endpoint of its own."""

import logging
from collections.abc import Collection
from functools import partial
from typing import TypeAlias

from dovetail.bitcoin import Address
from dovetail.bitcoin.bech32 import encode_base32
from dovetail.crypto.entropy import system
from dovetail.errors import (
    ChainError,
    ConfigurationError,
    TransportError,
    UsageError,
    WalletError,
)
from dovetail.runtime.live_session import LiveReceiver, LiveSender
from dovetail.runtime.ohttp_keys import OhttpKeys
from dovetail.runtime.schedule import polls
from dovetail.runtime.services import Services
from dovetail.runtime.transport import most_at_once, too_few
from dovetail.runtime.v1_support import require_v1
from dovetail.sessions import receiver
from dovetail.sessions.transition import Transition

logger = logging.getLogger(__name__)

_ADDRESS_TRIES = 20
_TOKEN_BYTES = 10

Creation: TypeAlias = Transition[receiver.ReceiverEvent, receiver.Initialized]


class Mailboxes:
    """The directory for the mailboxes of new receivers: the first whose keys can be fetched."""

    def __init__(self, directories: tuple[str, ...], services: Services, keys: OhttpKeys) -> None:
        """Use these `directories`, whose keys `keys` fetches."""
        self._directories = directories
        self._services = services
        self._keys = keys

    async def open(self, *, v1: bool) -> partial[Creation]:
        """The function that creates a receiver there.

        Raises `UsageError` where there is no directory, and the error of the last one where all
        fail.
        """
        if not self._directories:
            raise UsageError("No directory is configured: set `directory` to receive payjoins.")
        *others, last = self._directories
        for directory in others:
            try:
                return await self._at(directory, v1=v1)
            except (TransportError, ConfigurationError) as error:
                logger.info("A directory is passed over: %s", type(error).__name__)
        return await self._at(last, v1=v1)

    async def _at(self, directory: str, *, v1: bool) -> partial[Creation]:
        services = self._services
        services.relays.choose(directory)  # raises where nothing would hide our address
        keys = await self._keys.of(directory)
        if v1:
            await require_v1(directory, services.transport, services.relays)
        return partial(receiver.create, directory=directory, ohttp_keys=keys, v1=v1)


def require_room(services: Services, sessions: Collection[LiveReceiver | LiveSender]) -> None:
    """Raise `ConfigurationError` where too few connections are left to wait for a sender.

    `sessions` are those that the agent knows of.
    """
    most, now = most_at_once(services.transport), services.clock()
    if most is None or len(sessions) < most:
        return
    if sum(session.running and polls(session.state, now) for session in sessions) >= most:
        raise ConfigurationError(too_few(most))


def place_at(endpoint: str) -> str:
    """The URL of one session at an endpoint; its last part cannot be guessed."""
    if "?" in endpoint or "#" in endpoint:
        raise UsageError("An endpoint's URL has no query and no fragment: leave them out.")
    return f"{endpoint.rstrip('/')}/{encode_base32(system(_TOKEN_BYTES))}"


def require_relayable(address: Address, amount: int | None) -> None:
    """Raise `UsageError` for an amount that nodes do not relay to the address: dust."""
    least = address.script_pubkey.dust_limit
    if amount is not None and amount < least:
        raise UsageError(
            f"Nodes relay no payment of less than {least:,} sats to this wallet's kind of address:"
            " ask for more."
        )


def fresh_address(services: Services) -> Address:
    """An address without a history, so that no old payment counts as the expected one."""
    wallet, chain = services.wallet, services.chain
    for _ in range(_ADDRESS_TRIES):
        address = wallet.new_address()
        try:
            paid = chain.payments_to(address.script_pubkey)
        except ChainError:
            return address  # only the wallet can tell
        if not paid:
            return address
    raise WalletError(
        "The wallet keeps giving addresses that were paid before: sync it and try again."
    )
