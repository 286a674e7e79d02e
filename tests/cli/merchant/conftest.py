"""A shop whose parts are all away, unless a test starts one."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.in_process import Cli
from tests.support.postgres import Server, running


@pytest.fixture(scope="session")
def postgres(testrun_uid: str) -> Server:
    return running(testrun_uid)


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    with postgres.database() as url:
        yield url


@pytest.fixture
def shop(cli: Cli) -> Iterator[Cli]:
    """A shop on regtest whose chain source, directory and signer are away."""
    cli.settings |= {"directory": "http://127.0.0.1:1", "relays": "http://127.0.0.1:1"}
    with tempfile.TemporaryDirectory() as short:  # a socket's path must be
        cli.folder = Path(short)
        yield cli


@pytest.fixture
def settings(shop: Cli, tmp_path: Path) -> Callable[..., Path]:
    """Write the table [merchant] of the configuration."""

    def write(*lines: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_text("\n".join(["[merchant]", *lines]))
        shop.settings["config"] = str(file)
        return file

    return write
