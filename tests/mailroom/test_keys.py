import json
import stat
from pathlib import Path

import pytest

from dovetail.crypto.ohttp import KeyConfig
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.mailroom.keys import KeyRing


def open_ring(path: Path, now: float = 0.0) -> KeyRing:
    return KeyRing.open(path, honoured=100.0, now=now)


def served_id(ring: KeyRing) -> int:
    return KeyConfig.parse(ring.served).key_id


def test_the_first_start_makes_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = open_ring(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(ring.served) == 74
    assert list(ring.accepted) == [served_id(ring)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


def test_a_restart_serves_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    served = open_ring(path).served
    path.chmod(0o644)
    assert open_ring(path, 50.0).served == served
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_after_a_rotation_the_newest_is_served_and_the_older_honoured(tmp_path: Path) -> None:
    ring = open_ring(tmp_path / "keys.json")
    first = served_id(ring)
    ring.rotate(1000.0)
    second = served_id(ring)
    assert second == (first + 1) % 256
    assert set(ring.accepted) == {first, second}
    assert ring.age(1030.0) == 30.0
    ring.forget(1099.0)
    assert first in ring.accepted
    ring = open_ring(tmp_path / "keys.json", 1099.0)
    assert (served_id(ring), set(ring.accepted)) == (second, {first, second})
    ring.forget(1100.0)
    assert set(ring.accepted) == {second}
    assert len(json.loads((tmp_path / "keys.json").read_text())["keys"]) == 1


def test_no_id_is_used_again_while_its_key_is_honoured(tmp_path: Path) -> None:
    ring = open_ring(tmp_path / "keys.json")
    ids = {served_id(ring)}
    for _ in range(255):
        ring.rotate(1.0)
        ids.add(served_id(ring))
    assert ids == set(range(256)) == set(ring.accepted)
    served = ring.served
    with pytest.raises(ConfigurationError, match="key_lifetime"):
        ring.rotate(1.0)
    assert ring.served == served
    ring.rotate(101.0)
    assert ring.served != served


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "keys": []}',
        '{"format": 1, "keys": []}',
        '{"format": 1, "keys": [{"id": 1, "secret": "00", "since": 0}]}',
        '{"format": 1, "keys": [{"id": 999, "secret": "' + "11" * 32 + '", "since": 0}]}',
        '{"format": 1, "keys": ['
        + ",".join(['{"id": 1, "secret": "' + "11" * 32 + '", "since": 0}'] * 2)
        + "]}",
        '{"format": 1, "keys": [{"id": Infinity, "secret": "' + "11" * 32 + '", "since": 0}]}',
        '{"format": 1, "keys": [{"id": 1, "secret": "' + "11" * 32 + '", "since": NaN}]}',
        '{"format": 1, "keys": [{"id": 1, "secret": "'
        + "11" * 32
        + f'", "since": {"9" * 400}}}]}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="damaged") as caught:
        open_ring(path)
    assert path.read_text() == text
    assert caught.value.__cause__ is None
    assert "11" * 8 not in str(caught.value)


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        open_ring(tmp_path / "missing" / "keys.json")


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        open_ring(tmp_path)


def test_a_rotation_that_cannot_be_written_keeps_the_old_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    ring = open_ring(tmp_path / "keys.json")
    served = ring.served
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreUnavailable, match="No space"):
        ring.rotate(1000.0)
    assert ring.served == served
    assert len(ring.accepted) == 1
    assert not (tmp_path / "keys.new").exists()


def test_a_ring_shows_no_secret(tmp_path: Path) -> None:
    ring = open_ring(tmp_path / "keys.json")
    secret = json.loads((tmp_path / "keys.json").read_text())["keys"][0]["secret"]
    assert secret not in repr(ring) + repr(vars(ring))
