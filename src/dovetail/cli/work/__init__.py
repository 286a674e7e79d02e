"""What the commands do, apart from how they are spelled: loaded when a command runs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dovetail.cli.work import agents as agents
    from dovetail.cli.work import backing as backing
    from dovetail.cli.work import beginnings as beginnings
    from dovetail.cli.work import configuring as configuring
    from dovetail.cli.work import deciding as deciding
    from dovetail.cli.work import endpoints as endpoints
    from dovetail.cli.work import following as following
    from dovetail.cli.work import keeping as keeping
    from dovetail.cli.work import listing as listing
    from dovetail.cli.work import mailrooms as mailrooms
    from dovetail.cli.work import paying as paying
    from dovetail.cli.work import previewing as previewing
    from dovetail.cli.work import receiving as receiving
    from dovetail.cli.work import regtests as regtests
    from dovetail.cli.work import requests as requests
    from dovetail.cli.work import resuming as resuming
    from dovetail.cli.work import running as running
    from dovetail.cli.work import sending as sending
    from dovetail.cli.work import sheets as sheets
    from dovetail.cli.work import showing as showing
    from dovetail.cli.work import transactions as transactions
    from dovetail.cli.work import transferring as transferring
    from dovetail.cli.work import wallets as wallets


def __getattr__(name: str) -> Any:
    """Load a module of this package when it is named (PEP 562): `--help` needs none of them."""
    if name.startswith("_"):
        raise AttributeError(name)
    return import_module(f"{__name__}.{name}")
