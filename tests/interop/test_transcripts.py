"""Every transcript, lived again: the same bytes leave, and the same log comes of it."""

import re
from pathlib import Path

import pytest
from tests.interop.replaying import relive
from tests.interop.scenes import SCENES
from tests.interop.transcript import FOLDER, Transcript

TRANSCRIPTS = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_our_side_does_byte_for_byte_what_it_did_with_rust_payjoin(
    path: Path, tmp_path: Path
) -> None:
    transcript = Transcript.read(path)
    lived = await relive(transcript, tmp_path / "sessions")
    assert list(map(timeless, lived)) == list(map(timeless, transcript.events))


def timeless(entry: str) -> str:
    """Without the time of a signature and the height of the chain, which are those of the day."""
    return re.sub(r',"(?:at|height)":\d+', "", entry)


def test_every_scene_has_its_transcript() -> None:
    assert {path.stem for path in TRANSCRIPTS} == {scene.name for scene in SCENES}


async def test_a_changed_byte_on_the_wire_is_noticed(tmp_path: Path) -> None:
    transcript = Transcript.read(FOLDER / "sender-payjoin.json")
    posts = [entry for entry in transcript.story if entry["did"] == "post"]
    posts[0]["body"] = posts[0]["body"][:-4] + "AAA="
    with pytest.raises(AssertionError, match="other bytes leave"):
        await relive(transcript, tmp_path / "sessions")


async def test_a_request_that_is_left_out_is_noticed(tmp_path: Path) -> None:
    transcript = Transcript.read(FOLDER / "sender-payjoin.json")
    transcript.story.append({"did": "post", "then": transcript.story[-1]["then"]})
    with pytest.raises(AssertionError):
        await relive(transcript, tmp_path / "sessions")
