"""Chromium is found, or installed by root, or its one command is said."""

import os
from pathlib import Path

import pytest
from tools import chromium

APT = """#!/bin/sh
echo "$@" >> {folder}/asked
case "$*" in *install*) {then};; esac
"""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a browser."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere")
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return tmp_path


def program(folder: Path, name: str, text: str = "#!/bin/sh\n") -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def become_root(folder: Path, monkeypatch, *, then: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program(folder, "apt-get", APT.format(folder=folder, then=then))


def test_the_one_on_path_is_found(machine, capsys) -> None:
    program(machine, "chromium-browser")
    assert chromium.main(["--needed"]) == 0
    assert chromium.found() == str(machine / "chromium-browser")
    assert capsys.readouterr().err == ""


def test_a_named_one_goes_first(machine, monkeypatch) -> None:
    program(machine, "chromium")
    monkeypatch.setenv("CHROMIUM", "/opt/browser")
    assert chromium.found() == "/opt/browser"


def test_without_root_the_one_command_is_said(machine, capsys) -> None:
    program(machine, "apt-get")
    assert chromium.main([]) == 0
    said = capsys.readouterr().err
    assert "'sudo apt-get install -y --no-install-recommends chromium'" in said
    assert "are not run" in said


def test_a_demo_cannot_do_without(machine, capsys) -> None:
    assert chromium.main(["--needed"]) == 1
    assert "The demo needs it." in capsys.readouterr().err


def test_root_gets_the_package(machine, monkeypatch) -> None:
    made = machine / "chromium"
    become_root(machine, monkeypatch, then=f": > {made}; /bin/chmod 755 {made}")
    assert chromium.main(["--needed"]) == 0
    update, install = (machine / "asked").read_text().splitlines()
    assert update.endswith("update")
    assert install.endswith("install -y --no-install-recommends chromium")


def test_a_package_that_does_not_come_is_told(machine, monkeypatch, capsys) -> None:
    become_root(machine, monkeypatch, then="exit 100")
    assert chromium.main([]) == 0
    said = capsys.readouterr().err
    assert "There is no Chromium" in said
    assert "sudo" not in said
