"""What a new receiver is given: an address without a history, and a place of its own."""

from dovetail.bitcoin import Address
from dovetail.bitcoin.bech32 import encode_base32
from dovetail.crypto.entropy import system
from dovetail.errors import ChainError, UsageError, WalletError
from dovetail.runtime.services import Services

_ADDRESS_TRIES = 20
_TOKEN_BYTES = 10


def place_at(endpoint: str) -> str:
    """A URL of its own for one session at an endpoint; its last part cannot be guessed."""
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
    """An address without a history, lest an old payment pass for the one that is awaited."""
    wallet, chain = services.wallet, services.chain
    for _ in range(_ADDRESS_TRIES):
        address = wallet.new_address()
        try:
            paid = chain.payments_to(address.script_pubkey)
        except ChainError:
            return address  # the wallet's word has to do
        if not paid:
            return address
    raise WalletError(
        "The wallet keeps giving addresses that were paid before: sync it and try again."
    )
