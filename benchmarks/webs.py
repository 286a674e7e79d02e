"""Applications on loopback sockets: behind our HTTP protocol, or behind uvicorn's own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from dovetail.serving.connection_limits import ConnectionLimiter
from dovetail.serving.sockets import bind
from dovetail.serving.uvicorn_config import configuration, started


@contextmanager
def served(app: Any, *, door: bool) -> Iterator[tuple[str, int]]:
    """Serve in a thread for as long as the block runs; gives host and port."""
    keeper = ConnectionLimiter(limit=1_024, per_client=256, seconds=10)
    config = configuration(app, keeper, drain=2, ws="none")
    config.lifespan = "auto"
    if not door:
        config.http = "httptools"
    server = uvicorn.Server(config)
    listening = threading.Event()

    async def serve(listener: Any) -> None:
        serving = asyncio.create_task(server.serve([listener]))
        await started(server, serving)
        listening.set()
        await serving

    def work(listener: Any) -> None:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(serve(listener))

    with bind("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=work, args=(listener,), daemon=True)
        thread.start()
        listening.wait(10)
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(10)
