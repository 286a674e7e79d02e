"""Recorded facts about a plugin: each call that it makes, and what it reads of the answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.merchant.greenfield.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call; `{store}`, `{invoice}` and `{webhook}` stand in its path for ids."""

    at: str
    """The file and the function that make it."""
    method: str = "GET"
    path: str
    body: Any = None
    reads: tuple[str, ...] = ()
    """What is read of the answer: names joined by dots, `*` for each entry of a list."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def answered(desk: Desk, call: Call, **ids: str) -> Any:
    """The answer to a call, which has all that the plugin reads."""
    path = call.path.format(store=desk.served.store_id, **ids)
    status, told = desk(call.method, path, call.body)
    assert status == 200, told
    for name in call.reads:
        found = list(_found(told, name.split(".")))
        assert found, name
        assert None not in found, name
    return told


def without_webhooks(desk: Desk) -> None:
    """Remove the webhooks of the store, in which other tests look too."""
    for each in desk("GET", f"{desk.store}/webhooks")[1]:
        desk("DELETE", f"{desk.store}/webhooks/{each['id']}")


def _found(told: Any, names: list[str]) -> Iterator[Any]:
    """Each value under these names; a name that is missing is an error."""
    if not names:
        yield told
        return
    first, *rest = names
    for each in told if first == "*" else [told[first]]:
        yield from _found(each, rest)
