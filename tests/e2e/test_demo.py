"""The demo, as a newcomer runs it; and what it wrote, as somebody reads it who should not."""

import json
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions import receiver, sender
from dovetail.stores.ports import Role
from dovetail.stores.sql import SqliteStore

LAST_LINE = re.compile(
    r"payjoin [0-9a-f]{64} confirmed: inputs from both parties; ordinary payment not used"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "kept"
    command = [sys.executable, "-m", "dovetail.cli", "demo", "--keep", str(folder), "-vv"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert told.returncode == 0, told.stderr
    (folder / "told.txt").write_text(told.stdout)
    return folder


def written(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted([*folder.glob("*.log"), *folder.glob("*/stderr.log")]):
        yield str(path.relative_to(folder)), path.read_text()


def secrets(folder: Path) -> Iterator[tuple[str, str]]:
    """What must not be found: the wallets' words, and all that the two logs hold."""
    for name in ("sender", "receiver"):
        (wallet,) = (folder / name).rglob("wallet.json")
        for value in json.loads(wallet.read_text()).values():
            if isinstance(value, str) and len(value) > 20:
                yield f"{name}'s wallet", value
        (database,) = (folder / name).rglob("sessions.db")
        with SqliteStore.open(database) as store:
            for row in store.history():
                if row.role is Role.SENDER:
                    yield from sender_secrets(store.sender(row.session_id).load())
                else:
                    yield from receiver_secrets(store.receiver(row.session_id).load())


def sender_secrets(log: tuple[sender.SenderEvent, ...]) -> Iterator[tuple[str, str]]:
    for event in log:
        match event:
            case sender.events.Created():
                yield from uri_secrets(PayjoinUri.parse(event.uri))
                yield from encodings("the original", event.original)
                yield from encodings("the reply key", event.reply_key or b"")
            case sender.events.ReceivedProposal():
                yield from encodings("the proposal", event.proposal)
            case sender.events.SignedPayjoin():
                yield from encodings("the payjoin", event.transaction)
            case _:
                pass


def receiver_secrets(log: tuple[receiver.ReceiverEvent, ...]) -> Iterator[tuple[str, str]]:
    for event in log:
        match event:
            case receiver.events.Created(endpoint=receiver.events.Mailbox() as mailbox):
                yield from encodings("the receiver key", mailbox.secret_key)
            case receiver.events.RetrievedOriginalPayload() | receiver.events.FinalizedProposal():
                yield from encodings("a PSBT", event.psbt)
            case _:
                pass


def uri_secrets(uri: PayjoinUri) -> Iterator[tuple[str, str]]:
    yield "the URI", uri.serialize()
    yield "the address", str(uri.address)
    yield "the script", uri.address.script_pubkey.hex()
    fragment = uri.serialize().rpartition("%23")[2]
    for part in re.split(r"[-+]", fragment):
        if not part.startswith("EX1"):
            yield "the URI's keys", part


def encodings(name: str, secret: bytes) -> Iterator[tuple[str, str]]:
    if secret:
        yield name, secret.hex()
        yield name, b64encode(secret).decode().rstrip("=")[:40]


def test_its_last_line_is_the_payjoin(folder: Path) -> None:
    assert LAST_LINE.fullmatch((folder / "told.txt").read_text().splitlines()[-1])


def test_nothing_it_told_is_wider_than_a_terminal_but_the_last_line(folder: Path) -> None:
    lines = (folder / "told.txt").read_text().splitlines()
    assert max(map(len, lines[:-1])) <= 100


def test_every_process_logged_something(folder: Path) -> None:
    assert all(text for _, text in written(folder))
    assert len(list(written(folder))) == 4


def test_no_secret_psbt_address_or_uri_is_in_any_log(folder: Path) -> None:
    known = list(secrets(folder))
    assert len(known) > 15
    for path, text in written(folder):
        for name, secret in known:
            assert secret.lower() not in text.lower(), f"{name} stands in {path}"


def test_no_log_holds_anything_of_their_kind(folder: Path) -> None:
    kinds = re.compile(
        r"bcrt1[02-9ac-hj-np-z]{20}|bitcoin:|cHNidP|70736274ff|[tx]prv|(OH|RK)1[02-9AC-HJ-NP-Z]{20}",
        re.IGNORECASE,
    )
    for path, text in written(folder):
        assert not kinds.search(text), path
