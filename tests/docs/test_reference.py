import tomllib
from pathlib import Path

import click
import pytest
from tools.docs import codes_page, reference
from tools.docs.commands import walk
from tools.docs.reference import main

from dovetail import errors
from dovetail.cli.app import app
from dovetail.cli.config import KEYS
from dovetail.cli.error_codes import CODES, OTHERS
from dovetail.cli.live.updates import HappeningKind as Happened
from dovetail.cli.options import JsonOption
from dovetail.explain.explanation import DeadlineKind
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sightings import SpendKind as Sighted
from dovetail.sessions.status import SessionStatus

ROOT = Path(__file__).parents[2]
PAGE = ROOT / reference.FOLDER / "cli.md"


def section(page: str, name: str) -> str:
    return page.split(f"## `{name}`\n")[1].split("\n## ", maxsplit=1)[0]


@pytest.mark.parametrize("name", reference.PAGES)
def test_each_page_is_current(name):
    assert (ROOT / reference.FOLDER / name).read_text() == reference.PAGES[name]()


def test_every_command_and_option_is_documented():
    written = PAGE.read_text()
    everywhere = {parameter.name for parameter in app.params}
    for path, command in walk(app, ("dovetail",)):
        mine = section(written, " ".join(path))
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name not in everywhere:
                assert parameter.opts[0] in mine, (path, parameter.name)


def test_every_json_key_is_documented():
    written = PAGE.read_text()
    for path, command in walk(app, ("dovetail",)):
        for option in command.params:
            if isinstance(option, JsonOption):
                assert option.keys, path
                mine = section(written, " ".join(path))
                for key, words in option.keys.items():
                    assert f"| `{key}` | {words} |" in mine


def test_every_command_that_prints_a_result_has_json():
    """Servers run on, the demo tells a story, exports and scripts are files; all others answer."""
    without = {
        " ".join(path[1:])
        for path, command in walk(app, ("dovetail",))
        if not isinstance(command, click.Group)
        and not any(isinstance(each, JsonOption) for each in command.params)
    }
    servers = {"run", *(f"merchant {each}" for each in ("serve", "worker", "signer"))}
    servers |= {"regtest serve", "mailroom serve"}
    assert without == {"completion", "demo", "export"} | servers


def test_every_configuration_key_is_documented_with_its_variable():
    written = PAGE.read_text()
    for key in KEYS:
        assert f"| `{key.name}` | `{key.variable}` |" in written


@pytest.mark.parametrize("code", range(5))
def test_every_exit_code_is_documented(code):
    assert f"| {code} | " in PAGE.read_text()


def test_check_tells_a_stale_page_from_a_current_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0
    (tmp_path / reference.FOLDER / "states.md").write_text("stale")
    assert main(["--check"]) == 1


def test_every_state_and_event_is_explained():
    written = (ROOT / reference.FOLDER / "states.md").read_text()
    for _, event, state in (*receiver.TRANSITIONS, *sender.TRANSITIONS):
        assert f"| `{state.__name__}` | " in written
        assert f"| `{event.__name__}` | " in written


@pytest.mark.parametrize(
    ("told", "codes"),
    [
        (codes_page.STATUSES, {*SessionStatus, "damaged"}),
        (codes_page.OUTCOMES, {*outcomes.CODES.values()}),
        (codes_page.DEADLINES, {*DeadlineKind}),
        (codes_page.SEEN, {*Sighted}),
        (codes_page.HAPPENED, {*Happened}),
        ({reason.value: reason.words for reason in Reason}, {*Reason}),
        (dict.fromkeys(CODES.values(), ""), {*CODES.values()}),
        (OTHERS, {*OTHERS}),
    ],
    ids=["statuses", "outcomes", "deadlines", "seen", "events", "reasons", "errors", "others"],
)
def test_every_code_is_explained(told, codes):
    written = (ROOT / reference.FOLDER / "codes.md").read_text()
    assert set(told) == codes
    for code, words in told.items():
        assert f"| `{code}` | {words}" in written


def test_every_error_has_a_code_of_its_own():
    def kinds(kind):
        return {kind}.union(*map(kinds, kind.__subclasses__()))

    ours = {kind for kind in kinds(errors.DovetailError) if kind.__module__ == errors.__name__}
    assert set(CODES) == ours
    assert len({*CODES.values(), *OTHERS}) == len(CODES) + len(OTHERS)


def test_the_man_page_tells_of_every_command_and_option():
    written = (ROOT / reference.FOLDER / "dovetail.1").read_text().replace("\\-", "-")
    for path, command in walk(app, ("dovetail",)):
        assert f'.SS "{" ".join(path)} ' in written
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[0] in written, (path, parameter.name)
    for key in KEYS:
        assert f".B {key.variable}\n" in written


def test_no_text_of_the_man_page_is_taken_for_a_request():
    written = (ROOT / reference.FOLDER / "dovetail.1").read_text()
    requests = {line.split()[0] for line in written.splitlines() if line.startswith((".", "'"))}
    assert requests <= {'.\\"', ".TH", ".SH", ".SS", ".B", ".RI", ".PP", ".TP"}


def test_the_wheel_installs_the_man_page():
    with (ROOT / "pyproject.toml").open("rb") as file:
        tool = tomllib.load(file)["tool"]["setuptools"]
    assert tool["data-files"] == {"share/man/man1": ["docs/reference/dovetail.1"]}
