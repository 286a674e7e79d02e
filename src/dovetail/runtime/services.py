"""The services that a step uses."""

from collections.abc import Callable
from dataclasses import dataclass, field

from dovetail.bitcoin import UnixTime
from dovetail.runtime.address_watch import Addresses
from dovetail.runtime.async_ports import AsyncChain, AsyncStore, AsyncWallet
from dovetail.runtime.policy import Policy
from dovetail.runtime.relays import Relays
from dovetail.runtime.transport import Transport
from dovetail.stores.ports import Store
from dovetail.wallets.ports import Chain, Wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Wallet, chain, store, transport, relays, clock and policy, as the steps use them."""

    wallet: Wallet
    chain: Chain
    store: Store
    transport: Transport
    relays: Relays
    clock: Callable[[], UnixTime]
    policy: Policy = field(default_factory=Policy)
    async_wallet: AsyncWallet = field(init=False, repr=False, compare=False)
    async_chain: AsyncChain = field(init=False, repr=False, compare=False)
    async_store: AsyncStore = field(init=False, repr=False, compare=False)
    """The same three, each call in a thread, for callers that must not block the event loop."""
    addresses: Addresses = field(init=False, repr=False, compare=False)
    """The watch over addresses, for all sessions that share these services."""

    def __post_init__(self) -> None:
        """Make the asynchronous ports, and watch addresses on this chain."""
        chain = AsyncChain(self.chain)
        object.__setattr__(self, "async_wallet", AsyncWallet(self.wallet))
        object.__setattr__(self, "async_chain", chain)
        object.__setattr__(self, "async_store", AsyncStore(self.store))
        addresses = Addresses(chain, every=self.policy.watch_interval)
        object.__setattr__(self, "addresses", addresses)
