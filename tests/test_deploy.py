"""The files of `deploy/`: what they name is there and is taken."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPSConnection
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from tests.merchant.served import ServedTill, open_served
from tests.support.systemd import analyzed

from dovetail.cli.app import app
from dovetail.cli.config import KEYS
from dovetail.cli.exits import Exit
from dovetail.errors import ChainError
from dovetail.merchant.public_url import PublicUrl
from dovetail.merchant.services import health
from dovetail.merchant.services.health import Findings, Health, Overall, Word
from dovetail.wallets.esplora.chain import EsploraChain

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNITS = ("dovetail-signer.service", "dovetail-shop.service", "dovetail-worker@.service")
HEALTH = re.compile(r'CMD (\["python".*\])')
SAFE = {"dovetail-signer.service": 10, "dovetail-shop.service": 20, "dovetail-worker@.service": 20}
"""The most exposure of each unit, in tenths, as systemd counts it; 100 is none of its shelter."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units with this environment's program, the worker as its first instance."""
    program = Path(sys.executable).with_name("dovetail")
    found: list[Path] = []
    for name in UNITS:
        text = (DEPLOY / name).read_text().replace("/opt/dovetail/bin/dovetail", str(program))
        for each in (name, name.replace("@", "@1")):
            (tmp_path / each).write_text(text)
        found.append(tmp_path / name.replace("@", "@1"))
    return found


@needs_systemd
def test_systemd_takes_the_units(units: list[Path], tmp_path: Path) -> None:
    for unit in units:
        done = analyzed("verify", unit, folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), unit.name


@needs_systemd
def test_systemd_finds_the_units_well_sheltered(units: list[Path], tmp_path: Path) -> None:
    for name, unit in zip(UNITS, units, strict=True):
        words = ("security", "--offline=true", f"--threshold={SAFE[name]}", unit)
        done = analyzed(*words, folder=tmp_path)
        if "unrecognized option" in done.stderr or "Unknown" in done.stderr:
            pytest.skip("this systemd cannot judge a unit that is not loaded")
        assert done.returncode == 0, done.stdout[-200:]


def test_only_the_signer_is_without_a_network_and_all_are_users_of_their_own() -> None:
    texts = {name: (DEPLOY / name).read_text() for name in UNITS}
    for name, text in texts.items():
        lines = text.splitlines()
        assert ("PrivateNetwork=yes" in lines) == (name == "dovetail-signer.service")
        assert "ProtectSystem=strict" in lines
        assert f"RestartPreventExitStatus={Exit.USAGE.value}" in lines
    users = {name: re.search(r"^User=(.*)$", text, re.MULTILINE) for name, text in texts.items()}
    named = {each[1] for each in users.values() if each}
    made = (DEPLOY / "dovetail.sysusers.conf").read_text()
    assert named == {"dovetail", "dovetail-signer"}
    assert all(re.search(rf"^u {name} ", made, re.MULTILINE) for name in named)


def test_the_commands_and_variables_of_the_files_exist() -> None:
    files = [path for path in DEPLOY.iterdir() if path.is_file()]
    texts = [path.read_text() for path in files]
    commands = [
        line.partition("bin/dovetail ")[2].split()
        for text in texts
        for line in text.splitlines()
        if line.startswith("ExecStart=")
    ]
    last = json.loads(
        texts[[path.name for path in files].index("Containerfile")]
        .splitlines()[-1]
        .removeprefix("CMD ")
    )
    for words in [*commands, ["merchant", *last]]:
        app.make_context("dovetail", [*words, "--help"], resilient_parsing=True)
        group, name = words[:2]
        found = app.get_command(app.make_context("dovetail", [], resilient_parsing=True), group)
        assert found is not None
        command = found.commands[name]  # type: ignore[attr-defined]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known
    named = {word for text in texts for word in re.findall(r"DOVETAIL_[A-Z_]+", text)}
    assert named <= {key.variable for key in KEYS} | {"DOVETAIL_CONFIG"}


def test_the_container_copies_what_the_other_one_does() -> None:
    def copied(path: Path) -> list[str]:
        return [line for line in path.read_text().splitlines() if line.startswith("COPY ")]

    assert copied(DEPLOY / "Containerfile") == copied(ROOT / "packaging" / "Containerfile")


@pytest.fixture(scope="module")
def address() -> str:
    """Where Caddy speaks https."""
    return f"https://localhost:{free_port()}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, address: str) -> Iterator[ServedTill]:
    folder = tmp_path_factory.mktemp("shop")
    public = PublicUrl.parse(address)
    with open_served(folder, str(folder / "shop.db"), public=public) as shop:
        yield shop


def test_the_containers_health_check_asks_the_server(served: ServedTill) -> None:
    found = HEALTH.search((DEPLOY / "Containerfile").read_text())
    assert found is not None
    _, option, program = json.loads(found[1])
    port = served.url.rpartition(":")[2]
    for at, code in ((port, 0), ("1", 1)):
        asked = program.replace(":8090/", f":{at}/")
        assert asked != program
        done = subprocess.run([sys.executable, option, asked], capture_output=True, check=False)
        assert done.returncode == code


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def caddy(address: str, backend: str, folder: Path) -> Iterator[ssl.SSLContext]:
    """Caddy with the example file before a shop; yields TLS that trusts its authority."""
    port = int(address.rpartition(":")[2])
    environment = os.environ | {
        "SHOP_ADDRESS": address,
        "SHOP_HTTP_PORT": str(free_port()),
        "SHOP_BACKENDS": backend.partition("//")[2],
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "HOME": str(folder),
    }
    words = ["caddy", "run", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
    authority = folder / "caddy/pki/authorities/local/root.crt"
    try:
        deadline = time.monotonic() + 30
        while not (authority.exists() and answers(port)):
            assert child.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield ssl.create_default_context(cafile=str(authority))
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


needs_caddy = pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed")


def announced(url: str, tls: ssl.SSLContext, path: str, length: int) -> int:
    """The status of the answer to a request whose body is announced, and does not come."""
    connection = HTTPSConnection(url.partition("//")[2], context=tls, timeout=20)
    try:
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


@dataclass
class Customer:
    """Asks through Caddy, as its customers and programs do."""

    address: str
    tls: ssl.SSLContext
    key: str

    def __call__(self, path: str, body: bytes | None = None) -> tuple[int, Message, bytes]:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = Request(f"{self.address}{path}", body, headers)  # noqa: S310 - https, on loopback
        try:
            with urlopen(request, context=self.tls, timeout=20) as reply:  # noqa: S310
                return reply.status, reply.headers, reply.read()
        except HTTPError as error:
            return error.code, error.headers, error.read()


@needs_caddy
def test_caddy_speaks_https_limits_bodies_and_keeps_health_inside(
    served: ServedTill, address: str, tmp_path: Path
) -> None:
    with caddy(address, served.url, tmp_path) as tls:
        ask = Customer(address, tls, served.key())
        invoices = f"/api/v1/stores/{served.store_id}/invoices"
        status, headers, body = ask(invoices, b'{"amount_sats": 50000}')
        assert status == 201
        made = json.loads(body)
        assert made["checkout_url"] == f"{address}/i/{made['id']}"
        assert headers.get_all("Strict-Transport-Security") == ["max-age=31536000"]
        assert "caddy" not in (headers["Server"] or "").lower()
        assert announced(address, tls, invoices, 70_000) == 413
        for path in ("/health", "/health/live", "/health/ready"):
            assert ask(path)[0] == 404


@needs_caddy
def test_behind_caddy_a_customer_finds_the_invoice_while_no_payment_is_seen(
    served: ServedTill, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain source is away, and so are all workers."""
    asked: list[Findings] = []
    find = Health.findings

    async def counted(self: Health) -> Findings:
        asked.append(await find(self))
        return asked[-1]

    def away(_: EsploraChain) -> int:
        raise ChainError("The chain source is away.")

    monkeypatch.setattr(EsploraChain, "height", away)
    monkeypatch.setattr(health, "LATELY", 0.0)
    monkeypatch.setattr(health, "FRESH", 0.0)
    monkeypatch.setattr(Health, "findings", counted)
    with caddy(address, served.url, tmp_path) as tls:
        ask = Customer(address, tls, served.key())
        invoices = f"/api/v1/stores/{served.store_id}/invoices"
        made = json.loads(ask(invoices, b'{"amount_sats": 50000}')[2])
        deadline = time.monotonic() + 20
        while len(asked) < 2:
            assert time.monotonic() < deadline, "Caddy does not ask how the server is"
            time.sleep(0.1)
        assert {each.overall for each in asked} == {Overall.BLIND}
        assert {each.parts["chain"] for each in asked} == {Word.AWAY}
        status, _, page = ask(f"/i/{made['id']}")
        assert (status, b"Waiting for your payment" in page) == (200, True)
