"""Tests of a mailroom's setup: each part is looked at, and what is wrong names its setting."""

import os
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dovetail.errors import ConfigurationError, DovetailError
from dovetail.mailroom import control
from dovetail.mailroom.keys import KeyRing
from dovetail.mailroom.machine import FILES_BESIDE, Machine, shortfalls
from dovetail.mailroom.reloading import prepare
from dovetail.mailroom.settings import MailroomSettings

CLOCK_APART = 60.0
"""Seconds by which a clock may be behind what it has seen, or apart from another machine's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one test has found: a sentence, which says what to do where it is not well."""

    about: str
    is_well: bool
    words: str


def findings(
    settings: MailroomSettings, machine: Machine, *, now: Callable[[], float] = time.time
) -> list[Finding]:
    """Test what can be tested on this machine; nothing is changed."""
    tests: dict[str, Callable[[], str]] = {
        "settings": lambda: _settings(settings),
        "folder": lambda: _folder(settings.data_dir),
        "machine": lambda: _machine(settings, machine),
        "running": lambda: _running(settings.data_dir),
    }
    if settings.directory:
        tests["clock"] = lambda: _clock(settings, now())
        tests["keys"] = lambda: _keys(settings, now())
    return [tested(about, test) for about, test in tests.items()]


def tested(about: str, test: Callable[[], str]) -> Finding:
    """Return what a test finds; its errors are findings too."""
    try:
        return Finding(about, True, test())
    except DovetailError as error:
        return Finding(about, False, str(error))


def _settings(settings: MailroomSettings) -> str:
    fresh = prepare(settings, settings)
    count = len(fresh.blocked)
    blocked = "no network is" if count == 0 else f"{count:,} networks are"
    return f"All can be read; {blocked} blocked."


def _folder(folder: Path) -> str:
    try:
        told = folder.stat()
    except FileNotFoundError:
        return "It is not there yet; the first start makes it."
    except OSError as error:
        raise ConfigurationError(f"`data_dir` cannot be read: {error.strerror}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError("`data_dir` cannot be written by this user: run this as its user.")
    if sys.platform != "win32" and told.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(
            f"`data_dir` can be entered by other users of this machine: chmod 700 {folder}."
        )
    return f"{folder} is private and can be written."


def _machine(settings: MailroomSettings, machine: Machine) -> str:
    short = shortfalls(settings, machine)
    files = settings.max_connections + settings.files_beside + FILES_BESIDE
    if machine.open_files is not None and machine.open_files < files:
        short.append(
            f"`max_connections` and the relay need {files:,} open files, and the system allows"
            f" {machine.open_files:,}: raise that limit, or lower the settings."
        )
    if short:
        raise ConfigurationError(" ".join(short))
    return "Open files, memory and disk are enough for the settings."


def _running(folder: Path) -> str:
    told = control.ask(folder, "status")
    if told is None:
        raise ConfigurationError("No mailroom runs in this folder: start it.")
    if told["status"] != "ok":
        raise ConfigurationError(
            f"It runs, and its health is `{told['status']}`: the guide says what that means."
        )
    return f"It runs at {told['url']}, version {told['version']}."


def _clock(settings: MailroomSettings, now: float) -> str:
    newest = 0.0
    if settings.key_file.exists():
        newest = max(each.since for each in KeyRing.read(settings.key_file, settings.honoured))
    if settings.database.exists():
        newest = max(newest, settings.database.stat().st_mtime)
    if newest > now + CLOCK_APART:
        raise ConfigurationError(
            "The clock of this machine is behind what the mailroom has written: set it right."
        )
    return "It is not behind what the mailroom has written."


def _keys(settings: MailroomSettings, now: float) -> str:
    if not settings.key_file.exists():
        return "There are none yet; the first start makes one."
    known = KeyRing.read(settings.key_file, settings.honoured)
    age = now - known[-1].since
    if age > settings.key_lifetime + 2 * settings.housekeeping + CLOCK_APART:
        raise ConfigurationError(
            "The newest key is older than `key_lifetime`: start the mailroom, which makes another."
        )
    accepted = "1 key is" if len(known) == 1 else f"{len(known)} keys are"
    return f"{accepted} accepted; the newest is {int(age // 86_400)} days old."
