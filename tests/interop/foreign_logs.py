"""Records event logs of rust-payjoin, for the tests that take its sessions over.

`python -m tests.interop.foreign_logs FOLDER` makes payments between two rust-payjoins, on a chain
and a mailroom of their own, and writes what each has in its log. The sessions expire in 2033.
"""

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tests.interop import programs
from tests.interop.rust_peer import KINDS, P2WPKH, TheirReceiver, TheirSender
from tests.interop.rust_program import rust_peer

from dovetail.bitcoin import Sats, Script, Transaction, TxOut
from dovetail.mailroom import MailroomServer, MailroomSettings
from dovetail.regtest import RegtestServer

if TYPE_CHECKING:
    from tests.interop.environment import Stage

EXPIRES_AT = 2_000_000_000
Play = Callable[[TheirSender, TheirReceiver, str], Awaitable[object]]


class Ground:
    """As much of a stage as two parties need that broadcast nothing."""

    def __init__(self, regtest: RegtestServer) -> None:
        self._node = regtest.node

    def fund(self, outputs: list[tuple[Script, int]]) -> Transaction:
        return self._node.fund_many([TxOut(Sats(value), script) for script, value in outputs])

    def accepts(self, _: Transaction) -> bool:
        """Every Original can be broadcast."""
        return True


async def _offered(sender: TheirSender, receiver: TheirReceiver, uri: str, **facts: Any) -> None:
    await sender.prepare(uri)
    await sender.post()
    await receiver.fetch()
    await receiver.check(**facts)


async def payjoin(sender: TheirSender, receiver: TheirReceiver, uri: str) -> None:
    """Up to the proposal, in both logs."""
    await _offered(sender, receiver, uri)
    await receiver.propose()
    await sender.answer()


async def cancelled(sender: TheirSender, receiver: TheirReceiver, uri: str) -> None:
    """Both stop, the receiver with its proposal out."""
    await _offered(sender, receiver, uri)
    await receiver.propose()
    await sender.peer.order("cancel")
    await receiver.peer.order("cancel")


async def refused(sender: TheirSender, receiver: TheirReceiver, uri: str) -> None:
    """The receiver refuses the Original, and tells the sender."""
    await _offered(sender, receiver, uri, broadcastable=False)
    await receiver.peer.exchange("reply", "replied", relay=receiver.relay)
    await sender.answer()


async def version_one(sender: TheirSender, receiver: TheirReceiver, uri: str) -> None:
    """A v1 sender through the directory, which keeps no log of its own."""
    await sender.prepare(uri, version=1)
    posting = asyncio.create_task(sender.peer.exchange("post", "answered"))
    await receiver.fetch()
    await receiver.check()
    await receiver.propose()
    await posting


PLAYS: dict[str, tuple[str, Play]] = {
    **{f"payjoin-{kind.lower()}": (kind, payjoin) for kind in KINDS},
    "cancelled": (P2WPKH, cancelled),
    "refused": (P2WPKH, refused),
    "version-one": (P2WPKH, version_one),
}


async def record(name: str, program: programs.Program, regtest: RegtestServer, url: str) -> Any:
    kind, play = PLAYS[name]
    stage = cast("Stage", Ground(regtest))
    trust = ssl.create_default_context()
    async with (
        rust_peer(program, b"s" * 32, trust) as one,
        rust_peer(program, b"r" * 32, trust) as two,
    ):
        sender = TheirSender(stage, one, kind, url)
        receiver = TheirReceiver(stage, two, kind, url, directory=url)
        await sender.add_coins([1_000_000])
        await receiver.add_coins([200_000])
        uri = await receiver.ask(50_000, lifetime=EXPIRES_AT - int(time.time()))
        await play(sender, receiver, uri)
        logs = {"uri": uri, "receiver": (await two.order("log"))["events"]}
        if play is not version_one:
            logs["sender"] = (await one.order("log"))["events"]
        return logs


def main(folder: Path) -> None:
    program = programs.peer()
    if isinstance(program, programs.Missing):
        sys.exit(program.why)
    home = folder / "mailroom"
    settings = MailroomSettings(home, local=True, v1=True, wait=2)
    with RegtestServer() as regtest, MailroomServer(settings) as mailroom:
        for name in PLAYS:
            logs = asyncio.run(record(name, program, regtest, mailroom.url))
            (folder / f"{name}.json").write_text(json.dumps(logs) + "\n")
            print(name)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
