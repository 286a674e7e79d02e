"""`docs/reference/api.md`, from the signatures and docstrings of what is public."""

import enum
import inspect
from collections.abc import Iterator
from importlib import import_module
from types import UnionType
from typing import NewType, Union, get_args, get_origin

from dovetail.sessions.reasons import Reason
from tools.docs import api_source as source

PUBLIC: dict[str, str] = {
    "dovetail": "",
    "dovetail.bip78": "",
    "dovetail.wallets.bdk": "BdkWallet",
    "dovetail.wallets.esplora": "EsploraChain",
    "dovetail.wallets": "",
    "dovetail.stores.sql": "PostgresStore SqliteStore",
    "dovetail.stores": "",
    "dovetail.stores.rust_payjoin": "",
    "dovetail.sessions.receiver": "",
    "dovetail.sessions.sender": "",
    "dovetail.sessions.transition": "",
    "dovetail.sessions.persister": "",
    "dovetail.sessions.outcomes": "",
    "dovetail.sessions.reasons": "",
    "dovetail.sessions.status": "",
    "dovetail.protocol": (
        "Coin FeeContribution OhttpContext PayjoinUri Request SenderParams V1Endpoint V2Endpoint"
        " fee_contribution"
    ),
    "dovetail.bitcoin": "",
    "dovetail.crypto": "KeyConfig PublicKey SecretKey",
    "dovetail.errors": "",
    "dovetail.actions": "",
    "dovetail.explain": "",
    "dovetail.merchant.client": "",
    "dovetail.merchant.messages": "",
    "dovetail.tor": "SocksProxy",
    "dovetail.regtest": "RegtestNode RegtestServer",
    "dovetail.mailroom": "MailroomServer MailroomSettings",
    "dovetail.testing.store_contract": "",
    "dovetail.testing.watching_contract": "",
    "dovetail.testing.chain_contract": "",
    "dovetail.testing.wallet_contract": "",
    "dovetail.testing.clock": "",
    "dovetail.testing.memory_transport": "",
    "dovetail.testing.store_samples": "",
    "dovetail.testing.faults": "",
    "dovetail.testing.kill": "",
    "dovetail.testing.counting": "",
}
"""Each public module and the names that are; all that it exports where none are given.

A test holds them against `docs/reference/stability.md`.
"""

_STATES = ("dovetail.sessions.receiver", "dovetail.sessions.sender")
"""Where classes are states, which nobody makes but a transition and `replay`."""

_HEAD = """\
# The library

<!-- Written by `python -m tools.docs.reference`; edit the docstrings instead. -->

Names as they are imported. Which event leads from which state to which is in
[states and events](states.md); [what is stable](stability.md) says what to rely on.

"""


def page() -> str:
    """The whole page."""
    index = "\n".join(f"- [`{name}`](#{name.replace('.', '')})" for name in PUBLIC)
    return "\n".join([_HEAD + index + "\n", *map(_module, PUBLIC)])


def names_of(module: str) -> tuple[str, ...]:
    """The public names of a public module."""
    return tuple(PUBLIC[module].split()) or source.exported(import_module(module))


def _module(module: str) -> str:
    home = import_module(module)
    parts = (_entry(module, name, getattr(home, name)) for name in names_of(module))
    return f"## `{module}`\n\n" + "\n".join(parts)


def _entry(module: str, name: str, named: object) -> str:
    """A class with its methods, a function or a constant; of a union its parts."""
    value = get_origin(named) or named
    if value in (Union, UnionType):
        one_of = ", ".join(f"`{each.__name__}`" for each in get_args(named))
        return f"### `{name}`\n\nOne of {one_of}.\n"
    if not getattr(value, "__module__", "").startswith("dovetail") or isinstance(value, NewType):
        return f"### `{name}`\n\n{source.words_of_constant(module, name)}\n"
    made, members = source.signature(value), ""
    if inspect.isclass(value):
        state = module in _STATES
        made = "" if state else made
        members = "\n".join(_offered(value) if state else _members(value))
    parts = [f"### `{name}{made}`", " ".join(source.words(value)), members]
    return "\n\n".join(part for part in parts if part) + "\n"


def _members(kind: type[object]) -> Iterator[str]:
    if issubclass(kind, Reason):
        yield from (f"- `{each.value}`: {each.words} {each.advice}" for each in kind)
    elif issubclass(kind, enum.Enum):
        told = source.members_described(kind)
        yield from (
            f"- `{each.name}` (`{each.value}`)" + f": {told.get(each.name)}" * (each.name in told)
            for each in kind
        )
    else:
        yield from _described(kind)


def _described(kind: type[object]) -> Iterator[str]:
    """The fields that have words, for the signature shows all of them, and the methods."""
    for field, words in source.fields_described(kind).items():
        yield f"- `{field}`: {words}"
    yield from _methods(kind)


def _offered(kind: type[object]) -> Iterator[str]:
    """All fields with their types, as no signature shows them, and the methods."""
    told = source.fields_described(kind)
    for field, written in source.fields(kind).items():
        yield f"- `{written}`" + f": {told.get(field)}" * (field in told)
    yield from _methods(kind)


def _methods(kind: type[object]) -> Iterator[str]:
    for name, method in source.methods(kind):
        yield f"- `{name}{source.signature(method)}`: {' '.join(source.words(method))}"
