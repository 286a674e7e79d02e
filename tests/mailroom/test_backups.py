"""A copy of a mailroom that runs is a mailroom."""

import asyncio
import stat
from pathlib import Path

import httpx2 as httpx
import pytest
from tests.mailroom.client import MESSAGE, Client, new_mailbox, quick

from dovetail.crypto.ohttp import KeyConfig
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.mailroom import MailroomServer, backups


async def test_a_copy_made_under_load_has_what_was_there_and_its_keys(tmp_path: Path) -> None:
    settings, folder = quick(tmp_path / "data"), tmp_path / "copy"
    with MailroomServer(settings) as server:
        async with httpx.AsyncClient(timeout=20) as http:
            keys = KeyConfig.parse((await http.get(f"{server.url}/ohttp-keys")).content)
            client = Client(http, keys, server.url)
            before = [new_mailbox() for _ in range(20)]
            for each in before:
                (await client.post(each)).confirm_posted()
            settings.block_file.write_text("192.0.2.0/24\n")
            copying = asyncio.create_task(asyncio.to_thread(backups.backup, settings, folder))
            while not copying.done():
                (await client.post(new_mailbox())).confirm_posted()
            files = await copying
    assert files == ("mailboxes.db", "ohttp-keys.json", "blocked-networks.txt")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE((folder / each).stat().st_mode) for each in files} == {0o600}
    assert sorted(each.name for each in folder.iterdir()) == sorted(files)
    with MailroomServer(quick(folder)) as restored:
        async with httpx.AsyncClient(timeout=20) as http:
            client = Client(http, keys, restored.url)
            found = [(await client.poll(each)).message() for each in before]
            assert found == [MESSAGE] * 20
            assert [str(each) for each in restored.mailroom.clients.blocked] == ["192.0.2.0/24"]


def test_what_cannot_be_copied_leaves_nothing_behind(tmp_path: Path) -> None:
    settings, folder = quick(tmp_path / "data"), tmp_path / "copy"
    with pytest.raises(ConfigurationError, match="There is no directory's data in"):
        backups.backup(settings, folder)
    settings.data_dir.mkdir()
    settings.key_file.write_text("{}")
    settings.database.write_bytes(b"no database at all" * 1_000)
    with pytest.raises(StoreUnavailable, match="could not be copied"):
        backups.backup(settings, folder)
    assert not folder.exists()
    folder.mkdir()
    with pytest.raises(ConfigurationError, match=r"cannot be made: File exists\. Name a new one"):
        backups.backup(settings, folder)
