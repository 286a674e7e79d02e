"""The networks that an operator blocks and unblocks."""

from pathlib import Path

import pytest

from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.mailroom import blocking


def test_a_network_comes_on_the_list_and_off_it(tmp_path: Path) -> None:
    file = tmp_path / "blocked"
    assert str(blocking.block(file, "192.0.2.0/24")) == "192.0.2.0/24"
    assert str(blocking.block(file, "::ffff:198.51.100.7")) == "198.51.100.7/32"
    assert str(blocking.block(file, "2001:db8::/56")) == "2001:db8::/56"
    assert file.read_text().splitlines()[1:] == [
        "192.0.2.0/24",
        "198.51.100.7/32",
        "2001:db8::/56",
    ]
    blocking.unblock(file, "198.51.100.7")
    assert [str(each) for each in blocking.blocked(file)] == ["192.0.2.0/24", "2001:db8::/56"]


def test_what_changes_nothing_is_an_error_that_says_why(tmp_path: Path) -> None:
    file = tmp_path / "blocked"
    blocking.block(file, "192.0.2.0/24")
    before = file.read_bytes()
    for change, text, words in (
        (blocking.block, "192.0.2.0/24", "192.0.2.0/24 is blocked already"),
        (blocking.block, "nowhere", "Give an IP address or a network"),
        (blocking.unblock, "192.0.2.7", "not blocked by name: 192.0.2.0/24 is, and holds it"),
        (blocking.unblock, "2001:db8::1", "not blocked by name: look at the list"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            change(file, text)
    assert file.read_bytes() == before


def test_a_list_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="list of blocked networks cannot be written"):
        blocking.block(tmp_path / "missing" / "blocked", "192.0.2.0/24")
