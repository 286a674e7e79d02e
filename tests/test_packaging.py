"""The files that start `dovetail run`: what they name is there and is taken."""

import os
import plistlib
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from dovetail.cli.config import KEYS

ROOT = Path(__file__).parents[1]
PACKAGING = ROOT / "packaging"
RUN = ["run", "--log", "json"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit_with_the_guides_credential(tmp_path):
    guide = (ROOT / "docs/guides/service.md").read_text()
    credential = guide.split("```ini\n")[1].split("```")[0]
    program = Path(sys.executable).with_name("dovetail")
    text = (PACKAGING / "dovetail.service").read_text()
    unit = tmp_path / "dovetail.service"
    unit.write_text(text.replace("%h/.local/bin/dovetail", str(program)) + credential)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", unit],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_launchd_is_told_the_same_command():
    told = plistlib.loads((PACKAGING / "org.dovetail.run.plist").read_bytes())
    assert told["ProgramArguments"][1:] == RUN
    unit = (PACKAGING / "dovetail.service").read_text()
    assert f"dovetail {' '.join(RUN)}\n" in unit


def test_a_build_of_the_container_gets_all_that_it_copies_and_installs():
    ignore = (ROOT / ".containerignore").read_text().splitlines()
    kept = [line[1:] for line in ignore if line.startswith("!")]
    assert "*" in ignore
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    data = project["tool"]["setuptools"]["data-files"].values()
    needed = {
        "pyproject.toml",
        "src",
        project["project"]["readme"],
        *project["project"]["license-files"],
        *(name for names in data for name in names),
    }
    lines = (PACKAGING / "Containerfile").read_text().splitlines()
    needed |= {line.split()[1] for line in lines if line.startswith("COPY ")} - {"."}
    assert {name for name in needed if not any(fnmatch(name, each) for each in kept)} == set()
    assert all((ROOT / name).exists() for name in needed)


def test_the_containers_variables_are_keys():
    words = (PACKAGING / "Containerfile").read_text() + (
        ROOT / "docs/guides/service.md"
    ).read_text()
    named = {word for word in words.replace("=", " ").split() if word.startswith("DOVETAIL_")}
    assert named <= {key.variable for key in KEYS}
    assert named > {"DOVETAIL_DATA_DIR"}
