"""A shop with a BIP 78 server, as a program: `python -m tests.flood.shop HOME PORT [--tls]`.

It holds one invoice. What a customer knows of it goes to a file in HOME.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from tests.bip78.shop import address_of, opened
from tests.flood.sending import FACTS
from tests.support.certificates import make_certificate
from tests.support.world import World

from dovetail.bip78 import load_tls
from dovetail.regtest.node import RegtestNode
from dovetail.serving.logs import STDERR, logging_to


async def serve(home: Path, port: int, *, tls: bool) -> None:
    made = make_certificate(home)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with RegtestNode(blocks=130) as node:
        world = World(node, home)
        world.fund(world.bob, 70_000, 80_000)
        context = load_tls(made.cert, made.key) if tls else None
        async with opened(world, tls=context, port=port) as shop:
            invoice = await shop.invoice()
            path = "/" + address_of(invoice).rpartition("/")[2]
            body = shop.original(invoice).to_base64()
            facts = json.dumps({"path": path, "body": body, "tls": tls})
            (home / "facts.new").write_text(facts)
            (home / "facts.new").rename(home / FACTS)
            await stop.wait()


if __name__ == "__main__":
    with logging_to(STDERR, "dovetail", "uvicorn.error"):
        asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), tls="--tls" in sys.argv))
