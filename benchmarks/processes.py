"""Processes that a measurement starts beside itself, each with its own core time."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from dovetail.mailroom import MailroomSettings
from dovetail.mailroom.server import serve


@contextmanager
def mailroom(
    folder: Path, room: int, *, directory: bool = True, relay: bool = False
) -> Iterator[str]:
    """A mailroom with the limits that an operator sets for a shop of this many polls."""
    settings = MailroomSettings(
        folder,
        directory=directory,
        relay=relay,
        local=True,
        max_connections=2 * room,
        max_connections_per_client=2 * room,
        max_waits=2 * room,  # one client has as many as are still free
        max_new_mailboxes=10 * room,
        max_new_mailboxes_per_client=10 * room,
        max_forwards=4 * room,  # half of them to one gateway
        max_forwards_per_client=4 * room,
        max_forwards_per_minute=1_000 * room,
    )
    with process(_serve, settings) as channel:
        yield channel.recv()


def _serve(settings: MailroomSettings, told: Connection) -> None:
    serve("127.0.0.1", 0, settings, ready=told.send)


@contextmanager
def process(work: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """A process that is told its arguments and a channel; ended with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.terminate()
        process.join(20)
