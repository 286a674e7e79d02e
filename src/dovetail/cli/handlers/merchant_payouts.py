"""`dovetail merchant approve` and `sweep`: how a shop's coins leave its hot wallet."""

from collections.abc import Callable

from dovetail.bitcoin import Address, FeeRate, Network, Script
from dovetail.cli import context, json_keys, merchant_parts, open_parts
from dovetail.cli.exits import Exit
from dovetail.cli.output import Screen, confirm, require_somebody, sats
from dovetail.errors import ChainError, ConfigurationError, ParseError, UsageError
from dovetail.merchant.data import audit, wallets
from dovetail.merchant.services.sweeping import prepare_sweep
from dovetail.merchant.signer.log import SignerLog
from dovetail.merchant.signer.policy import Payout
from dovetail.runtime.chain_queries import taken

_TARGET = 12
"""Blocks in which a sweep should confirm: it is in no hurry."""


def approve(screen: Screen, *, payment: str | None, yes: bool) -> int:
    """List the payments that wait, or approve one; see `dovetail merchant approve --help`."""
    home = context.home(tell=False)
    log = SignerLog.open(merchant_parts.folder(home) / merchant_parts.SIGNER_LOG)
    try:
        waiting = log.waiting()
        if payment is None:
            _list(screen, waiting, home.network)
            return Exit.DONE
        if payment not in waiting:
            raise UsageError("No payment of this id waits: run it without an id to see them.")
        _show(screen.say, payment, waiting[payment], home.network)
        if not yes:
            require_somebody()
            confirm("Sign this payment?")
        if not log.approve(payment):
            raise UsageError("The payment was withdrawn meanwhile: nothing is signed.")
        _emit(screen, payment, log.waiting(), home.network)
    finally:
        log.close()
    screen.say("It is approved: the signer signs it when the server asks next.")
    return Exit.DONE


def sweep(
    screen: Screen,
    *,
    keep: int,
    fee_rate: FeeRate | None,
    yes: bool,
    database: str | None,
    signer: str | None,
) -> int:
    """Send hot coins to cold storage; see `dovetail merchant sweep --help`."""
    home = context.home(tell=False)
    settings = merchant_parts.settings_of(home, database=database, signer=signer)
    if not yes:
        require_somebody()
    with (
        merchant_parts.open_database(home, settings) as opened,
        merchant_parts.open_signer(home, settings) as asked,
        open_parts.open_chain(home) as chain,
    ):
        known = opened.read(wallets.all_wallets)
        if not known:
            raise ConfigurationError("There is no store yet: make one with `merchant store`.")
        merchant_parts.remind(asked, opened)
        rate = fee_rate or chain.fee_rate(target=_TARGET)
        made = prepare_sweep(opened, known[0], asked, keep=keep, fee_rate=rate)
        screen.say(
            f"To cold storage: {made.coins} of the hot coins, {sats(int(made.amount))}; the fee is"
            f" {sats(int(made.fee))}."
        )
        if not yes:
            confirm("Broadcast it?")
        if not taken(chain, made.transaction):
            raise ChainError("The network refuses the sweep: wait for a block, and try again.")
        txid, amount, fee = str(made.transaction.txid), int(made.amount), int(made.fee)
        opened.write(
            lambda c: audit.add(
                c,
                who=audit.OWNER,
                what="wallet.sweep",
                subject=txid,
                now=opened.now(),
                detail={"coins": made.coins, "amount_sats": amount, "fee_sats": fee},
            )
        )
    screen.result(txid)
    values = {"txid": txid, "coins": made.coins, "amount_sats": amount, "fee_sats": fee}
    screen.emit(json_keys.MERCHANT_SWEEP, values)
    return Exit.DONE


def _list(screen: Screen, waiting: dict[str, Payout], network: Network) -> None:
    for name, payout in waiting.items():
        _show(screen.result, name, payout, network)
    if not waiting:
        screen.say("No payment waits.")
    _emit(screen, None, waiting, network)


def _emit(
    screen: Screen, approved: str | None, waiting: dict[str, Payout], network: Network
) -> None:
    listed = [
        {
            "payment": name,
            "recipients": [
                {"script": script, "address": _address(script, network), "sats": amount}
                for script, amount in payout.recipients
            ],
            "fee_sats": payout.fee,
        }
        for name, payout in waiting.items()
    ]
    screen.emit(json_keys.MERCHANT_APPROVE, {"approved": approved, "waiting": listed})


def _show(write: Callable[[str], None], name: str, payout: Payout, network: Network) -> None:
    for script, amount in payout.recipients:
        write(f"{name}: {sats(amount)} to {_recipient(script, network)}")
    write(f"{name}: {sats(payout.fee)} as fee")


def _recipient(script: str, network: Network) -> str:
    return _address(script, network) or f"the script {script}"


def _address(script: str, network: Network) -> str | None:
    try:
        return str(Address.from_script(Script(bytes.fromhex(script)), network))
    except ParseError:
        return None
