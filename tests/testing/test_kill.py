"""The killer: counts effects, writes them down first, and strikes once."""

import multiprocessing
import signal
from pathlib import Path

import pytest

from dovetail.testing.kill import Killer, effects, struck


class Struck(BaseException):
    """Stands for a death that the test survives."""


def strike() -> None:
    raise Struck


def test_it_strikes_at_the_effect_with_its_number(tmp_path: Path) -> None:
    killer = Killer(tmp_path / "journal", at=2, strike=strike)
    killer.point("one")

    with pytest.raises(Struck):
        killer.point("two")

    assert killer.count == 2


def test_it_strikes_at_the_first_effect_of_its_name(tmp_path: Path) -> None:
    killer = Killer(tmp_path / "journal", on="sign", strike=strike)
    killer.point("append Created")

    with pytest.raises(Struck):
        killer.point("sign")


def test_it_spares_whom_it_was_not_told_to_kill(tmp_path: Path) -> None:
    killer = Killer(tmp_path / "journal", strike=strike)

    for _ in range(3):
        killer.point("sign")

    assert killer.count == 3


def test_the_dead_leave_a_journal_of_what_they_did(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    killer = Killer(journal, at=2, strike=strike)
    killer.point("append Created")
    with pytest.raises(Struck):
        killer.point("request leaves")
    Killer(journal).point("response")

    assert effects(journal) == ("append Created", "request leaves", "response")
    assert struck(journal) == "request leaves"


def test_a_journal_that_nobody_wrote_is_empty(tmp_path: Path) -> None:
    assert effects(tmp_path / "journal") == ()
    assert struck(tmp_path / "journal") is None


def test_by_default_the_process_dies_as_by_sigkill(tmp_path: Path) -> None:
    victim = multiprocessing.get_context("spawn").Process(target=die, args=(tmp_path / "journal",))
    victim.start()
    victim.join(60)

    assert victim.exitcode == -signal.SIGKILL
    assert struck(tmp_path / "journal") == "sign"
    assert not (tmp_path / "survived").exists()


def die(journal: Path) -> None:
    Killer(journal, at=1).point("sign")
    (journal.parent / "survived").touch()
