"""The signer as a server: a Unix socket for this machine's user, or TLS with certificates."""

import asyncio
import errno
import logging
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from dovetail.errors import ConfigurationError, ParseError
from dovetail.merchant.signer import messages
from dovetail.merchant.signer.framing import HEAD, framed, length_of
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.signer.service import SignerService

logger = logging.getLogger(__name__)

IDLE = 600.0
"""Seconds after which a silent connection is closed."""

PATIENCE = 10.0
"""Seconds in which a message that has begun must arrive."""

MOST_CONNECTIONS = 64


class SignerServer:
    """Answers one request after the other on each connection."""

    def __init__(self, service: SignerService) -> None:
        """Ask this service, in a thread."""
        self._service = service
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self, place: SignerPlace) -> AsyncGenerator[None]:
        """Listen in the block; raises `ConfigurationError` where that cannot be."""
        try:
            server = await self._listen(place)
        except OSError as error:
            raise ConfigurationError(
                f"The signer cannot listen at {place}: {error.strerror or 'it is in use'}. Choose"
                " another place, or stop what is there."
            ) from error
        try:
            yield
        finally:
            server.close()
            for task in tuple(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            if place.path is not None:
                place.path.unlink(missing_ok=True)

    async def _listen(self, place: SignerPlace) -> asyncio.Server:
        if place.path is None:
            tls = None if place.tls is None else place.tls.context(server=True)
            return await asyncio.start_server(self._serve, place.host, place.port, ssl=tls)
        await asyncio.to_thread(_make_room, place.path)
        mask = os.umask(0o177)  # the socket is for this user alone
        try:
            server = await asyncio.start_unix_server(self._serve, place.path)
        finally:
            os.umask(mask)
        if place.group is not None:
            try:
                _open_to(place.path, place.group)
            except BaseException:
                server.close()
                raise
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= MOST_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            while (message := await _read(reader)) is not None:
                writer.write(framed(messages.encode(await self._answer(message))))
                await writer.drain()
        except (ConnectionError, TimeoutError, ParseError, asyncio.IncompleteReadError) as error:
            logger.info("A connection to the signer ended: %s", type(error).__name__)
        except asyncio.CancelledError:
            pass  # the server stops
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, message: bytes) -> messages.Answer:
        try:
            request = messages.requests.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return messages.Refusal(why="The request is not one that this signer knows.")
        answer = await asyncio.to_thread(self._service.answer, request)
        kind = type(request).__name__.lower()
        if isinstance(answer, messages.Refusal):
            logger.warning("Refused to %s: %s", kind, answer.why)
        elif isinstance(answer, messages.Failure):
            logger.error("Failed to %s: %s", kind, answer.why)
        return answer


async def _read(reader: asyncio.StreamReader) -> bytes | None:
    """Return the next message; None at the end. Raises `ParseError` and `TimeoutError`."""
    try:
        async with asyncio.timeout(IDLE):
            head = await reader.readexactly(HEAD.size)
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise
    async with asyncio.timeout(PATIENCE):
        return await reader.readexactly(length_of(head))


def _make_room(path: Path) -> None:
    """Make the folder, and remove a socket that a crash has left.

    Raises `OSError`, also where another signer answers there: asyncio would take its place.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_socket():
        if _answers(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        path.unlink()


def _open_to(path: Path, group: str) -> None:
    """Let the users of a group ask; raises `ConfigurationError`."""
    try:
        shutil.chown(path, group=group)
        path.chmod(0o660)
    except (LookupError, OSError) as error:
        path.unlink(missing_ok=True)
        raise ConfigurationError(
            "The signer's socket cannot be opened to the group of `signer_group`: name a group of"
            " this system that the signer's user is in."
        ) from error


def _answers(path: Path) -> bool:
    import socket  # noqa: PLC0415 - only for this

    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
