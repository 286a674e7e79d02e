"""The socket at which a running mailroom answers its operator: a line of JSON each way.

It is in the data folder, which only the mailroom's user can enter.
"""

import asyncio
import json
import logging
import os
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from dovetail.errors import ConfigurationError, DovetailError, StoreUnavailable

NAME = "control.sock"
PATIENCE = 10.0
"""Seconds for a question and its answer."""

_LONGEST_QUESTION = 4_096
_LONGEST_ANSWER = 1 << 20
_MOST_BYTES_OF_A_PATH = 100

Answers = Mapping[str, Callable[[], Awaitable[Mapping[str, Any]]]]
"""What may be asked, and who answers."""

_log = logging.getLogger(__name__)


@asynccontextmanager
async def answering(folder: Path, answers: Answers) -> AsyncGenerator[None]:
    """Answer in the block. A mailroom that cannot have its socket serves all the same."""
    if not hasattr(socket, "AF_UNIX"):
        yield
        return
    try:
        server = await _listen(folder, answers)
    except OSError as error:
        _log.warning(
            "The socket for the operator cannot be made: %s. All else is served.",
            error.strerror or "its socket cannot be made",
        )
        yield
        return
    try:
        yield
    finally:
        server.close()
        with suppress(OSError):
            (folder / NAME).unlink()


def ask(folder: Path, what: str) -> dict[str, Any] | None:
    """Ask the mailroom that runs in this folder; None if none runs.

    Raises `StoreUnavailable` for one that does not answer, and `ConfigurationError` with the words
    of one that refuses.
    """
    if not hasattr(socket, "AF_UNIX"):
        return None
    try:
        with _reachable(folder) as path, socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(PATIENCE)
            asking.connect(path)
            asking.sendall(f"{json.dumps({'ask': what})}\n".encode())
            answer = _read_line(asking)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as error:
        reason = error.strerror or "it took too long"
        raise StoreUnavailable(f"The mailroom does not answer at its socket: {reason}.") from error
    try:
        told = json.loads(answer)
    except ValueError as error:
        raise StoreUnavailable("The mailroom went away before it answered: try again.") from error
    if "error" in told:
        raise ConfigurationError(str(told["error"]))
    return cast("dict[str, Any]", told)


async def _listen(folder: Path, answers: Answers) -> asyncio.AbstractServer:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                question = await reader.readline()
            writer.write(f"{json.dumps(await _answer(question, answers))}\n".encode())
            await writer.drain()
        except (OSError, ValueError):  # too slow, too long, or gone
            pass
        finally:
            writer.close()

    with _reachable(folder) as path:
        await asyncio.to_thread(_make_room, Path(path))
        mask = os.umask(0o177)  # for this user alone
        try:
            return await asyncio.start_unix_server(serve, path, limit=_LONGEST_QUESTION)
        finally:
            os.umask(mask)


async def _answer(question: bytes, answers: Answers) -> Mapping[str, Any]:
    try:
        what = json.loads(question)["ask"]
        answer = answers[what]
    except (ValueError, TypeError, KeyError, RecursionError):
        return {"error": "This mailroom does not know the question: use its own version."}
    try:
        return await answer()
    except DovetailError as error:
        return {"error": str(error)}


def _read_line(asking: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST_ANSWER:
        data = asking.recv(65_536)
        if not data:
            break
        line += data
    return line


def _make_room(path: Path) -> None:
    """Remove a socket that a crash has left; raises `OSError` where a mailroom answers there."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(PATIENCE)
        try:
            asking.connect(str(path))
        except OSError:
            path.unlink()
        else:
            raise FileExistsError(0, "another mailroom answers in its data folder")


@contextmanager
def _reachable(folder: Path) -> Generator[str]:
    """Yield the socket's path, shortened where it is too long for the system."""
    path = str(folder / NAME)
    if len(os.fsencode(path)) <= _MOST_BYTES_OF_A_PATH:
        yield path
        return
    if sys.platform != "linux":
        raise OSError(0, "the path of the data folder is too long")
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{handle}/{NAME}"
    finally:
        os.close(handle)
