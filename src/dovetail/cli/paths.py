"""The settings of this command line, and the folders they name."""

import logging
from pathlib import Path

from dovetail.cli import config
from dovetail.cli.config import Settings
from dovetail.cli.options import flags
from dovetail.errors import StoreUnavailable

WALLET = "wallet"
NODE = "node"
CHAIN = "chain"
MAILROOM = "mailroom"

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def settings() -> Settings:
    """The settings of this command line; also turns on the log if `-v` asks for it."""
    given = flags()
    _log_to_stderr(given.get("verbose", 0))
    return config.load(given)


def make_folder(folder: Path) -> None:
    """Make a private folder if it is missing; raises `StoreUnavailable`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"The data directory cannot be made: {error.strerror}."
            " Choose another one with `--data-dir` or the key `data_dir`."
        ) from error


def server_folder(given: str | None, *usual: str) -> Path:
    """A server's own folder: the one it was given, or the usual one in the data directory."""
    configured = settings()
    return configured.data_dir.joinpath(*usual) if given is None else Path(given).absolute()


def _log_to_stderr(verbosity: int) -> None:
    """Log only Dovetail's own messages: those of the libraries contain URLs (P4)."""
    logger = logging.getLogger("dovetail")
    logger.setLevel(_LEVELS[min(verbosity, 2)])
    if verbosity and not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
        logger.propagate = False
