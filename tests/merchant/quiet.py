"""A shop's parts around a real database, where nothing else answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dovetail.bitcoin import Network
from dovetail.merchant.data.database import Database
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.rates import PublicRates
from dovetail.runtime.agent import now
from dovetail.runtime.ohttp_keys import OhttpKeys
from dovetail.runtime.relays import Relays
from dovetail.runtime.transport import HttpTransport
from dovetail.wallets.esplora.chain import EsploraChain

NOBODY = "http://127.0.0.1:1"


@asynccontextmanager
async def quiet_parts(database: Database, **parts: Any) -> AsyncIterator[Parts]:
    """Parts whose chain, directory and relay are away, unless others are given."""
    transport, relays = HttpTransport(), Relays([NOBODY], clock=now)
    usual: dict[str, Any] = {
        "database": database,
        "chain": EsploraChain(NOBODY, Network.REGTEST),
        "signer": None,
        "transport": transport,
        "relays": relays,
        "directories": (NOBODY,),
        "keys": OhttpKeys(transport, relays, clock=now),
        "rates": PublicRates(transport, (), now),
        "clock": now,
    }
    try:
        yield Parts(**(usual | parts))
    finally:
        await transport.aclose()
        usual["chain"].close()
