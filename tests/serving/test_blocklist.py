"""Networks that are refused, and the files that name them."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovetail.errors import ConfigurationError
from dovetail.serving.blocklist import LONGEST_FILE, Blocklist, network_of


def listed(*networks: str) -> Blocklist:
    return Blocklist(map(network_of, networks))


@pytest.mark.parametrize(
    ("address", "blocked"),
    [
        ("192.0.2.1", True),
        ("192.0.2.255", True),
        ("192.0.3.0", False),
        ("198.51.100.7", True),
        ("198.51.100.8", False),
        ("2001:db8::1", True),
        ("[2001:db8:0:ff::1]", True),
        ("2001:db8:0:100::", False),
        ("::ffff:192.0.2.9", True),
        ("::ffff:192.0.3.9", False),
        ("2001:db8::1%eth0", True),
        ("no address", False),
        ("", False),
    ],
)
def test_an_address_is_found_in_its_network(address: str, *, blocked: bool) -> None:
    known = listed("192.0.2.0/24", "198.51.100.7", "2001:db8::/56")
    assert (address in known) is blocked


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_network_holds_its_addresses_and_no_others(address, length) -> None:
    bits = min(length, address.max_prefixlen)
    network = ip_network(f"{address}/{bits}", strict=False)
    known = Blocklist([network])
    mapped = getattr(address, "ipv4_mapped", None)
    assert (str(address) in known) is (mapped is None)
    if bits:
        outside = int(address) ^ 1 << (address.max_prefixlen - bits)
        assert str(type(address)(outside)) not in known


def test_nothing_is_in_an_empty_list() -> None:
    assert "192.0.2.1" not in Blocklist()
    assert not Blocklist()


def test_a_file_has_a_network_a_line_and_remarks(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("# a crawler\n192.0.2.0/24  # all of it\n\n  2001:db8::/56\n")
    other.write_text("::ffff:198.51.100.0/120\n192.0.2.0/24\n")
    known = Blocklist.read(one, other)
    assert [str(each) for each in known] == ["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/56"]
    assert len(known) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("192.0.2.0/24\nnowhere", "line 2: Give an IP address or a network"),
        ("192.0.2.1/24", "line 1: The network has an address inside of it: give its first"),
        ("1.2.3.4/33", "line 1: Give an IP address"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "blocked"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=words) as raised:
        Blocklist.read(file)
    assert str(raised.value).startswith(str(file))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "blocked"
    with pytest.raises(ConfigurationError, match=f"The blocklist {file} cannot be read"):
        Blocklist.read(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=f"The blocklist {file} cannot be read"):
        Blocklist.read(file)
    with file.open("wb") as opened:
        opened.truncate(LONGEST_FILE + 1)
    with pytest.raises(ConfigurationError, match="larger than 64 MiB"):
        Blocklist.read(file)
