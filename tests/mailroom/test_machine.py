"""What a machine has, and the limits that this is enough for."""

from pathlib import Path

import pytest

from dovetail.mailroom import MailroomSettings, machine
from dovetail.mailroom.machine import FILES_BESIDE, PER_CONNECTION, SCALED, Machine

LARGE = Machine(1 << 20, 1 << 40, 1 << 40)


def test_this_machine_is_looked_at_though_the_folder_is_missing(tmp_path: Path) -> None:
    found = Machine.look(tmp_path / "not" / "there")
    assert found.free_disk == pytest.approx(Machine.look(tmp_path).free_disk, rel=0.1)
    assert found.memory is not None
    assert found.memory > 1 << 26


def test_a_large_machine_changes_no_default() -> None:
    assert machine.defaults(LARGE) == {}
    assert machine.defaults(Machine(None, None, None)) == {}


def test_few_open_files_lower_the_defaults_until_they_are_enough(tmp_path: Path) -> None:
    found = machine.defaults(Machine(1_024, None, None))
    assert found.keys() == set(SCALED)
    settings = MailroomSettings(tmp_path, **found)  # type: ignore[arg-type]
    assert settings.max_connections + settings.files_beside <= 1_024 - FILES_BESIDE
    assert settings.max_connections > 500
    assert settings.max_waits < settings.max_connections


def test_half_of_a_small_memory_is_for_connections() -> None:
    found = machine.defaults(Machine(None, 1_000 * PER_CONNECTION, None))
    assert found["max_connections"] == 500


def test_no_limit_falls_to_nothing() -> None:
    assert set(machine.defaults(Machine(2, 1, None)).values()) == {1}


def test_a_machine_that_is_smaller_than_a_setting_is_told(tmp_path: Path) -> None:
    settings = MailroomSettings(tmp_path, max_bytes=3 << 30)
    assert machine.shortfalls(settings, LARGE) == []
    assert machine.shortfalls(settings, Machine(None, None, None)) == []
    settings.database.write_bytes(bytes(1 << 20))
    memory, disk = machine.shortfalls(settings, Machine(None, 512 << 20, 1 << 20))
    assert memory == (
        "`max_connections` is 10,000, for which 625.0 MiB of memory may be needed, and there are"
        " 512.0 MiB: add memory, or lower it."
    )
    assert disk == (
        "`max_bytes` is 3.0 GiB, and the disk has room for 2.0 MiB: free some space, or lower it."
    )


def test_the_limit_of_a_control_group_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "cgroup"
    own.write_text("1:name=x:/y\n0::/system.slice/a.service\n")
    folder = tmp_path / "fs" / "system.slice" / "a.service"
    folder.mkdir(parents=True)
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "fs")
    monkeypatch.setattr(machine, "_OWN_CGROUP", own)
    (folder / "memory.max").write_text("max\n")
    whole = machine.memory_limit()
    assert whole is not None
    (folder.parent / "memory.max").write_text("4096\n")
    assert machine.memory_limit() == 4096
    own.unlink()
    assert machine.memory_limit() == whole
