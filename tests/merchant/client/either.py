"""Both clients behind one face, so that one suite asks each of them the same."""

import asyncio
from contextlib import aclosing
from typing import Any

from dovetail.merchant.client import AsyncShop, Shop
from dovetail.merchant.messages import Event, Invoice

QUICK = {"first_pause": 0.01, "longest_pause": 2.0}


class Either:
    """A client of the kind that the test is about."""

    def __init__(self, kind: str, url: str, key: str, **more: Any) -> None:
        self.shop = (Shop if kind == "sync" else AsyncShop)(url, key, **more)

    async def ask(self, name: str, *given: Any, **more: Any) -> Any:
        method = getattr(self.shop, name)
        if isinstance(self.shop, Shop):
            return await asyncio.to_thread(method, *given, **more)
        return await method(*given, **more)

    async def listed(self, name: str, *given: Any, **more: Any) -> list[Any]:
        found = getattr(self.shop, name)(*given, **more)
        if isinstance(self.shop, Shop):
            return await asyncio.to_thread(list, found)
        return [each async for each in found]

    async def events(self, invoice_id: Any, most: int, **more: Any) -> list[Event]:
        """The first events of a stream."""
        if isinstance(self.shop, Shop):
            shop = self.shop
            return await asyncio.to_thread(_first, shop.events(invoice_id, **more), most)
        found = []
        async with aclosing(self.shop.events(invoice_id, **more)) as events:
            async for each in events:
                found.append(each)
                if len(found) == most:
                    break
        return found

    async def wait(self, invoice_id: Any, *statuses: Any, seconds: float = 20) -> Invoice:
        if isinstance(self.shop, Shop):
            return await asyncio.to_thread(
                self.shop.wait_for, invoice_id, *statuses, timeout=seconds
            )
        return await self.shop.wait_for(invoice_id, *statuses, seconds=seconds)

    async def close(self) -> None:
        if isinstance(self.shop, Shop):
            self.shop.close()
        else:
            await self.shop.aclose()


def _first(events: Any, most: int) -> list[Event]:
    found = [next(events) for _ in range(most)]
    events.close()
    return found
