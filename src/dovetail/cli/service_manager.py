"""Tells a service manager how a service stands, as systemd's `sd_notify` does."""

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


class Notifier:
    """Sends datagrams to the socket that `NOTIFY_SOCKET` names; without one it says nothing.

    See sd_notify(3). A name that begins with @ is an abstract one.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Read what the manager has set."""
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        micros = environment.get("WATCHDOG_USEC", "")
        meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.every = int(micros) / 2_000_000 if meant and micros.isdigit() and int(micros) else None
        """Seconds between signs of life: half of what the manager waits; None: it wants none."""

    def send(self, words: str) -> None:
        """Say it; a manager that does not listen is no reason to stop."""
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
            telling.setblocking(False)
            telling.sendto(words.encode(), self._address)

    async def stay_alive(self) -> None:
        """Give signs of life, as long as the event loop turns."""
        while self.every is not None:
            self.send(ALIVE)
            await asyncio.sleep(self.every)
