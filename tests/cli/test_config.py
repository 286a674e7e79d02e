import re
from pathlib import Path

import pytest
from tests.cli.in_process import Cli

from dovetail.cli.config import KEYS, default_file, load
from dovetail.errors import ConfigurationError

EXAMPLES = {
    "data_dir": "/somewhere",
    "network": "signet",
    "wallet": "bdk",
    "chain": "ssl://chain.example:50002",
    "chain_certificate": "/somewhere/chain.pem",
    "chain_pace": "2m",
    "directory": "https://directory.example",
    "relays": "https://one.example, https://two.example/",
    "direct": "true",
    "tor": "socks5://127.0.0.1:9050",
    "fee_target": "2",
    "min_fee_rate": "1.5",
    "max_fee_rate": "80",
    "unconfirmed_inputs": "true",
    "relay_fee_rate": "0.2",
    "depth": "3",
    "grace": "30m",
    "lifetime": "2h",
    "at_expiry": "ask",
    "watch_interval": "1.5s",
    "passphrase_file": "/somewhere/passphrase",
    "passphrase_keyring": "true",
    "core_url": "http://127.0.0.1:18443",
    "core_wallet": "savings",
    "core_cookie": "/somewhere/.cookie",
    "core_user": "dovetail",
    "core_password": "very secret",
}
AS_TOML = """
data_dir = "/somewhere"
network = "signet"
wallet = "bdk"
chain = "ssl://chain.example:50002"
chain_certificate = "/somewhere/chain.pem"
chain_pace = 120
directory = "https://directory.example"
relays = ["https://one.example", "https://two.example/"]
direct = true
tor = "socks5://127.0.0.1"
fee_target = 2
min_fee_rate = 1.5
max_fee_rate = 80
unconfirmed_inputs = true
relay_fee_rate = 0.2
depth = 3
grace = "30m"
lifetime = 7200
at_expiry = "ask"
watch_interval = 1.5
passphrase_file = "/somewhere/passphrase"
passphrase_keyring = true
core_url = "http://127.0.0.1:18443"
core_wallet = "savings"
core_cookie = "/somewhere/.cookie"
core_user = "dovetail"
core_password = "very secret"
"""


def configured(folder: Path, text: str, **environment: str):
    path = folder / "some.toml"
    path.write_text(text)
    return load({"config": str(path)}, environment)


def test_without_anything_the_defaults_hold():
    settings = load({}, {})
    assert settings.network is None
    assert settings.chain is None
    assert settings.relays == ()
    assert not settings.direct
    assert settings.lifetime == 86_400
    assert settings.at_expiry == "broadcast"
    assert settings.data_dir.name == "dovetail"


def test_file_and_variables_say_the_same(tmp_path):
    variables = {f"DOVETAIL_{name.upper()}": value for name, value in EXAMPLES.items()}
    assert configured(tmp_path, AS_TOML) == load({}, variables)


def test_every_key_has_an_example_a_variable_and_a_meaning():
    assert [key.name for key in KEYS] == list(EXAMPLES)
    for key in KEYS:
        assert key.variable == f"DOVETAIL_{key.name.upper()}"
        assert key.words.endswith(".")


def test_a_flag_wins_over_a_variable_and_that_over_the_file(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text("depth = 1\nfee_target = 1\ngrace = 1\n")
    settings = load(
        {"config": str(path), "depth": "3"},
        {"DOVETAIL_DEPTH": "2", "DOVETAIL_FEE_TARGET": "2"},
    )
    assert (settings.depth, settings.fee_target, settings.grace) == (3, 2, 1)


def test_a_variable_names_the_file(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text("depth = 9")
    assert load({}, {"DOVETAIL_CONFIG": str(path)}).depth == 9


def test_the_usual_file_is_read_and_may_be_missing():
    assert load({}, {}).depth == 1
    default_file().parent.mkdir(parents=True)
    default_file().write_text("depth = 7")
    assert load({}, {}).depth == 7


def test_an_unknown_key_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(ConfigurationError, match="no key `realys`: did you mean `relays`"):
        configured(tmp_path, "realys = []")
    with pytest.raises(ConfigurationError, match="no key `esplora`: did you mean `chain`"):
        configured(tmp_path, 'esplora = "https://chain.example"')
    with pytest.raises(ConfigurationError, match="no key `zzz`: remove it"):
        configured(tmp_path, "zzz = 1")
    with pytest.raises(ConfigurationError, match=r"no key `\?`"):
        configured(tmp_path, '"a key with spaces" = 1')


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('network = "mainet"', "network"),
        ("data_dir = 5", "data_dir"),
        ('data_dir = ""', "data_dir"),
        ('data_dir = "~nobody-of-this-name/x"', "data_dir"),
        ('data_dir = "a\\u0000b"', "data_dir"),
        ('wallet = "electrum"', "wallet"),
        ('chain = "chain.example"', "chain"),
        ('chain = "https://[half"', "chain"),
        ('chain = "https://me:secret@chain.example"', "chain"),
        ('chain = "ssl://chain.example"', "chain"),
        ('chain = "tcp://chain.example:50001"', "chain"),
        ("chain_certificate = true", "chain_certificate"),
        ('directory = "ftp://directory.example"', "directory"),
        ("relays = 5", "relays"),
        ('relays = ["garbage"]', "relays"),
        ("direct = 1", "direct"),
        ('direct = "perhaps"', "direct"),
        ("fee_target = 0", "fee_target"),
        ("fee_target = true", "fee_target"),
        ('fee_target = "soon"', "fee_target"),
        ("min_fee_rate = -1", "min_fee_rate"),
        ("max_fee_rate = true", "max_fee_rate"),
        ('max_fee_rate = "1e9"', "max_fee_rate"),
        ('max_fee_rate = "1.²"', "max_fee_rate"),
        ('max_fee_rate = "1.000000000000000000001"', "max_fee_rate"),
        (f"max_fee_rate = 0x{'f' * 4000}", "max_fee_rate"),
        ("max_fee_rate = []", "max_fee_rate"),
        ("depth = 1.5", "depth"),
        ('grace = "a while"', "grace"),
        ("lifetime = 1", "lifetime"),
        ("lifetime = true", "lifetime"),
        ('at_expiry = "never"', "at_expiry"),
        ("watch_interval = 0", "watch_interval"),
        ("watch_interval = nan", "watch_interval"),
        (f"watch_interval = {'9' * 400}", "watch_interval"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_key(tmp_path, line, key):
    with pytest.raises(
        ConfigurationError, match=rf"^{re.escape(str(tmp_path))}/some.toml, line 1: `{key}` must be"
    ) as caught:
        configured(tmp_path, line)
    assert "secret" not in str(caught.value)


def test_a_wrong_variable_is_refused_by_its_own_name():
    with pytest.raises(ConfigurationError, match="`DOVETAIL_DEPTH` must be"):
        load({}, {"DOVETAIL_DEPTH": "deep"})


@pytest.mark.parametrize(
    "text", ["depth = ", "= 1", "[", "depth = 1\ndepth = 2", "depth = " + "9" * 5000]
)
def test_a_file_that_is_not_toml_is_one_sentence(tmp_path, text):
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        configured(tmp_path, text)


def test_what_is_wrong_in_the_file_is_told_with_its_line(tmp_path):
    path = tmp_path / "some.toml"
    for text, told in {
        "depth = 1\n\n# grace\n 'grace' = 'soon'\n": "line 4: `grace` must be",
        "depth = 1\nrealys = []\n": "line 2: the configuration has no key",
        "depth = 1\ngrace = \n": "line 2: the configuration file is not valid",
        "depth = 1\n[rooms]\n": "line 2: the configuration has no key",
        "depth = 1\nmailroom = 2\n": "line 2: `mailroom` must be a table",
    }.items():
        with pytest.raises(ConfigurationError, match=f"^{re.escape(str(path))}, {told}"):
            configured(tmp_path, text)
    with pytest.raises(ConfigurationError, match=f"^{re.escape(str(path))}: the configuration"):
        configured(tmp_path, '"re\\u0061lys" = []')


def test_a_wrong_limit_of_a_mailroom_is_told_with_the_file(cli: Cli, tmp_path):
    path = tmp_path / "some.toml"
    path.write_text("[mailroom]\nmax_bytes = 'much'\n")
    said = cli("mailroom", "serve", "--listen", "127.0.0.1:0", "--config", str(path))
    assert said.code == 2
    assert f"{path}, line 2: `mailroom.max_bytes` must be" in said.err


def test_a_file_that_is_not_text_is_one_sentence(tmp_path):
    path = tmp_path / "some.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load({"config": str(path)}, {})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load({"config": str(tmp_path)}, {})


@pytest.mark.parametrize("path", ["~nobody-of-this-name/some.toml", "a\0b"])
def test_a_path_that_cannot_be_is_one_sentence(path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load({"config": path}, {})


def test_a_missing_file_that_was_named_is_an_error(cli: Cli, tmp_path):
    said = cli("--config", str(tmp_path / "none.toml"), "history")
    assert said.code == 2
    assert said.err == (
        f"Error: The configuration file {tmp_path / 'none.toml'} is not there: check its path.\n"
    )


def test_flags_are_taken_before_and_after_the_command(cli: Cli, tmp_path):
    path = tmp_path / "some.toml"
    path.write_text("oops = 1")
    assert cli("--config", str(path), "history").code == 2
    assert cli("history", "--config", str(path)).code == 2
    assert cli("history").code == 0


@pytest.mark.parametrize("words", [("receive", "1000"), ("resume", "1"), ("wallet", "balance")])
def test_a_missing_wallet_is_named(cli: Cli, words):
    said = cli(*words)
    assert said.code == 2
    assert "There is no wallet on regtest yet" in said.err


def test_a_missing_network_is_named(cli: Cli):
    del cli.settings["network"]
    said = cli("history")
    assert said.code == 2
    assert "No `network` is set" in said.err
    said = cli("wallet", "new")
    assert said.code == 2
    assert "`network`" in said.err


def test_the_only_wallet_says_which_network_is_meant(cli: Cli):
    del cli.settings["network"]
    cli("wallet", "new", "--network", "signet")
    assert cli("wallet", "address").out.startswith("tb1")
    cli("wallet", "new", "--network", "regtest")
    said = cli("wallet", "address")
    assert said.code == 2
    assert "several networks" in said.err


@pytest.mark.parametrize(
    ("missing", "words"),
    [("chain", ("wallet", "balance")), ("directory", ("receive", "1")), ("relays", ("resume",))],
)
def test_each_missing_setting_is_named(cli: Cli, missing, words):
    cli.settings = {
        "network": "signet",
        "chain": "http://127.0.0.1:1",
        "directory": "http://127.0.0.1:1",
        "relays": "http://127.0.0.1:1",
    }
    assert cli("wallet", "new").code == 0
    (cli.folder / "signet" / "sessions.db").touch()
    del cli.settings[missing]
    said = cli(*words)
    assert said.code == 2
    assert f"`{missing}`" in said.err


def test_on_regtest_local_servers_are_meant(cli: Cli):
    cli.settings = {"network": "regtest"}
    assert cli("wallet", "new").code == 0
    said = cli("wallet", "balance")
    assert said.code == 1
    assert "chain" in said.err
    said = cli("receive", "1000")
    assert "No URI was made" in said.err


def test_the_nodes_wallet_without_a_name_can_be_named(tmp_path):
    assert configured(tmp_path, 'core_wallet = ""').core_wallet == ""
    assert load({}, {"DOVETAIL_CORE_WALLET": ""}).core_wallet == ""
    assert load({}, {}).core_wallet is None
    with pytest.raises(ConfigurationError, match=r"some.toml, line 1: `core_wallet` must be text"):
        configured(tmp_path, "core_wallet = 0")


def test_blanks_around_a_value_and_a_slash_at_its_end_mean_nothing(tmp_path):
    text = 'chain = " https://chain.example/api/ "\nwallet = " core "\ncore_url = " http://[::1]/ "'
    settings = configured(tmp_path, text, DOVETAIL_NETWORK=" signet\n", DOVETAIL_DIRECT=" yes ")
    assert settings.chain == "https://chain.example/api"
    assert settings.wallet == "core"
    assert settings.core_url == "http://[::1]"
    assert settings.network == "signet"
    assert settings.direct


def test_all_missing_settings_are_told_together(cli: Cli):
    cli.settings = {"network": "signet"}
    cli("wallet", "new")
    said = cli("receive", "1000")
    assert said.code == 2
    assert "Not set for signet: `chain` (" in said.err
    assert "`directory` (" in said.err
    assert "and `relays` (" in said.err
    assert f"Put settings in {default_file()}, which `dovetail config init` begins." in said.err
    cli.settings["direct"] = "true"
    cli.settings["chain"] = "http://127.0.0.1:1"
    cli("config", "init")
    said = cli("receive", "1000")
    assert "No directory is set" in said.err
    assert said.err.endswith(f"Put settings in {default_file()}.\n")
