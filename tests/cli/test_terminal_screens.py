"""What people see on terminals of four widths, in the letters and on the background these have."""

import fcntl
import os
import re
import subprocess
import termios
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.cli.in_process import Cli
from tests.cli.terminals import CLAIMS, COLOURS, LINES, REWRITTEN, Reading, Shown, Tty, opened
from tests.cli.test_qr import DARK_THEME, LIGHT_THEME, photographed, same
from tests.support.commands import command
from tests.support.waiting import PATIENCE, wait_for

from dovetail.bitcoin import Address, Sats
from dovetail.cli import qr
from dovetail.mailroom import MailroomServer
from dovetail.qr import code
from dovetail.regtest import RegtestServer

WIDTHS = (40, 57, 80, 120)
KINDS = [("utf-8", "dark"), ("ascii", "light")]
KEPT = (
    "receiver/paid-by-payjoin",
    "sender/success-v1",
    "receiver/expired-unpaid",
    "receiver/replied-then-released",
    "sender/cancelled",
)
TIMES = re.compile(r"\d+[smhd]|\d+-\d+-\d+|\d+:\d+(:\d+)?|\d\d-\d\d|\d+s\.?")


@dataclass
class Stage:
    """Two people with wallets, sessions of every kind at one, and a URI of the other's."""

    alice: dict[str, str]
    bob: dict[str, str]
    uri: str


@pytest.fixture(scope="module")
def stage(
    chain: RegtestServer, mailroom: MailroomServer, tmp_path_factory: pytest.TempPathFactory
) -> Stage:
    folder = tmp_path_factory.mktemp("stage")
    people: list[dict[str, str]] = []
    for name in ("alice", "bob"):
        settings = {
            "network": "regtest",
            "chain": chain.url,
            "directory": mailroom.url,
            "relays": mailroom.url,
            "data_dir": str(folder / name),
            "watch_interval": "0.2",
        }
        named = {f"DOVETAIL_{key.upper()}": value for key, value in settings.items()}
        people.append(named)
        tty = Tty(400, settings=named)
        assert tty("wallet", "new", "--no-passphrase").code == 0
        address = tty("wallet", "address").text.split()[-1]
        chain.node.fund(Address.parse(address).script_pubkey, Sats(300_000))
    alice, bob = people
    asked = Tty(400, settings=alice)("receive", "50000", "--label", "Café", "--no-wait")
    [uri] = [word for word in asked.words if word.startswith("bitcoin:")]
    return Stage(alice, bob, uri)


@pytest.fixture(params=[(columns, *kind) for columns in WIDTHS for kind in KINDS], ids=str)
def tty(request: pytest.FixtureRequest) -> Tty:
    return Tty(*request.param)


def as_read(tty: Tty, settings: dict[str, str], *words: str, typed: str = "") -> Shown:
    """Run a command, and hold to what is true of all that any command shows."""
    tty.settings = settings
    shown = tty(*words, typed=typed)
    assert shown.too_long() == []
    assert "Traceback" not in shown.text
    assert "Dovetail has a bug" not in shown.text
    assert not {"\N{REPLACEMENT CHARACTER}", "?" if tty.encoding == "ascii" else "\0"} & set(
        shown.text.replace("bcrt1", "").replace("?amount", "").replace("?pj", "").replace("s?", "")
    )
    yellow = {cell.fg for row in shown.screen.buffer.values() for cell in row.values()} & {"brown"}
    assert not (yellow and tty.background == "light")
    return shown


def settled(words: list[str]) -> list[str]:
    """Words without what changes from second to second."""
    return [word for word in words if not TIMES.search(word)]


def test_receive_shows_a_code_where_it_fits_and_else_says_how_to_have_it(tty: Tty, stage: Stage):
    shown = as_read(tty, stage.alice, "receive", "50000", "--no-wait")
    assert shown.code == 0
    [uri] = [word for word in shown.words if word.startswith("bitcoin:")]
    fits = tty.encoding == "utf-8" and qr.size(code(uri)).columns <= tty.columns
    assert ("▀" in shown.text) is fits
    assert ("--qr FILE" in " ".join(shown.words)) is not fits
    if fits:
        theme = LIGHT_THEME if tty.background == "light" else DARK_THEME
        size = os.terminal_size((tty.columns, LINES))
        picture = shown.raw.decode().replace("\r\n", "\n")
        assert same(photographed(picture, size, theme), uri)


def test_a_payment_is_shown_whole_before_it_is_agreed_to(tty: Tty, stage: Stage):
    shown = as_read(tty, stage.bob, "send", stage.uri, typed="n\n")
    assert shown.code == 1
    for name in ("You pay", "To", "Fee", "Total", "Change", "Payjoin by"):
        assert any(line.startswith(name) for line in shown.lines), name
    assert shown.lines[-1].startswith("Stopped before") or "Stopped" in shown.text
    wide = Tty(400, tty.encoding, settings=stage.bob)("send", stage.uri, typed="n\n")
    assert settled(shown.words) == settled(wide.words)


def test_a_session_is_shown_whole(tty: Tty, stage: Stage):
    shown = as_read(tty, stage.alice, "show", "1")
    assert shown.code == 0
    wide = Tty(400, tty.encoding, settings=stage.alice)("show", "1")
    assert settled(shown.words) == settled(wide.words)


def test_resume_says_what_it_waits_for_and_how_it_was_left(tty: Tty, stage: Stage):
    shown = as_read(tty, stage.alice, "resume", "1", "--timeout", "1s")
    assert shown.code == 3
    assert "dovetail resume 1" in " ".join(shown.words)


def test_history_tells_of_each_session_whatever_the_width(tty: Tty, cli: Cli):
    cli.store(*KEPT)
    shown = as_read(tty, cli.environment, "history")
    assert shown.code == 0
    wide = Tty(400, tty.encoding, settings=cli.environment)("history")
    told, wanted = ({word.strip(";:") for word in settled(each.words)} for each in (shown, wide))
    assert wanted - told <= {"Time", "left"}  # the name of a column that is empty
    for number in range(1, 1 + len(KEPT)):
        assert any(line.split()[:1] == [str(number)] for line in shown.lines)


@pytest.mark.parametrize("words", [(), ("receive",), ("wallet",), ("wallet", "transactions")])
def test_help_fits(tty: Tty, words: tuple[str, ...]):
    shown = as_read(tty, {}, *words, "--help")
    wide = Tty(400, tty.encoding)(*words, "--help")
    assert shown.words == wide.words


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    reading: Reading
    ours: int

    @property
    def text(self) -> str:
        return self.reading.got.decode()

    def stop(self) -> int:
        """Press Ctrl-C."""
        os.write(self.ours, b"\x03")
        return self.process.wait(PATIENCE)


@pytest.fixture(params=["xterm-256color", "dumb"])
def waiting(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Running]:
    """`receive`, as a process that a narrow terminal controls."""
    settings = Tty(40, term=request.param, settings=stage.alice).environment

    own = {name: value for name, value in os.environ.items() if name not in CLAIMS}

    def take() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    with opened(40) as (ours, theirs), Reading(ours, theirs) as reading:
        process = subprocess.Popen(
            command("receive", "1000", "--no-qr"),
            env=own | settings,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=take,  # noqa: PLW1509 - as the other tests' processes
        )
        try:
            yield Running(process, reading, ours)
        finally:
            process.kill()
            process.wait()


def test_waiting_takes_one_line_and_not_one_a_second(waiting: Running):
    wait_for(lambda: "expires in" in waiting.text)
    if "\x1b[K" in waiting.text:  # one that is written over
        wait_for(lambda: len(set(re.findall(r"expires in [0-9:]+", waiting.text))) > 2)
    assert waiting.stop() == 3
    text = REWRITTEN.sub("", COLOURS.sub("", waiting.text).replace("\r\n", "\n"))
    counted = [line for line in text.splitlines() if line.strip().startswith("expires in")]
    assert len(counted) == (0 if "\x1b[K" in waiting.text else 1)
    assert [each for each in text.splitlines() if len(each) > 40 and " " in each] == []
    assert "stays open; nothing is lost" in " ".join(text.split())
