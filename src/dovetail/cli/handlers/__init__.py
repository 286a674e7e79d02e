"""What the commands do, apart from how they are spelled: loaded when a command runs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.cli.handlers import config as config
    from dovetail.cli.handlers import decisions as decisions
    from dovetail.cli.handlers import empty_store as empty_store
    from dovetail.cli.handlers import history as history
    from dovetail.cli.handlers import history_csv as history_csv
    from dovetail.cli.handlers import mailroom as mailroom
    from dovetail.cli.handlers import pay as pay
    from dovetail.cli.handlers import payment_request as payment_request
    from dovetail.cli.handlers import receive as receive
    from dovetail.cli.handlers import regtest as regtest
    from dovetail.cli.handlers import resume as resume
    from dovetail.cli.handlers import run as run
    from dovetail.cli.handlers import send as send
    from dovetail.cli.handlers import show as show
    from dovetail.cli.handlers import transfer as transfer
    from dovetail.cli.handlers import v1_server as v1_server
    from dovetail.cli.handlers import wallet as wallet
    from dovetail.cli.handlers import wallet_backup as wallet_backup
    from dovetail.cli.handlers import wallet_secrets as wallet_secrets
    from dovetail.cli.handlers import wallet_transactions as wallet_transactions
else:
    from dovetail.names import on_first_use

    _MODULES = (
        "config",
        "decisions",
        "empty_store",
        "history",
        "history_csv",
        "mailroom",
        "pay",
        "payment_request",
        "receive",
        "regtest",
        "resume",
        "run",
        "send",
        "show",
        "transfer",
        "v1_server",
        "wallet",
        "wallet_backup",
        "wallet_secrets",
        "wallet_transactions",
    )
    __getattr__ = on_first_use(__name__, dict.fromkeys(_MODULES, ""))
