"""Who calls: an API key, what it may do, and for which stores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from dovetail.merchant.api.bodies import require_body
from dovetail.merchant.api.door import too_many
from dovetail.merchant.api.limits import Buckets, Limits
from dovetail.merchant.api.parameters import require_query
from dovetail.merchant.api.problems import Kind, Refused, not_found
from dovetail.merchant.data import api_keys
from dovetail.merchant.data.database import Database
from dovetail.merchant.messages import Scope

AnyConnection: TypeAlias = ASGIConnection[Any, Any, Any, Any]

BEARER = "Bearer"


@dataclass(frozen=True, slots=True)
class Caller:
    """The key of a request."""

    id: UUID
    name: str
    scopes: frozenset[str]
    store_ids: frozenset[UUID] | None

    @property
    def who(self) -> str:
        """How the audit trail names it."""
        return f"key {self.id}"

    def require(self, scope: Scope) -> None:
        """Raise `Refused` unless the key may do this."""
        if scope.value not in self.scopes:
            raise Refused(
                Kind.FORBIDDEN, f"This key lacks the scope `{scope}`: use a key that has it."
            )

    def require_store(self, store_id: UUID) -> None:
        """Raise `Refused` for a store that the key does not see, as if it did not exist."""
        if self.store_ids is not None and store_id not in self.store_ids:
            raise not_found()


class Keys:
    """Finds the key of a request, and counts its requests."""

    def __init__(self, database: Database, limits: Limits, addresses: Buckets) -> None:
        """`addresses` counts the requests of each client's network: a wrong key costs more."""
        self._database = database
        self._limits = limits
        self._addresses = addresses
        self._rates = Buckets(limits.key)

    async def caller(self, connection: AnyConnection, scheme: str = BEARER) -> Caller:
        """The caller, whose key comes by this scheme of `Authorization`; raises `Refused`."""
        challenge = {"www-authenticate": f'{scheme} realm="dovetail"'}
        secret = secret_of(connection, scheme)
        if secret is None:
            raise Refused(
                Kind.UNAUTHORIZED,
                f"Send a key as `Authorization: {scheme} …`.",
                headers=challenge,
            )
        found = await self._database.aread(lambda c: api_keys.find(c, secret))
        if found is None:
            self.count_refusal(connection)
            raise Refused(
                Kind.UNAUTHORIZED,
                "This key is unknown or was revoked: make another one.",
                headers=challenge,
            )
        wait = self._rates.take(found.id)
        if wait:
            raise too_many(wait, "with this key")
        now = self._database.now()
        if api_keys.is_due(found, now):
            await self._database.awrite(lambda c: api_keys.touch(c, found.id, now))
        return Caller(found.id, found.name, frozenset(found.scopes), found.store_ids)

    def count_refusal(self, connection: AnyConnection) -> None:
        """Let a client pay for a secret that is wrong: guesses use up its requests."""
        client = connection.scope["state"].get("client")
        self._addresses.take(client, self._limits.refusal_cost)


def secret_of(connection: AnyConnection, scheme: str) -> str | None:
    """The secret that a request sends by this scheme; None for another scheme, or none."""
    given, _, secret = connection.headers.get("authorization", "").partition(" ")
    return secret.strip() if given.lower() == scheme.lower() and secret else None


@dataclass(frozen=True, slots=True)
class Scoped:
    """A guard that lets only keys with this scope, whole bodies and known queries through.

    It leaves the caller in the state. Nothing is told about the rest before the key is known.
    """

    scope: Scope

    async def __call__(self, connection: AnyConnection, handler: BaseRouteHandler) -> None:
        """Raise `Refused` for any other request."""
        keys: Keys = connection.app.state.access
        caller = await keys.caller(connection)
        state = connection.scope["state"]
        state["caller"] = caller
        caller.require(self.scope)
        require_query(handler, connection.scope["query_string"])
        require_body(handler, state["body"])


def scoped(scope: Scope) -> Scoped:
    """The guard of a route for which a key needs this scope."""
    return Scoped(scope)


def caller_of(scope: Mapping[str, Any]) -> Caller:
    """The caller that the guard has found."""
    found = scope["state"].get("caller")
    if not isinstance(found, Caller):
        raise Refused(Kind.UNAUTHORIZED)
    return found
