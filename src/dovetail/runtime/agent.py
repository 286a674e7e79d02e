"""The agent: every live session at once, each on its way to exactly one payment."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeAlias

from dovetail.bitcoin import FeeRate, OutPoint, Sats, UnixTime
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import ConfigurationError, UsageError
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.runtime import decisions, plain_payment, prepared_payment, sender_setup
from dovetail.runtime.coin_locks import hold_coins
from dovetail.runtime.decisions import Revocation
from dovetail.runtime.live_session import LiveReceiver, LiveSender, live_receiver, live_sender
from dovetail.runtime.live_sessions import AnyLive, LiveSessions
from dovetail.runtime.ohttp_keys import OhttpKeys
from dovetail.runtime.plain_payment import PlainPayment
from dovetail.runtime.policy import Policy
from dovetail.runtime.prepared_payment import PreparedPayment
from dovetail.runtime.receiver_setup import (
    Mailboxes,
    fresh_address,
    place_at,
    require_relayable,
    require_room,
)
from dovetail.runtime.relays import Relays
from dovetail.runtime.services import Services
from dovetail.runtime.transport import Transport, opened, way_of
from dovetail.sessions import receiver
from dovetail.sessions.standing import AnySession
from dovetail.stores.ports import Rows, SessionId, Store
from dovetail.stores.sql import SqliteStore
from dovetail.tor import SocksProxy
from dovetail.wallets.ports import Chain, Wallet

Verb: TypeAlias = Callable[[Services, SessionId], Awaitable[AnySession]]

DATABASE = "sessions.db"
KEY_CACHE = "ohttp-keys.json"
ONE_DAY = 86_400


def now() -> UnixTime:
    """The system's clock."""
    return UnixTime(int(time.time()))


def _make(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            "The data directory cannot be made: choose one that you may write to."
        ) from error


class Agent:
    """Takes sessions forward until they end.

    Make one of parts of your own and enter it, `async with Agent(…) as agent`; or have `open` make
    the usual parts. Entering tells the wallet which coins are held and goes on with every live
    session; on leaving, each stops where it is, with everything saved. Your parts stay open.
    """

    def __init__(  # noqa: PLR0913 - parts and settings, each by its name
        self,
        *,
        store: Store,
        wallet: Wallet,
        chain: Chain,
        transport: Transport,
        directory: str | Sequence[str] | None = None,
        relays: Sequence[str] = (),
        direct: bool = False,
        v1_only: bool = False,
        policy: Policy | None = None,
        resume: bool = True,
        clock: Callable[[], UnixTime] = now,
        key_cache: Path | None = None,
    ) -> None:
        """Nothing is asked or begun before the agent is entered, or a method is called.

        New receivers have their mailboxes at `directory`: at the first of several whose keys can be
        fetched through a relay of another operator. `direct` allows using no relay, so that the
        directory sees our IP address. BIP 78 needs neither, so `v1_only` allows naming none.
        `key_cache` is a file that keeps directories' OHTTP keys between two runs. With
        `resume=False` entering goes on with no session: see the method. `clock` tells the time in
        seconds since 1970.

        Raises `ConfigurationError` where there is no relay and `direct` does not allow that, and
        for a relay that is no URL.
        """
        routes = Relays(relays, clock=clock, direct=direct, required=not v1_only)
        self.services = Services(
            wallet=wallet,
            chain=chain,
            store=store,
            transport=transport,
            relays=routes,
            clock=clock,
            policy=policy or Policy(),
        )
        directories = (directory,) if isinstance(directory, str) else tuple(directory or ())
        keys = OhttpKeys(transport, routes, clock=clock, cache=key_cache)
        self._mailboxes = Mailboxes(directories, self.services, keys)
        self._resumes = resume
        self._sessions = LiveSessions(self.services)

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
        """Make the usual parts, an SQLite store in `data_dir` and HTTP, and enter an agent of them.

        Onion addresses are reached through `tor`. `rows` writes the application's own rows that go
        with an event, in the event's transaction (see `dovetail.stores.Rows`); while it raises,
        the session waits and tries again. The other arguments are those of `Agent`.

        On leaving, each session stops where it is, with everything saved; a `transport` of the
        caller's own stays open, and reaches onion addresses in its own way. Raises
        `StoreUnavailable` and `ConfigurationError`.
        """
        _make(data_dir)
        async with opened(transport, tor) as web:
            with SqliteStore.open(data_dir / DATABASE, rows=rows) as store:
                agent = cls(
                    store=store,
                    wallet=wallet,
                    chain=chain,
                    transport=web,
                    directory=directory,
                    relays=relays,
                    direct=direct,
                    v1_only=v1_only,
                    policy=policy,
                    resume=resume,
                    clock=clock,
                    key_cache=data_dir / KEY_CACHE,
                )
                async with agent:
                    yield agent

    async def __aenter__(self) -> Self:
        """Tell the wallet which coins are held, and go on with every live session."""
        await hold_coins(self.services)  # a crash may have come before the wallet was told
        try:
            if self._resumes:
                self.resume()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop every session where it is."""
        await self.stop()

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
        """Begin to receive; the session is saved before this returns its URI.

        `lifetime` is in seconds. The session has its mailbox on the directory, where `v1` accepts
        v1 senders too; or it is at `endpoint`, the URL at which a `dovetail.bip78` of
        this agent is reached, for v1 senders only. Raises `TransportError` when the directory's
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
            require_room(self.services, self._sessions.known)
            create = await self._mailboxes.open(v1=v1)
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
        return self._sessions.begin(live_receiver(log, self.services, state))

    async def prepare(
        self,
        uri: PayjoinUri,
        *,
        amount: Sats | None = None,
        fee_rate: FeeRate | None = None,
        coins: Collection[OutPoint] = (),
        again: bool = False,
    ) -> PreparedPayment:
        """Build and sign the fallback payment of `uri`, so that a person can review it.

        Nothing is sent or stored. Give `amount` only where the URI names none; `fee_rate` is
        estimated unless given. If `coins` are given, only they are spent: confirmed coins
        that no session holds. Raises `ConfigurationError` where no relay but the directory's
        own is set and going without is not allowed; `DuplicateSession` for a URI that was used
        before and, without `again`, for an address that a session pays or paid, by any URI;
        `UsageError`, `InsufficientFunds` and `ChainError`; for an onion address
        `ConfigurationError` without `tor`, and `TransportError` where Tor is not running.
        """
        endpoint, require_way = uri.endpoint, way_of(self.services.transport)
        if isinstance(endpoint, V1Endpoint):
            await require_way(endpoint.url)
        else:
            self.services.relays.choose(endpoint.directory)  # raises where nothing would hide us
            await require_way(endpoint.directory)
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

        Nothing is sent or stored until `start_plain`. `everything` pays all that can be spent, less
        the fee, where no amount is named. Raises as `prepare` does.
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

    async def start(self, payment: PreparedPayment) -> LiveSender:
        """Begin the session that pays; from here on the payment will be made once.

        Raises `DuplicateSession` for a URI that was used before and `CoinsTaken` when another
        session took a coin meanwhile: then prepare again.
        """
        log, state = await sender_setup.create(self.services, payment)
        return self._sessions.begin(live_sender(log, self.services, state))

    async def start_plain(self, payment: PlainPayment) -> LiveSender:
        """Begin an ordinary payment: it is made once, watched and broadcast again (M4).

        Raises as `start` does.
        """
        log, state = await sender_setup.create_plain(self.services, payment)
        return self._sessions.begin(live_sender(log, self.services, state))

    async def cancel(self, session_id: SessionId) -> AnySession:
        """Stop the payjoin, not the payment: where a fallback is held, it is still to be decided.

        A receiver whose address was paid by a plain payment is closed as paid instead, and one
        whose proposal is out looks for the payjoin first: the sender can still broadcast it.

        Like `fallback`, `release` and `revoke` it is durable when it returns, and works on each
        session of the store, under way here or not. All raise `SessionNotFound`, `ReplayError` for
        a log that cannot be read, and `UsageError`, with nothing changed, where the session's state
        does not allow it.
        """
        return await self._decide(decisions.cancel, session_id)

    async def fallback(
        self, session_id: SessionId, *, fee_rate: FeeRate | None = None
    ) -> AnySession:
        """Broadcast the fallback now, as the user decided; a second call changes nothing.

        Where a payjoin may be under way the two compete, and exactly one of them confirms (M4).
        With `fee_rate` a sender's fallback is made anew: the same payment from the same coins, out
        of the change, at this rate or one that replaces an unconfirmed spend (BIP 125). Raises
        `WalletError` where the network refuses and `ChainError` where it cannot be asked: either
        way the decision is saved, and the fallback broadcast once that is possible. Raises
        `InsufficientFunds` where the change is too small.
        """
        return await self._decide(partial(decisions.fallback, fee_rate=fee_rate), session_id)

    async def release(self, session_id: SessionId) -> AnySession:
        """Decline the fallback, and save that. Others can still broadcast what was sent to them.

        Where the chain shows that it was paid meanwhile, that is recorded instead. Raises
        `ChainError` where the chain cannot be asked.
        """
        return await self._decide(decisions.release, session_id)

    async def prepare_revocation(
        self, session_id: SessionId, *, fee_rate: FeeRate | None = None
    ) -> Revocation:
        """Build and sign a transaction that revokes, so that a person can review its cost.

        It spends a coin of a sender's released payment back to the wallet, or a receiver's coin
        that a sender was shown in a payjoin, so that the payjoin cannot be made. `fee_rate` is
        estimated unless given. Raises `UsageError` where nothing was released or shown, or it is
        spent already, `WalletError` and `ChainError`.
        """
        return await decisions.prepare_revocation(self.services, session_id, fee_rate=fee_rate)

    async def revoke(self, revocation: Revocation) -> None:
        """Broadcast a revocation of `prepare_revocation`: it competes until one of both confirms.

        Raises `WalletError` where the network refuses, and `ChainError` where it cannot be asked.
        """
        await decisions.revoke(self.services, revocation)
        self._sessions.nudge(revocation.session_id)

    def resume(self, session_ids: Collection[SessionId] | None = None) -> tuple[AnyLive, ...]:
        """Go on with these live sessions, or with all of them.

        A session that cannot be read stops no other: it is returned with its `trouble`.
        """
        return self._sessions.resume(session_ids)

    def follow(self, session_id: SessionId) -> AnyLive:
        """Go on with one session, or return it if it is under way; raises `SessionNotFound`."""
        return self._sessions.follow(session_id)

    def adopt(self, begun: Callable[[AnyLive], None]) -> None:
        """From now on go on with every open session, also of other processes.

        A new one is noticed within `log_interval`. `begun` is called with each, in the event loop.
        A session whose log cannot be read is reported once, and left as it is.
        """
        self._sessions.adopt(begun)

    @property
    def sessions(self) -> tuple[AnyLive, ...]:
        """The sessions under way in this agent; the closed ones are forgotten."""
        return tuple(session for session in self._sessions.known if not session.closed)

    async def stop(self) -> None:
        """Stop every session where it is; a write that has begun is finished."""
        await self._sessions.stop()
        await self.services.addresses.stop()

    async def _decide(self, verb: Verb, session_id: SessionId) -> AnySession:
        decided = await verb(self.services, session_id)
        self._sessions.nudge(session_id)
        return decided
