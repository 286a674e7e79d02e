"""The files of `deploy/mailroom/`: what they name is there, and each is tried."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.mailroom.client import quick
from tests.support.systemd import analyzed

from dovetail.cli.app import app
from dovetail.cli.exits import Exit
from dovetail.mailroom import MailroomServer

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy" / "mailroom"
UNITS = ("dovetail-mailroom.service", "dovetail-mailroom.socket")
SERVICE = (DEPLOY / UNITS[0]).read_text()
PROGRAM = Path(sys.executable).with_name("dovetail")


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


# The units


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with this environment's program."""
    for name in UNITS:
        text = (DEPLOY / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/dovetail/bin/dovetail", str(PROGRAM)))
    return tmp_path


@needs("systemd-analyze")
def test_systemd_takes_the_units(units: Path) -> None:
    for name in UNITS:
        done = analyzed("verify", units / name, folder=units)
        assert (done.returncode, done.stderr) == (0, ""), name


@needs("systemd-analyze")
def test_systemd_finds_the_service_well_sheltered(units: Path) -> None:
    words = ("security", "--offline=true", "--threshold=20", units / UNITS[0])
    done = analyzed(*words, folder=units)
    if "unrecognized option" in done.stderr or "Unknown" in done.stderr:
        pytest.skip("this systemd cannot judge a unit that is not loaded")
    assert done.returncode == 0, done.stdout[-200:]


def test_the_service_is_a_user_of_its_own_and_a_wrong_setting_is_not_tried_again() -> None:
    lines = SERVICE.splitlines()
    assert "User=dovetail-mailroom" in lines
    made = (DEPLOY / "dovetail-mailroom.sysusers.conf").read_text()
    assert re.search("^u dovetail-mailroom ", made, re.MULTILINE)
    assert f"RestartPreventExitStatus={Exit.USAGE.value}" in lines
    assert "Type=notify" in lines
    assert "Requires=dovetail-mailroom.socket" in lines


def test_the_commands_of_the_files_exist() -> None:
    found = re.search("^ExecStart=.*bin/dovetail (.*)$", SERVICE, re.MULTILINE)
    assert found is not None
    container = (DEPLOY / "Containerfile").read_text().splitlines()
    entry, last = (json.loads(line.partition(" ")[2]) for line in container[-2:])
    assert entry[0] == "dovetail"
    for words in (found[1].split(), [*entry[1:], *last]):
        app.make_context("dovetail", [*words, "--help"], resilient_parsing=True)
        group = app.get_command(app.make_context("dovetail", [], resilient_parsing=True), words[0])
        command = group.commands[words[1]]  # type: ignore[union-attr]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


@contextmanager
def activated(listener: socket.socket, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The command of the service, with the socket as its file 3, as systemd starts it."""
    found = re.search("^ExecStart=.*bin/dovetail (.*)$", SERVICE, re.MULTILINE)
    assert found is not None
    words = found[1].replace("/var/lib/dovetail-mailroom", str(folder / "data"))
    number = listener.fileno()
    script = f"exec 3<&{number}; LISTEN_PID=$$ LISTEN_FDS=1 exec {PROGRAM} {words}"
    child = subprocess.Popen(
        ["bash", "-c", script],
        pass_fds=(number,),
        env=os.environ | {"NOTIFY_SOCKET": str(folder / "notify")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == Exit.DONE.value
    finally:
        child.kill()
        child.communicate()


def test_who_comes_while_the_service_restarts_waits_and_is_served(tmp_path: Path) -> None:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/ohttp-keys"
        keys = []
        for _ in range(2):
            with activated(listener, tmp_path) as child:
                with urlopen(url, timeout=60) as reply:
                    keys.append(reply.read())  # asked before the program has started
                assert manager.recv(100) == b"READY=1"
                assert child.stdout is not None
                assert child.stdout.readline().strip() == url.removesuffix("/ohttp-keys")
        assert keys[0] == keys[1]


# The container


def test_the_container_copies_what_the_other_one_does_and_runs_as_a_user() -> None:
    def copied(path: Path) -> list[str]:
        return [line for line in path.read_text().splitlines() if line.startswith("COPY ")]

    mine = DEPLOY / "Containerfile"
    assert copied(mine) == copied(ROOT / "packaging" / "Containerfile")
    lines = mine.read_text().splitlines()
    assert lines.index("USER dovetail") > max(map(lines.index, copied(mine)))


def test_the_containers_health_check_asks_the_server(tmp_path: Path) -> None:
    found = re.search(r'CMD (\["python".*\])', (DEPLOY / "Containerfile").read_text())
    assert found is not None
    _, option, program = json.loads(found[1])
    with MailroomServer(quick(tmp_path)) as server:
        for at, code in ((server.port, 0), (1, 1)):
            asked = program.replace(":8080/", f":{at}/")
            assert asked != program
            done = subprocess.run([sys.executable, option, asked], capture_output=True, check=False)
            assert done.returncode == code
