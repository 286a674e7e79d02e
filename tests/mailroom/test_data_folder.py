import subprocess
import sys
from pathlib import Path

import pytest
from tests.mailroom.client import in_process, new_mailbox, quick

from dovetail.errors import ConfigurationError
from dovetail.mailroom import Mailroom, MailroomServer
from dovetail.mailroom.data_folder import hold


async def test_a_second_mailroom_on_one_folder_is_refused(tmp_path: Path) -> None:
    async with in_process(quick(tmp_path)) as (_, client):
        with pytest.raises(ConfigurationError, match="Another mailroom uses this data folder"):
            await Mailroom(quick(tmp_path)).__aenter__()
        assert (await client.post(new_mailbox())).status == 200
    async with in_process(quick(tmp_path)):
        pass


def test_a_second_process_on_one_folder_is_refused(tmp_path: Path) -> None:
    with MailroomServer(quick(tmp_path)):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dovetail.cli", "mailroom", "serve"),
                *("--listen", "127.0.0.1:0", "--data", str(tmp_path), "--local"),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert "Another mailroom uses this data folder: stop it" in done.stderr


def test_a_relay_needs_no_folder_and_two_may_run(tmp_path: Path) -> None:
    settings = quick(tmp_path, directory=False)
    with MailroomServer(settings), MailroomServer(settings):
        pass


def test_a_folder_that_cannot_be_made_or_locked_is_a_wrong_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be made"), hold(tmp_path / "file" / "x"):
        pass

    def fail(_handle: int, _how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.raises(ConfigurationError, match="No locks available"), hold(tmp_path):
        pass


def test_where_no_folder_can_be_locked_it_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with hold(tmp_path / "new"):
        assert (tmp_path / "new").is_dir()
