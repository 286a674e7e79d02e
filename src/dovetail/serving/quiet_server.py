"""A uvicorn server that leaves the signals to its program."""

from collections.abc import Generator
from contextlib import contextmanager

import uvicorn


class QuietServer(uvicorn.Server):
    """A server that captures no signal."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield
