"""Databases as each release left them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.eventlogs.logs import NAMES, entries

from dovetail.sessions import receiver, sender
from dovetail.sessions.ended import ending_of
from dovetail.sessions.outcomes import code_of
from dovetail.sessions.standing import encode_summary

SCHEMAS = Path(__file__).parent / "schemas"
RELEASED = {
    "0001": "a537202b55bf1d9338bb5a4539149d9367c3bff613d25338ec7a4136e54d6aba",
    "0002": "914540f56075f035c413a349d9dbab2b79469971f5d84057303d8cd9909a460d",
    "0003": "530a6abae94acdd833a0adfd67b09212c3021d4ab2798f0675cccdcc75a05cfc",
    "0004": "63b48c45a3bce9bca03dc9f8580dace02f58ccff3ce44eb027b6f8c433f8f98a",
    "0005": "0435dfca09dda4b00837e25ab1981e1370cff8f974defdccf465e1308eca56ea",
}
"""Each schema before the newest, as a dump with sessions in it, and its SHA-256."""


def old(path: Path, revision: str) -> None:
    """A database as the release with this schema left it, sessions included."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript((SCHEMAS / f"{revision}.sql").read_text())


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def fill(path: Path, revision: str) -> dict[int, str]:
    """Put each log of a release into a database of an older schema, as that release would have."""
    old(path, revision)
    names = dict(enumerate(NAMES, start=100))
    checksum = revision > "0001"
    with closing(sqlite3.connect(path)) as database, database:
        for number, name in names.items():
            role, lines = name.split("/")[0], entries(name)
            key = bytes([2]) + number.to_bytes(32, "big") if role == "sender" else None
            tags = [json.loads(line)["event"] for line in lines]
            columns = (
                "session_id, role, pj_uri, receiver_pubkey, address, created_at, expires_at,"
                " closed_at, last_tag, next_seq"
            )
            database.execute(
                f"INSERT INTO sessions ({columns}) VALUES (?, ?, ?, ?, ?, 1, 2, ?, ?, ?)",  # noqa: S608
                (
                    number,
                    role,
                    f"https://directory.example/{number}" if key else None,
                    key,
                    "bcrt1qs758ursh4q9z627kt3pp5yysm78ddny6txaqgw",
                    9 if state_of(name).closed else None,
                    tags[-1],
                    len(lines),
                ),
            )
            if revision > "0004":
                tell(database, number, state_of(name))
            for seq, (tag, line) in enumerate(zip(tags, lines, strict=True)):
                entry = (number, seq, tag, line, 1)
                marks = "?, ?, ?, ?, ?, NULL" if checksum else "?, ?, ?, ?, ?"
                database.execute(f"INSERT INTO session_events VALUES ({marks})", entry)  # noqa: S608
    return names


def tell(
    database: sqlite3.Connection,
    number: int,
    state: receiver.ReceiverSession | sender.SenderSession,
) -> None:
    """What a release that keeps how a session ended has in its row."""
    if isinstance(state, (receiver.Closed, sender.Closed)):
        ending = ending_of(state)
        database.execute(
            "UPDATE sessions SET outcome = ?, ending = ? WHERE session_id = ?",
            (code_of(state.outcome), encode_summary(ending), number),
        )


def state_of(name: str) -> receiver.ReceiverSession | sender.SenderSession:
    if name.startswith("sender/"):
        return sender.replay(map(sender.decode_event, entries(name)))
    return receiver.replay(map(receiver.decode_event, entries(name)))
