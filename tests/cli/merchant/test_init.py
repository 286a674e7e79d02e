"""`dovetail merchant init` sets a shop up whole, or leaves no configuration behind."""

import json
import stat
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from tests.cli.in_process import PASSPHRASE, Cli, Said, Terminal
from tests.cli.merchant.parts import signer
from tests.merchant.signer.deals import cold_descriptor

from dovetail.cli import json_keys
from dovetail.cli.first_run import writing
from dovetail.mailroom import MailroomServer
from dovetail.merchant.data import stores, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.services.users import Users
from dovetail.regtest import RegtestServer

PASSWORD = "correct horse battery"
DEAD = "http://127.0.0.1:1"


@dataclass
class Owner:
    """Somebody without a configuration, and a file of right answers."""

    cli: Cli
    config: Path
    answers: dict[str, Any]
    folder: Path

    @property
    def database(self) -> Path:
        return self.cli.folder / "regtest" / "merchant" / "shop.db"

    def file(self, **changes: Any) -> str:
        """Write the answers; None leaves one out."""
        told = {key: value for key, value in (self.answers | changes).items() if value is not None}
        path = self.folder / "answers.toml"
        path.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in told.items()))
        return str(path)

    def init(self, *words: str, password: str = PASSWORD, **changes: Any) -> Said:
        file = self.file(**changes)
        return self.cli("merchant", "init", "--from", file, *words, stdin=f"{password}\n")

    def typed(self, *lines: str, words: tuple[str, ...] = ()) -> Said:
        stdin = Terminal("".join(f"{line}\n" for line in lines))
        return self.cli("merchant", "init", "--no-passphrase", *words, stdin=stdin)

    def told(self) -> dict[str, Any]:
        return tomllib.loads(self.config.read_text())


@pytest.fixture
def owner(
    cli: Cli, chain: RegtestServer, mailroom: MailroomServer, tmp_path: Path
) -> Iterator[Owner]:
    config = tmp_path / "etc" / "config.toml"
    cli.settings = {"config": str(config)}
    answers = {
        "network": "regtest",
        "cold": cold_descriptor(),
        "chain": chain.url,
        "directory": mailroom.url,
        "relays": [mailroom.url],
        "name": "Ada's bakery",
        "user": "Ada",
    }
    with tempfile.TemporaryDirectory() as short:  # a socket's path must be
        cli.folder = Path(short) / "data"
        yield Owner(cli, config, answers, tmp_path)


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is typed at questions that show nothing."""
    left: list[str] = []
    monkeypatch.setattr(click.termui, "hidden_prompt_func", lambda _: left.pop(0))
    yield left
    assert left == []


def test_a_file_of_answers_sets_the_shop_up(owner: Owner) -> None:
    said = owner.init("--json")
    assert said.code == 0, said.err
    assert set(said.json) == set(json_keys.MERCHANT_INIT)
    cold = owner.answers["cold"]
    told = owner.told()
    assert told.pop("merchant") == {"cold": cold}
    assert told == {
        "network": "regtest",
        "chain": owner.answers["chain"],
        "directory": owner.answers["directory"],
        "relays": owner.answers["relays"],
    }
    assert stat.S_IMODE(owner.config.stat().st_mode) == 0o600
    with Database.open(owner.database) as database:
        (store,) = database.read(stores.all_stores)
        (wallet,) = database.read(wallets.all_wallets)
        assert Users(database).authenticate("Ada", PASSWORD) is not None
    assert (store.name, store.wallet_id, wallet.cold_descriptor) == (
        "Ada's bakery",
        wallet.id,
        cold,
    )
    assert PASSWORD not in said.err + said.out + owner.config.read_text()


def test_it_says_what_was_found_what_is_written_and_what_starts_it(owner: Owner) -> None:
    said = owner.init()
    assert said.out == f"{owner.config}\n"
    for words in (
        "cold: Its first address is bcrt1",
        "chain: It answers for regtest",
        "relays: It answers through the relay.",
        f"This will be written into {owner.config}:",
        f'    chain = "{owner.answers["chain"]}"',
        "    dovetail merchant signer\n    dovetail merchant serve\n",
        "`dovetail wallet words`",
        "The wallet has no passphrase",
    ):
        assert words in said.err


def test_every_key_of_the_shop_is_explained_in_a_new_file(owner: Owner) -> None:
    owner.init()
    text = owner.config.read_text()
    assert "#fee_target = 6" in text
    assert '#metrics = "127.0.0.1:9100"' in text
    assert "\n[merchant]\n" in text


def test_what_it_made_works(owner: Owner) -> None:
    owner.init()
    owner.cli.settings["config"] = str(owner.config)
    assert owner.cli("merchant", "deposit").out.startswith("bcrt1q")
    assert owner.cli("merchant", "user", "list").out == "Ada: owner\n"


def test_running_it_again_changes_nothing_and_goes_on(owner: Owner) -> None:
    first = owner.init("--json").json
    before = owner.config.read_bytes()
    again = owner.init("--json", password="another long password")
    assert again.code == 0
    assert again.json == first | {"new_wallet": False}
    assert "keeps the password" in again.err
    assert owner.config.read_bytes() == before
    with Database.open(owner.database) as database:
        assert Users(database).authenticate("Ada", PASSWORD) is not None


def test_every_wrong_answer_is_one_sentence_with_its_key(owner: Owner) -> None:
    said = owner.init(
        password="short",
        cold="xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7"
        "n7epu4trkrX7x7DogT5Uv6fcLW5",
        chain=DEAD,
        relays=[DEAD],
        name=None,
        user="two\nlines",
        colour="red",
    )
    assert said.code == 2
    assert not owner.config.exists()
    *sentences, last = said.err.splitlines()
    assert last.endswith("7 answers are wrong: correct them.")
    keys = ("colour", "cold", "chain", "relays", "name", "user", "password_file")
    for sentence, key in zip(sentences, keys, strict=True):
        assert f"`{key}`" in sentence, sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": "mainet"}, "`network` must be"),
        ({"cold": 5}, "`cold` must be text"),
        ({"cold": "nonsense"}, "`cold` is neither a public descriptor"),
        ({"directory": []}, "`directory` must be the URL"),
        ({"directory": "http://shop.example"}, "`directory` must be an https origin"),
        ({"relays": []}, "`relays`"),
        ({"name": "a\nb"}, "`name` must be one line"),
        ({"name": 5}, "`name` must be one line"),
        ({"public_url": 5}, "`public_url` must be text"),
        ({"public_url": "https://pay.example/shop"}, "without a path"),
        ({"password_file": "/nowhere/at/all"}, "`password_file`: "),
        ({"netwrk": "regtest"}, "no answer `netwrk`: did you mean `network`?"),
        ({"database": "mysql://x"}, "`database` must be a file's path"),
        ({"database": ""}, "`database` must be text"),
    ],
)
def test_a_wrong_answer_leaves_no_configuration(
    owner: Owner, changes: dict[str, Any], words: str
) -> None:
    said = owner.init(**changes)
    assert said.code == 2
    assert words in said.err.splitlines()[-1]
    assert not owner.config.exists()


def test_a_relay_of_the_directorys_operator_is_refused(owner: Owner) -> None:
    said = owner.init(directory="https://pay.example.com", relays=["https://relay.example.com"])
    assert said.code == 2
    assert "belongs to the directory's operator, example.com" in said.err
    assert "`relays`" in said.err


def test_a_chain_source_of_another_network_is_refused(owner: Owner) -> None:
    said = owner.init(network="signet", cold="")
    assert said.code == 2
    assert "`chain` is on regtest or the old testnet 3, not on signet" in said.err


def test_the_password_comes_from_a_file(owner: Owner, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    assert owner.init(password="", password_file=str(path)).code == 0
    with Database.open(owner.database) as database:
        assert Users(database).authenticate("Ada", PASSWORD) is not None


def test_the_hot_wallet_has_the_passphrase_of_its_file(owner: Owner, file: str) -> None:
    said = owner.init("--passphrase-file", file)
    assert said.code == 0, said.err
    assert owner.told()["passphrase_file"] == file
    assert "has no passphrase" not in said.err
    assert "Passphrase  set" in owner.cli("wallet", "info").out
    assert PASSPHRASE not in owner.config.read_text()
    assert owner.init().code == 0, "a locked wallet is known by its public descriptors"


def test_a_configuration_that_is_there_is_kept_but_for_the_answers(owner: Owner) -> None:
    owner.config.parent.mkdir()
    owner.config.write_text('# mine\nfee_target = 2\n\n[mailroom]\nmax_bytes = "1 GiB"\n')
    owner.config.chmod(0o640)
    assert owner.init().code == 0
    text = owner.config.read_text()
    assert text.startswith("# mine\nfee_target = 2\n")
    assert owner.told()["mailroom"] == {"max_bytes": "1 GiB"}
    assert owner.told()["chain"] == owner.answers["chain"]
    assert stat.S_IMODE(owner.config.stat().st_mode) == 0o640


def test_other_values_are_replaced_only_after_a_word(owner: Owner) -> None:
    owner.config.parent.mkdir()
    text = f'chain = "{DEAD}"\n[merchant]\ncold = "old"\nrates = ["kraken"]\n'
    owner.config.write_text(text)
    said = owner.init()
    assert said.code == 2
    assert "has other values of `chain`, `merchant.cold`: add --yes" in said.err
    assert owner.config.read_text() == text
    assert owner.init("--yes").code == 0
    assert owner.told()["chain"] == owner.answers["chain"]
    assert owner.told()["merchant"] == {"cold": owner.answers["cold"], "rates": ["kraken"]}


def test_another_cold_storage_is_refused_once_there_is_a_store(owner: Owner) -> None:
    assert owner.init().code == 0
    before = owner.config.read_bytes()
    said = owner.init("--yes", cold="")
    assert said.code == 2
    assert "give the same `cold`, or set `database`" in said.err
    assert owner.config.read_bytes() == before


def test_a_file_that_cannot_be_written_leaves_what_can_go_on(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(writing, "replace_durably", fail)
        said = owner.init()
    assert said.code == 2
    assert "cannot be written: No space left on device" in said.err
    assert not owner.config.exists()
    assert owner.init().code == 0
    with Database.open(owner.database) as database:
        assert len(database.read(stores.all_stores)) == 1


def test_a_person_is_asked_and_asked_again(owner: Owner, hidden: list[str]) -> None:
    hidden += ["short", "short", PASSWORD, "misspelled once", PASSWORD, PASSWORD]
    answers = owner.answers
    said = owner.typed(
        "mainet",
        "regtest",
        "nonsense",
        answers["cold"],
        DEAD,
        answers["chain"],
        answers["directory"],
        DEAD,
        answers["relays"][0],
        answers["name"],
        "pay.example",
        "https://pay.example/",
        answers["user"],
        "y",
    )
    assert said.code == 0, said.err
    for words in (
        "1. The network",
        "`network` must be",
        "`cold` is neither",
        "Its first address is bcrt1",
        "There is no connection to the chain server",
        "5. The name of the shop",
        "`public_url` must be a site's address",
        "A password has at least 12 characters",
        "Is that right?",
    ):
        assert words in said.err, words
    assert owner.told()["chain"] == answers["chain"]
    assert owner.told()["merchant"]["public_url"] == "https://pay.example"
    assert PASSWORD not in said.err


def test_who_says_no_gets_nothing(owner: Owner, hidden: list[str]) -> None:
    hidden += [PASSWORD, PASSWORD]
    answers = owner.answers
    said = owner.typed(
        *("regtest", "", answers["chain"], answers["directory"], answers["relays"][0]),
        *("Shop", "", "Ada", "n"),
    )
    assert said.code == 1
    assert "Payments stay in the hot wallet" in said.err
    assert not owner.config.exists()
    assert not owner.cli.folder.exists()


def test_what_is_set_already_needs_no_typing(owner: Owner, hidden: list[str]) -> None:
    owner.init()
    hidden += [PASSWORD, PASSWORD]
    said = owner.typed("", "", "", "", "", "Ada's bakery", "", "Ada", "y")
    assert said.code == 0, said.err
    assert f"Chain source [{owner.answers['chain']}]" in said.err + said.out


def test_without_a_terminal_it_names_the_way(owner: Owner) -> None:
    said = owner.cli("merchant", "init")
    assert said.code == 2
    assert "name it with `--from`" in said.err


@pytest.mark.parametrize("text", [None, "network = ", "\0"])
def test_a_file_that_cannot_be_read_is_one_sentence(owner: Owner, text: str | None) -> None:
    path = owner.folder / "broken.toml"
    if text is not None:
        path.write_text(text)
    said = owner.cli("merchant", "init", "--from", str(path))
    assert said.code == 2
    assert str(path) in said.err


def test_a_wallet_of_a_kind_that_cannot_be_hot_is_refused_first(owner: Owner) -> None:
    words = ("wallet", "new", "--network", "regtest", "--kind", "legacy", "--no-passphrase")
    (owner.folder / "none.toml").touch()
    assert owner.cli(*words, "--config", str(owner.folder / "none.toml")).code == 0
    said = owner.init()
    assert said.code == 2
    assert "`wallet` must be of the kind wpkh or tr" in said.err
    assert not owner.database.exists()


def test_a_store_has_a_currency_and_a_spread(owner: Owner, tmp_path: Path) -> None:
    with signer(tmp_path / "signer") as place:
        where = ("--database", str(tmp_path / "shop.db"), "--signer", place)
        words = ("merchant", "store", "Shop", *where, "--network", "regtest")
        (tmp_path / "none.toml").touch()
        owner.cli.settings["config"] = str(tmp_path / "none.toml")
        assert owner.cli(*words, "--currency", "EUR", "--spread", "1.5").code == 0
        assert "`--currency` is out of range" in owner.cli(*words, "--currency", "euro").err
        assert "per cent from 0 to 99.9" in owner.cli(*words, "--spread", "1.55").err
    with Database.open(tmp_path / "shop.db") as database:
        (store,) = database.read(stores.all_stores)
    assert (store.policy.currency, store.policy.spread_permille) == ("EUR", 15)
