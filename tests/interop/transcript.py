"""A transcript: all that one of our sessions drew, asked and was told, in one JSON file.

`story` is what happened in order: each entry says what we did, what came back, and under `then`
the time after it. Time stands still between two entries, so that the same session can be lived
again to the second. What does not change in the meantime (coins, our scripts, the node's word on
a transaction) is kept beside it.
"""

import json
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from dovetail.crypto import Entropy, SeededEntropy, entropy

FOLDER = Path(__file__).parent / "transcripts"
Entry = dict[str, Any]


@dataclass
class Transcript:
    """Everything in it is text or a number; byte strings are in hex, messages in base64."""

    what: str
    role: str
    peer: str
    """The counterparty and its version."""
    mailroom: str
    """Whose directory and relay carried the messages; empty in v1 over HTTPS."""
    seed: str
    """Draws come from `SeededEntropy` of it: keys, padding, places of inputs and outputs."""
    directory: str | None
    relay: str | None
    began: int
    order: dict[str, Any]
    """What the user asked for: the URI to pay, or the terms to be paid on."""
    words: str
    """The wallet's BIP 39 words; its answers are written down too."""
    addresses: list[str] = field(default_factory=list)
    coins: str | None = None
    """A PSBT with our confirmed coins as its inputs."""
    owned: list[str] = field(default_factory=list)
    original: str | None = None
    accepted: dict[str, bool] = field(default_factory=dict)
    fee_rate: int | None = None
    story: list[Entry] = field(default_factory=list)
    asked: Entry | None = None
    """What a v1 sender posted to our endpoint, and our answer, which took all of the story."""
    events: list[str] = field(default_factory=list)
    """The log that came of it, entry by entry."""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text()))


_drawing: ContextVar[Entropy | None] = ContextVar("drawing", default=None)


class _Secrets:
    """Stands in for the system's source in `dovetail.crypto.entropy`."""

    @staticmethod
    def token_bytes(size: int) -> bytes:
        source = _drawing.get()
        return secrets.token_bytes(size) if source is None else source(size)


@contextmanager
def drawing_from(seed: bytes) -> Generator[None]:
    """What this task and those it starts draw comes from `seed`; others are not touched."""
    token = _drawing.set(SeededEntropy(seed))
    try:
        with patch.object(entropy, "secrets", _Secrets):
            yield
    finally:
        _drawing.reset(token)
