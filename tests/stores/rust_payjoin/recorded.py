"""Event logs that rust-payjoin wrote; `python -m tests.interop.foreign_logs` records them anew."""

import json
from pathlib import Path
from typing import Any

from dovetail.bitcoin import UnixTime

HERE = Path(__file__).parent / "logs"
PAYJOINS = ("p2wpkh", "p2tr", "p2sh-p2wpkh", "p2pkh")
NOW = UnixTime(1_999_000_000)


def recorded(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text())


def log_of(name: str, role: str, length: int | None = None) -> list[str]:
    """The first entries of a party's log, as they are stored there."""
    return [json.dumps(event) for event in recorded(name)[role][:length]]
