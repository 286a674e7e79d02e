"""What this machine has: open files, memory and disk, and how many clients that is enough for."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

from dovetail import open_files
from dovetail.mailroom.settings import MailroomSettings

PER_CONNECTION = 65_536
"""Bytes of memory to have for a connection: a poll that waits takes half (33 KiB, measured with
1,000), and bodies and answers on their way the rest."""
FILES_BESIDE = 256
"""Open files for the database, the logs and name lookups."""

SCALED = (
    *("max_connections", "max_connections_per_client", "max_waits", "max_waits_per_client"),
    *("max_forwards", "max_forwards_per_client", "max_tunnels", "max_lookups"),
)
"""Limits whose defaults a small machine lowers."""

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Machine:
    """The means of this machine; None for what is unlimited or cannot be known."""

    open_files: int | None
    memory: int | None
    """Bytes that this process may use."""
    free_disk: int | None
    """Free bytes on the disk of the data folder."""

    @classmethod
    def look(cls, folder: Path) -> Self:
        """Raise the limit of open files as far as possible, and look. `folder` may be missing."""
        return cls(open_files.raise_limit(), memory_limit(), _free_disk(folder))


def defaults(machine: Machine) -> dict[str, int]:
    """Return the limits that are lower than usual on this machine, by name."""
    usual = MailroomSettings(Path())
    share = min(1.0, *_shares(usual, machine)) if _shares(usual, machine) else 1.0
    if share == 1.0:
        return {}
    return {name: max(1, int(getattr(usual, name) * share)) for name in SCALED}


def shortfalls(settings: MailroomSettings, machine: Machine) -> list[str]:
    """Return a sentence for each setting for which memory or disk is too small."""
    found: list[str] = []
    connections = settings.max_connections
    memory = connections * PER_CONNECTION
    if machine.memory is not None and machine.memory < memory:
        found.append(
            f"`max_connections` is {connections:,}, for which {_size(memory)} of memory may be"
            f" needed, and there are {_size(machine.memory)}: add memory, or lower it."
        )
    disk = settings.max_bytes
    if disk is not None and machine.free_disk is not None:
        left = machine.free_disk + _stored(settings.database)
        if left < disk:
            found.append(
                f"`max_bytes` is {_size(disk)}, and the disk has room for {_size(left)}: free some"
                " space, or lower it."
            )
    return found


def memory_limit() -> int | None:
    """Return the bytes of memory that this process may use; None if that cannot be known."""
    found: list[int] = []
    if hasattr(os, "sysconf"):
        with suppress(ValueError, OSError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:
        own = _OWN_CGROUP.read_text().partition("0::")[2].partition("\n")[0].strip("/")
    except OSError:
        own = ""
    for folder in (_CGROUPS / own, *(_CGROUPS / own).parents):
        if folder.is_relative_to(_CGROUPS):
            found += _limit_of(folder / "memory.max")
    return min(found, default=None)


def _limit_of(file: Path) -> list[int]:
    try:
        text = file.read_text().strip()
    except OSError:
        return []
    return [int(text)] if text.isdigit() else []


def _shares(usual: MailroomSettings, machine: Machine) -> list[float]:
    """Return which part of the usual limits each of the machine's means is enough for."""
    found: list[float] = []
    if machine.open_files is not None:
        wanted = usual.max_connections + usual.files_beside
        found.append((machine.open_files - min(FILES_BESIDE, machine.open_files // 2)) / wanted)
    if machine.memory is not None:
        found.append(machine.memory / 2 / (usual.max_connections * PER_CONNECTION))
    return found


def _free_disk(folder: Path) -> int | None:
    for each in (folder, *folder.absolute().parents):
        try:
            return shutil.disk_usage(each).free
        except FileNotFoundError:
            continue
        except OSError:
            break
    return None


def _stored(database: Path) -> int:
    """Return how many bytes the messages take already."""
    try:
        return database.stat().st_size
    except OSError:
        return 0


_SIZES: Mapping[str, int] = MappingProxyType({"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10})


def _size(bytes_: int) -> str:
    for unit, size in _SIZES.items():
        if bytes_ >= size:
            return f"{bytes_ / size:.1f} {unit}"
    return f"{bytes_} bytes"
