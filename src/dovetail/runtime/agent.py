"""The agent: every live session at once, each on its way to exactly one payment."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeAlias, TypeVar, cast

from dovetail.bitcoin import FeeRate, OutPoint, Sats, UnixTime
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import ConfigurationError, TransportError, UsageError
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.runtime import plain_payment, prepared_payment
from dovetail.runtime.coin_locks import hold_coins
from dovetail.runtime.live_session import LiveReceiver, LiveSender, live_receiver, live_sender
from dovetail.runtime.log_watch import Lookout
from dovetail.runtime.ohttp_keys import OhttpKeys
from dovetail.runtime.plain_payment import PlainPayment
from dovetail.runtime.prepared_payment import Payment
from dovetail.runtime.receiver_setup import fresh_address, place_at, require_relayable
from dovetail.runtime.relays import Relays
from dovetail.runtime.schedule import polls
from dovetail.runtime.services import Policy, Services
from dovetail.runtime.transport import Transport, Way, any_way, opened, too_few
from dovetail.runtime.v1_support import require_v1
from dovetail.runtime.vanished_coins import known_at
from dovetail.sessions import receiver, sender
from dovetail.sessions.transition import Transition
from dovetail.stores.ports import Role, Rows, SessionId
from dovetail.stores.sql import SqlStore
from dovetail.tor import SocksProxy
from dovetail.wallets.ports import Chain, Wallet

AnyLive: TypeAlias = LiveReceiver | LiveSender
L = TypeVar("L", LiveReceiver, LiveSender)
logger = logging.getLogger(__name__)

DATABASE = "sessions.db"
KEY_CACHE = "ohttp-keys.json"
ONE_DAY = 86_400


def now() -> UnixTime:
    """The system's clock."""
    return UnixTime(int(time.time()))


Creation: TypeAlias = Transition[receiver.ReceiverEvent, receiver.Initialized]


def _make(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            "The data directory cannot be made: choose one that you may write to."
        ) from error


class Agent:
    """Takes sessions forward until they end. Make one with `open`, inside an event loop."""

    def __init__(
        self,
        services: Services,
        *,
        directory: str | Sequence[str] | None,
        keys: OhttpKeys,
        way: Way = any_way,
        most: int | None = None,
    ) -> None:
        """`directory` is where new receivers have their mailboxes; of several, where keys are had.

        `way` is asked, before a payment to a URL is built, whether there is a way to it. At `most`
        so many sessions can wait at mailboxes at once.
        """
        self.services = services
        self._directories = (directory,) if isinstance(directory, str) else tuple(directory or ())
        self._keys = keys
        self._way = way
        self._most = most
        self._live: dict[SessionId, AnyLive] = {}
        self._looking: asyncio.Task[None] | None = None
        self._adopting: Callable[[AnyLive], None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(  # noqa: PLR0913 - settings, each by its name
        cls,
        data_dir: Path,
        *,
        wallet: Wallet,
        chain: Chain,
        directory: str | Sequence[str] | None = None,
        relays: Sequence[str] = (),
        direct: bool = False,
        tor: SocksProxy | None = None,
        v1_only: bool = False,
        policy: Policy | None = None,
        resume: bool = True,
        transport: Transport | None = None,
        clock: Callable[[], UnixTime] = now,
        rows: Rows | None = None,
    ) -> AsyncGenerator[Self]:
        """Open the store in `data_dir` and, unless told not to, go on with every live session.

        Onion addresses are reached through `tor`. BIP 78 needs neither directory nor relay, so
        `v1_only` allows to name none: a v2 session then waits for another run.

        `rows` writes the application's own rows that go with an event, in the event's transaction
        (see `dovetail.stores.ports.Rows`); while it raises, the session waits and tries again.

        New receivers have their mailboxes at `directory`: at the first of several whose keys can be
        had through a relay of another operator.

        On leaving, each session stops where it is, with everything saved; a `transport` of the
        caller's own stays open, and has its own way to onion addresses. Raises
        `StoreUnavailable` and `ConfigurationError`.
        """
        _make(data_dir)
        async with opened(transport, tor) as (web, way, most):
            routes = Relays(relays, clock=clock, direct=direct, required=not v1_only)
            with SqlStore.open(data_dir / DATABASE, rows=rows) as store:
                services = Services(
                    wallet=wallet,
                    chain=chain,
                    store=store,
                    transport=web,
                    relays=routes,
                    clock=clock,
                    policy=policy or Policy(),
                )
                keys = OhttpKeys(web, routes, clock=clock, cache=data_dir / KEY_CACHE)
                agent = cls(services, directory=directory, keys=keys, way=way, most=most)
                await hold_coins(services)  # a crash may have come before it was told
                try:
                    if resume:
                        agent.resume()
                    yield agent
                finally:
                    await agent.stop()

    async def receive(
        self,
        amount: Sats | int | None = None,
        *,
        label: str | None = None,
        message: str | None = None,
        lifetime: int = ONE_DAY,
        v1: bool = False,
        endpoint: str | None = None,
    ) -> LiveReceiver:
        """Begin to receive; the session's URI is durable before this returns it.

        `lifetime` is in seconds. The session has its mailbox on the directory, where `v1` makes
        v1 senders welcome too; or it is at `endpoint`, the URL at which a `dovetail.bip78` of
        this agent is reached, for v1 senders alone. Raises `TransportError` when the directory's
        keys cannot be fetched, `WalletError`, `InvalidUri` for an endpoint on plain http,
        `UsageError` for an amount of 0, for one that nodes do not relay (dust) and without a
        directory or endpoint, and `ConfigurationError` where the directory takes no v1 senders or
        the system allows no further connection that could wait.
        """
        if amount is not None and amount < 1:
            raise UsageError("Nobody can pay 0 sats: ask for at least 1 sat.")
        if lifetime < 1:
            raise UsageError("A session lasts at least a second: choose a longer lifetime.")
        if endpoint is None:
            self._require_room()
            create = await self._at_directory(v1=v1)
        else:
            create = partial(receiver.create_v1, url=place_at(endpoint))
        address = await asyncio.to_thread(fresh_address, self.services)
        require_relayable(address, amount)
        created = create(
            address=address,
            expires_at=UnixTime(self.services.clock() + lifetime),
            amount=None if amount is None else Sats(amount),
            label=label,
            message=message,
            grace=self.services.policy.grace,
            depth=self.services.policy.depth,
        )
        log = self.services.store.new_receiver()
        state = await created.save_async(log)
        return self._begin(live_receiver(log, self.services, state))

    async def _at_directory(self, *, v1: bool) -> "partial[Creation]":
        if not self._directories:
            raise UsageError("No directory is configured: set `directory` to receive payjoins.")
        *others, last = self._directories
        for directory in others:
            try:
                return await self._mailbox_at(directory, v1=v1)
            except (TransportError, ConfigurationError) as error:
                logger.info("A directory is passed over: %s", type(error).__name__)
        return await self._mailbox_at(last, v1=v1)

    def _require_room(self) -> None:
        """Rather no invoice than one at which nobody waits; raises `ConfigurationError`."""
        if self._most is None or len(self._live) < self._most:
            return
        now = self.services.clock()
        if sum(polls(session.state, now) for session in self._running()) >= self._most:
            raise ConfigurationError(too_few(self._most))

    async def _mailbox_at(self, directory: str, *, v1: bool) -> "partial[Creation]":
        self.services.relays.choose(directory)  # raises where nothing would hide us
        keys = await self._keys.of(directory)
        if v1:
            await require_v1(directory, self.services.transport, self.services.relays)
        return partial(receiver.create, directory=directory, ohttp_keys=keys, v1=v1)

    async def prepare(
        self,
        uri: PayjoinUri,
        *,
        amount: Sats | None = None,
        fee_rate: FeeRate | None = None,
        coins: Collection[OutPoint] = (),
        again: bool = False,
    ) -> Payment:
        """Build and sign the fallback payment of `uri`, so that a person can look at it.

        Nothing leaves and nothing is stored. `amount` only where the URI names none, `fee_rate`
        is estimated unless given. Only `coins` are spent, where there are some: confirmed coins
        that no session holds. Raises `ConfigurationError` where no relay but the directory's
        own is set and going without is not allowed; `DuplicateSession` for a URI that was used
        before and, unless `again` says so, for an address that is paid or was, in whatever URI;
        `UsageError`, `InsufficientFunds` and `ChainError`; for an onion address
        `ConfigurationError` without `tor`, and `TransportError` where Tor is not running.
        """
        endpoint = uri.endpoint
        if isinstance(endpoint, V1Endpoint):
            await self._way(endpoint.url)
        else:
            self.services.relays.choose(endpoint.directory)  # raises where nothing would hide us
            await self._way(endpoint.directory)
        return await asyncio.to_thread(
            prepared_payment.prepare, self.services, uri, amount, fee_rate, coins=coins, again=again
        )

    async def prepare_plain(
        self,
        request: BitcoinUri,
        *,
        amount: Sats | None = None,
        fee_rate: FeeRate | None = None,
        coins: Collection[OutPoint] = (),
        everything: bool = False,
        again: bool = False,
    ) -> PlainPayment:
        """Build and sign an ordinary payment of an address, without a payjoin.

        Nothing leaves and nothing is stored until `start_plain`. `everything` pays all that can be
        spent, less the fee, where no amount is named. Raises as `prepare` does.
        """
        return await asyncio.to_thread(
            plain_payment.prepare,
            self.services,
            request,
            amount,
            fee_rate,
            coins=coins,
            everything=everything,
            again=again,
        )

    async def send(
        self,
        uri: PayjoinUri | str,
        *,
        amount: Sats | None = None,
        fee_rate: FeeRate | None = None,
        again: bool = False,
    ) -> LiveSender:
        """Begin to pay `uri`: as `prepare`, then `start`."""
        parsed = PayjoinUri.parse(uri) if isinstance(uri, str) else uri
        return await self.start(
            await self.prepare(parsed, amount=amount, fee_rate=fee_rate, again=again)
        )

    async def start(self, payment: Payment) -> LiveSender:
        """Begin the session that pays; from here on the payment will be made once.

        Raises `DuplicateSession` for a URI that was used before and `CoinsTaken` when another
        session took a coin meanwhile: then prepare again.
        """
        contested = payment.original.unsigned_transaction.contested()
        created = sender.create(
            uri=payment.uri,
            original=payment.original,
            params=payment.params,
            now=self.services.clock(),
            depth=self.services.policy.depth,
            again=payment.again,
            height=await known_at(self.services, contested),
        )
        log = self.services.store.new_sender(reserving=contested, alone=not payment.again)
        state = await created.save_async(log)
        return self._begin(live_sender(log, self.services, state))

    async def start_plain(self, payment: PlainPayment) -> LiveSender:
        """Begin an ordinary payment: it is made once, watched and broadcast again (M4).

        Raises as `start` does.
        """
        contested = payment.original.unsigned_transaction.contested()
        created = sender.create_plain(
            request=payment.request,
            original=payment.original,
            now=self.services.clock(),
            depth=self.services.policy.depth,
            height=await known_at(self.services, contested),
        )
        log = self.services.store.new_sender(reserving=contested, alone=not payment.again)
        state = await created.save_async(log)
        return self._begin(live_sender(log, self.services, state))

    def resume(self, session_ids: Collection[SessionId] | None = None) -> tuple[AnyLive, ...]:
        """Go on with these live sessions, or with all of them.

        One that cannot be read stops no other: it is there with its `trouble`.
        """
        rows = self.services.store.live()
        wanted = [row for row in rows if session_ids is None or row.session_id in session_ids]
        return tuple(self.follow(row.session_id) for row in wanted)

    def follow(self, session_id: SessionId) -> AnyLive:
        """Go on with one session, or return it if it is under way; raises `SessionNotFound`."""
        known = self._live.get(session_id)
        if known is not None and known.running:
            return known
        store = self.services.store
        if store.row(session_id).role is Role.RECEIVER:
            return self._begin(live_receiver(store.receiver(session_id), self.services))
        return self._begin(live_sender(store.sender(session_id), self.services))

    def adopt(self, begun: Callable[[AnyLive], None]) -> None:
        """From now on go on with every open session, whichever process begins or reopens it.

        A new one is noticed within `log_interval`. `begun` is told of each, in the event loop. One
        whose log cannot be read is told once, and left as it is.
        """
        self._adopting = begun
        self._adopt(self.services.store.heads())
        self._look_out()

    @property
    def sessions(self) -> tuple[AnyLive, ...]:
        """The sessions this agent takes forward; those it took to their end are forgotten."""
        return tuple(session for session in self._live.values() if not session.ended)

    async def stop(self) -> None:
        """Stop every session where it is; a write that has begun is finished."""
        looking, self._looking = self._looking, None
        self._adopting = None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        await asyncio.gather(*(session.stop() for session in self._live.values()))
        await self.services.addresses.stop()

    def _begin(self, session: L) -> L:
        known = self._live.get(session.session_id)
        if known is not None and known.running:
            return cast("L", known)  # the lookout was faster
        self._live[session.session_id] = session
        self._look_out()
        session.start(then=lambda: self._forget(session), nudged=True)
        return session

    def _look_out(self) -> None:
        if self._looking is None or self._looking.done():
            every = self.services.policy.log_interval
            store = self.services.store
            lookout = Lookout(store, self._running, every=every, opened=self._adopt)
            self._looking = asyncio.create_task(lookout.run(), name="lookout")

    def _adopt(self, opened: Iterable[SessionId]) -> None:
        if self._adopting is None:
            return
        for each in opened:
            # Its end may have come, and been forgotten, since the look.
            if each not in self._live and self.services.store.row(each).closed_at is None:
                self._adopting(self.follow(each))

    def _running(self) -> tuple[AnyLive, ...]:
        return tuple(session for session in self._live.values() if session.running)

    def _forget(self, session: AnyLive) -> None:
        """Memory follows live sessions, never history; one that cannot be read stays in sight."""
        if isinstance(session.state, receiver.Closed | sender.Closed):
            self._live.pop(session.session_id, None)
