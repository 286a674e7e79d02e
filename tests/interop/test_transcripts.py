"""Every transcript, lived again: the same bytes leave, and the same log comes of it."""

from pathlib import Path

import pytest
from tests.interop.replaying import relive
from tests.interop.transcript import FOLDER, Transcript

TRANSCRIPTS = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_our_side_does_byte_for_byte_what_it_did_with_rust_payjoin(
    path: Path, tmp_path: Path
) -> None:
    transcript = Transcript.read(path)
    assert await relive(transcript, tmp_path / "sessions") == transcript.events


def test_both_roles_and_both_ways_to_end_are_there() -> None:
    kept = {path.stem for path in TRANSCRIPTS}
    assert {"sender-payjoin", "sender-refused", "receiver-payjoin", "receiver-refuses"} <= kept
