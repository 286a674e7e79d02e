"""What a running mailroom tells its operator, and does for them."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, cast

from dovetail.mailroom.app import Mailroom
from dovetail.mailroom.control import Answers
from dovetail.mailroom.gauges import PACKAGE, Gauges


def answers_of(
    mailroom: Mailroom,
    gauges: Gauges,
    url: str,
    *,
    reload: Callable[[], Awaitable[str]],
    read_blocklists: Callable[[], Awaitable[None]],
) -> Answers:
    """Return what may be asked of a mailroom that serves at `url`.

    `reload` reads all settings anew and returns what came of it; `read_blocklists` reads those.
    """
    begun = time.monotonic()

    async def status() -> Mapping[str, Any]:
        return {
            "status": mailroom.status(),
            "version": version(PACKAGE),
            "url": url,
            "running_seconds": int(time.monotonic() - begun),
            "numbers": _numbers(mailroom, gauges),
            "settings": {name: _plain(each) for name, each in asdict(mailroom.settings).items()},
        }

    async def read_anew() -> Mapping[str, Any]:
        return {"words": await reload()}

    async def blocklists() -> Mapping[str, Any]:
        await read_blocklists()
        return {}

    async def rotate() -> Mapping[str, Any]:
        return {"id": mailroom.rotate_keys()}

    return {
        "status": status,
        "reload": read_anew,
        "blocklists": blocklists,
        "rotate": rotate,
    }


def _numbers(mailroom: Mailroom, gauges: Gauges) -> dict[str, float]:
    counts = mailroom.counts
    now = {name: number() for name, (_, number) in gauges.items()}
    held = {name.replace(" ", "_"): number for name, number in counts.hidden.items()}
    refused = {f"refused_{name.replace(' ', '_')}": n for name, n in counts.refusals.items()}
    return now | held | refused | {"answers": sum(counts.requests.values())}


def _plain(value: Any) -> Any:
    """Return a setting as JSON has it."""
    if isinstance(value, tuple):
        return [_plain(each) for each in cast("tuple[object, ...]", value)]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
