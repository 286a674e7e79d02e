"""The `[mailroom]` table of the configuration, its variables, and the options over both."""

from dataclasses import fields
from pathlib import Path

import pytest

from dovetail.cli import config
from dovetail.cli.mailroom_settings import KEYS, look_up
from dovetail.errors import ConfigurationError
from dovetail.mailroom import MailroomSettings

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "mailroom.md"

TABLE = """
lifetime = "2h"

[merchant]
ttl = 3

[mailroom]
ttl = "8d"
max_bytes = "20G"
max_new_mailboxes = 1000
max_forwards = 7
client_header = "x-real-ip"
proxies = ["10.0.0.0/8"]
tunnel_ports = [443, 8443]
v1 = true
"""


def found(folder: Path, text: str, given=None, **variables: str):
    path = folder / "some.toml"
    path.write_text(text)
    names = {f"DOVETAIL_MAILROOM_{name.upper()}": value for name, value in variables.items()}
    return look_up(config.read({"config": str(path)}, {}), given or {}, names)


def values(folder: Path, text: str, given=None, **variables: str):
    return {name: each.value for name, each in found(folder, text, given, **variables).items()}


def test_every_setting_is_a_key_of_the_table_and_a_variable():
    assert {each.name for each in fields(MailroomSettings)} <= KEYS.keys()
    assert {key.variable for key in KEYS.values()} >= {"DOVETAIL_MAILROOM_MAX_WAITS"}


def test_the_table_is_read(tmp_path):
    settings = MailroomSettings(tmp_path, **values(tmp_path, TABLE))
    assert (settings.ttl, settings.max_bytes) == (8 * 86_400, 20 << 30)
    assert (settings.max_new_mailboxes, settings.max_forwards, settings.v1) == (1000, 7, True)
    assert settings.max_waits == MailroomSettings(tmp_path).max_waits
    assert (settings.client_header, settings.proxies) == ("x-real-ip", ("10.0.0.0/8",))
    assert settings.tunnel_ports == (443, 8443)


def test_without_a_table_nothing_is_set(tmp_path):
    assert values(tmp_path, "") == {}


def test_the_command_line_wins_over_a_variable_and_that_over_the_file(tmp_path):
    text = "[mailroom]\nmax_waits = 1\nmax_writes = 1\nmax_forwards = 1\n"
    told = found(tmp_path, text, {"max_forwards": 3}, max_forwards="2", max_writes="2")
    assert {name: (each.value, each.origin) for name, each in told.items()} == {
        "max_waits": (1, "file"),
        "max_writes": (2, "variable"),
        "max_forwards": (3, "flag"),
    }


def test_a_variable_may_be_a_list_a_size_a_truth_or_a_place(tmp_path):
    assert values(
        tmp_path,
        "",
        proxies="10.0.0.0/8, ::1",
        tunnel_ports="443,8443",
        max_bytes="7G",
        v1="yes",
        listen="[::1]:80",
        ttl="9d",
    ) == {
        "proxies": ("10.0.0.0/8", "::1"),
        "tunnel_ports": (443, 8443),
        "max_bytes": 7 << 30,
        "v1": True,
        "listen": ("::1", 80),
        "ttl": 9 * 86_400,
    }


@pytest.mark.parametrize("name", KEYS)
def test_every_setting_is_in_the_operators_guide_or_its_table(name):
    reference = GUIDE.parents[1] / "reference" / "cli.md"
    assert f"| `{name}` | `{KEYS[name].variable}` |" in reference.read_text()


@pytest.mark.parametrize("name", [name for name in KEYS if name.startswith("max_")])
def test_every_limit_is_in_the_operators_guide(name):
    assert f"`{name}`" in GUIDE.read_text()


@pytest.mark.parametrize(
    ("text", "bytes_"), [("500M", 500 << 20), ("2 TiB", 2 << 40), ("7kb", 7168), ("9", 9)]
)
def test_a_size_has_a_unit(tmp_path, text, bytes_):
    assert values(tmp_path, "", max_bytes=text) == {"max_bytes": bytes_}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("mailroom = 3", r"some\.toml, line 1: `mailroom` must be a table, \[mailroom\]"),
        (
            "[mailroom]\nmax_bites = 3",
            r"line 2: the table \[mailroom\] has no key `max_bites`: did",
        ),
        ("[mailroom]\nqqqqqqqq = 3", "line 2: the table .* no key `qqqqqqqq`: remove it"),
        ("[mailroom]\n'q q' = 3", r"no key `\?`: remove it"),
        ("[mailroom]\nmax_bytes = 0", "number of bytes or a size such as 500M"),
        ("[mailroom]\nmax_bytes = true", "number of bytes or a size such as 500M"),
        (
            "max_waits = 3\n[mailroom]\n\nmax_waits = 1.5",
            r"some\.toml, line 4: `mailroom\.max_waits` must be a whole number from 1",
        ),
        ("mailroom.max_waits = 0", "line 1: `mailroom.max_waits` must be a whole number"),
        ("[mailroom]\nttl = 0", "`mailroom.ttl` must be a duration"),
        ("[mailroom]\nproxies = '10.0.0.1/8'", "`mailroom.proxies` must hold IP addresses"),
        ("[mailroom]\nproxies = 3", "`mailroom.proxies` must be a list"),
        ("[mailroom]\ntunnel_ports = [0]", "`mailroom.tunnel_ports` must be a whole number"),
        ("[mailroom]\nclient_header = ''", "`mailroom.client_header` must be text"),
        ("[mailroom]\nlisten = 'here'", "`mailroom.listen`: give a host and a port"),
        ("[mailroom]\nlocal = 3", "`mailroom.local` must be true or false"),
    ],
)
def test_a_wrong_setting_is_named_with_its_line(tmp_path, table, words):
    with pytest.raises(ConfigurationError, match=words):
        found(tmp_path, table)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_waits", "many", "^`DOVETAIL_MAILROOM_MAX_WAITS` must be a whole number"),
        ("max_waits", "0", "^`DOVETAIL_MAILROOM_MAX_WAITS` must be a whole number from 1"),
        ("v1", "perhaps", "^`DOVETAIL_MAILROOM_V1` must be true or false"),
        (
            "max_wait",
            "1",
            "`DOVETAIL_MAILROOM_MAX_WAIT` sets nothing: did you mean `DOVETAIL_MAILROOM_MAX_WAITS`",
        ),
        ("zzzzzzzzzzzz", "1", "`DOVETAIL_MAILROOM_ZZZZZZZZZZZZ` sets nothing: remove it"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path, name, value, words):
    with pytest.raises(ConfigurationError, match=words):
        found(tmp_path, "", **{name: value})


def test_a_mailroom_is_not_served_with_a_wrong_setting(cli, tmp_path):
    path = tmp_path / "some.toml"
    path.write_text("[mailroom]\nproxies = ['nowhere']\n")
    said = cli("mailroom", "serve", "--listen", "127.0.0.1:0", "--config", str(path))
    assert said.code == 2
    assert said.err.startswith(f"Error: {path}, line 2: `mailroom.proxies` must hold IP addresses")
    assert len(said.err.splitlines()) == 1


def test_a_mailroom_of_neither_role_is_not_served(cli):
    said = cli("mailroom", "serve", "--no-relay", "--no-directory")
    assert (said.code, "a directory, a relay or both" in said.err) == (2, True)
