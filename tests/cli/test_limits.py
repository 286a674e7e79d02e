"""The `[mailroom]` table of the configuration."""

from pathlib import Path

import pytest

from dovetail.cli.config import load
from dovetail.cli.mailroom_limits import READERS, read
from dovetail.errors import ConfigurationError
from dovetail.mailroom import MailroomSettings

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "mailroom.md"


TABLE = """
[mailroom]
ttl = "8d"
max_bytes = "20G"
max_new_mailboxes = 1000
max_forwards = 7
client_header = "x-real-ip"
proxies = ["10.0.0.0/8"]
tunnel_ports = [443, 8443]
"""


def configured(folder: Path, text: str):
    path = folder / "some.toml"
    path.write_text(text)
    return load({"config": str(path)}, {})


def test_the_table_is_read(tmp_path):
    found = MailroomSettings(tmp_path, **read(configured(tmp_path, TABLE).mailroom))
    assert (found.ttl, found.max_bytes, found.max_new_mailboxes) == (8 * 86_400, 20 << 30, 1000)
    assert (found.max_forwards, found.max_waits) == (7, MailroomSettings(tmp_path).max_waits)
    assert (found.client_header, found.proxies) == ("x-real-ip", ("10.0.0.0/8",))
    assert found.tunnel_ports == (443, 8443)


def test_without_a_table_nothing_is_set(tmp_path):
    assert read(configured(tmp_path, "").mailroom) == {}


@pytest.mark.parametrize("name", READERS)
def test_every_limit_is_in_the_operators_guide(name):
    assert f"`{name}`" in GUIDE.read_text().replace("MailroomSettings.", "")


@pytest.mark.parametrize(
    ("text", "bytes_"), [("500M", 500 << 20), ("2 TiB", 2 << 40), ("7kb", 7168), ("9", 9)]
)
def test_a_size_has_a_unit(text, bytes_):
    assert read({"max_bytes": text}) == {"max_bytes": bytes_}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("mailroom = 3", r"`mailroom` must be a table, \[mailroom\]"),
        ("[mailroom]\nmax_bites = 3", "did you mean `max_bytes`"),
        ("[mailroom]\nqqqqqqqq = 3", "no key `qqqqqqqq`: remove it"),
        ("[mailroom]\nlocal = true", "`mailroom.local` is for the command line alone"),
        ("[mailroom]\nmax_bytes = 0", "number of bytes or a size such as 500M"),
        ("[mailroom]\nmax_bytes = true", "number of bytes or a size such as 500M"),
        ("[mailroom]\nmax_waits = 1.5", "`mailroom.max_waits` must be a whole number"),
        ("[mailroom]\nttl = 0", "`mailroom.ttl` must be a duration"),
        ("[mailroom]\nproxies = '10.0.0.1'", "`mailroom.proxies` must be a list"),
        ("[mailroom]\ntunnel_ports = [0]", "`mailroom.tunnel_ports` must be a whole number"),
        ("[mailroom]\nclient_header = ''", "`mailroom.client_header` must be text"),
    ],
)
def test_a_wrong_limit_is_named(tmp_path, table, words):
    with pytest.raises(ConfigurationError, match=words):
        read(configured(tmp_path, table).mailroom)


def test_a_mailroom_is_served_within_the_limits_of_the_configuration(cli, tmp_path):
    path = tmp_path / "some.toml"
    path.write_text("[mailroom]\nproxies = ['nowhere']\n")
    said = cli("mailroom", "serve", "--listen", "127.0.0.1:0", "--config", str(path))
    assert said.code == 2
    assert "`proxies` must hold IP addresses" in said.err
