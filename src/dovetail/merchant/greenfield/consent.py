"""What software asks for when it sends a person to `/api-keys/authorize`.

The parameters are those of the authorization of BTCPay Server's Greenfield API.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from dovetail.merchant.api.origins import safe_origin
from dovetail.merchant.api.parameters import pairs_of
from dovetail.merchant.api.problems import Kind, Refused, shown
from dovetail.merchant.greenfield.access import PERMISSIONS
from dovetail.merchant.messages import Scope

SCOPES: Mapping[str, Scope] = MappingProxyType({name: scope for scope, name in PERMISSIONS.items()})
"""The scope of each permission that this server has."""

NO_PERMISSION = (
    "The software asks for nothing that a key of this shop can do. Ask its makers what it needs."
)
NO_STORE = "The software asks for a store that this shop does not have. Connect it anew."
UNSAFE = (
    "The software wants the key sent to an address that is not safe. It must begin with https://,"
    " or be on this machine."
)

_MOST_NAME = 100
_MOST_REDIRECT = 2_000
_NAMELESS = "Shop software"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a person is asked to allow."""

    application: str
    """The name that the software gives itself; anybody can choose it."""
    scopes: tuple[Scope, ...]
    """What the key is to do, in the order in which it was asked for."""
    unknown: tuple[str, ...]
    """What else was asked for, and does not exist here."""
    store_ids: frozenset[UUID] | None
    """The only stores that are asked for; None: any."""
    one_store: bool
    """Whether the key is to be for one store; else all stores can be chosen."""
    strict: bool
    """Whether all of it is needed; else a person may leave some out."""
    redirect: str | None
    """Where the key is sent; None: the person takes it there."""
    origin: str | None
    """The origin of that address."""


def consent_of(query: bytes) -> Consent:
    """Return what a query asks for; raises `Refused`."""
    given: dict[str, list[str]] = {}
    for name, value in pairs_of(query):
        given.setdefault(name, []).append(value)
    redirect = given.get("redirect", [""])[-1] or None
    origin = safe_origin(redirect)
    if redirect is not None and (origin is None or len(redirect) > _MOST_REDIRECT):
        raise Refused(Kind.INVALID, UNSAFE)
    asked = [each.strip().partition(":") for each in given.get("permissions", [])]
    names = dict.fromkeys(name for name, _, _ in asked if name)
    scopes = tuple(SCOPES[name] for name in names if name in SCOPES)
    if not scopes:
        raise Refused(Kind.INVALID, NO_PERMISSION)
    return Consent(
        application=_name(given.get("applicationName", [""])[-1]),
        scopes=scopes,
        unknown=tuple(shown(name) for name in names if name not in SCOPES),
        store_ids=_stores([store for _, _, store in asked if store]),
        one_store=_is(given, "selectiveStores", usual=False),
        strict=_is(given, "strict", usual=True),
        redirect=redirect,
        origin=origin,
    )


def permissions_for(scopes: tuple[Scope, ...], store_id: UUID | None) -> tuple[str, ...]:
    """Return the permissions of a key with these scopes; None: for all stores."""
    end = "" if store_id is None else f":{store_id}"
    return tuple(f"{PERMISSIONS[scope]}{end}" for scope in scopes)


def _name(given: str) -> str:
    plain = "".join(each for each in given if each.isprintable()).strip()
    return plain[:_MOST_NAME] or _NAMELESS


def _stores(named: list[str]) -> frozenset[UUID] | None:
    try:
        return frozenset(map(UUID, named)) or None
    except ValueError:
        raise Refused(Kind.INVALID, NO_STORE) from None


def _is(given: dict[str, list[str]], name: str, *, usual: bool) -> bool:
    """Whether a parameter says yes, in capitals or not."""
    told = given.get(name, [""])[-1].lower()
    return told == "true" if told else usual
