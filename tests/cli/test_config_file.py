"""The configuration file is begun by a command, and what holds is shown."""

import re
import tomllib

from tests.cli.in_process import Cli
from tests.cli.test_config import configured

from dovetail.cli.config import KEYS, default_file, load, template


def test_a_node_needs_no_chain_server(cli: Cli):
    cli.settings = {"network": "signet", "wallet": "core"}
    said = cli("receive", "1000")
    assert "`chain`" not in said.err
    assert "`directory` (" in said.err


def test_the_file_is_begun_once_and_for_its_owner_alone(cli: Cli):
    said = cli("config", "path", "--json")
    assert said.json == {"path": str(default_file()), "exists": False}
    assert "`dovetail config init` begins it" in said.err
    said = cli("config", "init", "--network", "signet", "--relay", "https://relay.example")
    assert (said.code, said.out) == (0, f"{default_file()}\n")
    assert default_file().stat().st_mode & 0o777 == 0o600
    settings = load({}, {})
    assert (settings.network, settings.relays) == ("signet", ("https://relay.example",))
    assert settings == load({"network": "signet", "relays": "https://relay.example"}, {})
    said = cli("config", "init")
    assert said.code == 2
    assert "stays as it is" in said.err
    assert cli("config", "path", "--json").json["exists"]


def test_the_file_is_begun_where_it_is_named(cli: Cli, tmp_path):
    path = tmp_path / "new" / "some.toml"
    assert cli("--config", str(path), "config", "init").code == 0
    assert load({"config": str(path)}, {}) == load({}, {})


def test_what_is_wrong_is_not_written(cli: Cli):
    assert cli("config", "init", "--relay", "garbage").code == 2
    assert not default_file().exists()


def test_every_key_of_a_begun_file_can_be_woken(tmp_path):
    lines = template({"data_dir": tmp_path}).splitlines()
    text = "\n".join(re.sub(r"^#(\w+ = )", r"\1", line) for line in lines)
    assert tomllib.loads(text).keys() == {key.name for key in KEYS}
    assert configured(tmp_path, text).data_dir == tmp_path
    for key in KEYS:
        assert (key.example is None) == (key.default not in (None, ()))


def test_settings_are_shown_with_who_says_so(cli: Cli):
    default_file().parent.mkdir(parents=True)
    default_file().write_text('depth = 3\nrelays = ["https://a.example", "https://b.example"]\n')
    cli.settings["core_password"] = "very secret"
    cli.settings["direct"] = "true"
    said = cli("config", "show", "--network", "signet")
    rows = {line.split()[0]: line.split()[1:] for line in said.lines}
    assert rows["network"] == ["signet", "flag"]
    assert rows["chain"] == ["http://127.0.0.1:1", "variable"]
    assert rows["depth"] == ["3", "file"]
    assert rows["relays"] == ["https://a.example,", "https://b.example", "file"]
    assert rows["direct"] == ["true", "variable"]
    assert rows["lifetime"] == ["86400", "default"]
    assert rows["watch_interval"] == ["15", "default"]
    assert rows["tor"] == ["none", "default"]
    assert rows["core_password"] == ["(not", "shown)", "variable"]
    assert f"The file is {default_file()}." in said.err
    told = cli("config", "show", "--json")
    assert told.json["settings"]["depth"] == {"value": 3, "origin": "file"}
    assert told.json["settings"]["core_password"] == {"value": None, "origin": "variable"}
    assert told.json["settings"]["data_dir"]["value"] == str(cli.folder)
    assert "secret" not in said.out + told.out
    default_file().unlink()
    assert f"The file is {default_file()}, not there yet." in cli("config", "show").err
