"""The payments of refunds: one transaction each, pinned, signed, kept, and then broadcast.

Every step is one transaction of the database, and what is asked of the signer and the network may
be asked again. So a process that dies between two statements leaves nothing to mend: the next one
goes on from the refund's row.
"""

import logging
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import Connection

from dovetail.bitcoin import Address, FeeRate, OutPoint, Psbt, Sats, Transaction, Txid, UnixTime
from dovetail.bitcoin.transaction import TxOut
from dovetail.errors import (
    ChainError,
    CoinsTaken,
    DovetailError,
    InsufficientFunds,
    StoreError,
    WalletError,
)
from dovetail.merchant.data import coins, refund_payments, refunds, wallets
from dovetail.merchant.data import invoices as invoice_rows
from dovetail.merchant.data.refund_payments import PaymentRow
from dovetail.merchant.data.refunds import RefundRow
from dovetail.merchant.data.wallets import Purpose
from dovetail.merchant.invoices.refunds import (
    DEEP,
    NotCovered,
    RefundRefused,
    RefundStatus,
    RefundStep,
    require_replacement,
)
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.services.refunds import covered
from dovetail.merchant.services.spending import (
    choose,
    psbt_of,
    transaction_of,
    with_higher_fee,
)
from dovetail.merchant.services.sweeping import release
from dovetail.merchant.signer.policy import SignerRefused
from dovetail.merchant.wallet.ports import Signer
from dovetail.runtime.chain_queries import taken
from dovetail.wallets.ports import Spend

logger = logging.getLogger(__name__)

ENGINE = "engine"
"""How the audit trail names what the engine does."""

PATIENCE = 6 * 3600
"""Seconds without a confirmation after which a higher fee is tried."""

_TARGET = 12
"""Blocks in which a refund should confirm."""


class Trouble(StrEnum):
    """What keeps a refund from being paid; the values are stable."""

    NO_COINS = "no-coins"
    NOT_COVERED = "not-covered"
    NO_SIGNER = "no-signer"
    SIGNER_AWAY = "signer-away"
    SIGNER_REFUSES = "signer-refuses"
    OWNER_WAITED_FOR = "owner-waited-for"
    NETWORK_REFUSES = "network-refuses"

    @property
    def words(self) -> str:
        """What it means, and what to do."""
        return _WORDS[self]


_WORDS = {
    Trouble.NO_COINS: "The hot wallet's free coins do not pay it: send coins to its deposit"
    " address.",
    Trouble.NOT_COVERED: "The invoice's confirmed payments do not cover it any more: wait for"
    " confirmations, or decline it.",
    Trouble.NO_SIGNER: "No signer is configured: set `signer`, and start one.",
    Trouble.SIGNER_AWAY: "The signer does not answer: start it, or correct `signer`.",
    Trouble.SIGNER_REFUSES: "The signer refuses the payment: see its log, decline the refund, and"
    " make another one.",
    Trouble.OWNER_WAITED_FOR: "It waits for the owner: approve it where the signer runs.",
    Trouble.NETWORK_REFUSES: "The network refuses the transaction now: it is tried again.",
}


class RefundPayments:
    """Takes due refunds on, each by what it needs now. Its methods block."""

    def __init__(self, parts: Parts, *, patience: int = PATIENCE) -> None:
        """`patience` is in seconds."""
        self._parts = parts
        self._database = parts.database
        self._chain = parts.chain
        self._patience = patience

    def work(self) -> int:
        """Take each due refund on; return how many there are. One that fails stops no other.

        Raises `StoreUnavailable`.
        """
        due = self._database.read(refunds.due)
        for row in due:
            trouble = self._advanced(row)
            if trouble != row.trouble:
                self._database.write(partial(_tell, row=row, trouble=trouble))
        return len(due)

    def advance(self, row: RefundRow) -> None:
        """Take one refund on; it may have moved on meanwhile.

        Raises `RefundRefused` then, `WalletError`, `ChainError`, and `StoreError`.
        """
        match row.status:
            case RefundStatus.APPROVED:
                rate = self._rate()
                self._database.write(partial(self._pin, row=row, rate=rate))
            case RefundStatus.QUEUED:
                self._ask_for_first(row)
            case RefundStatus.PAYING | RefundStatus.PAID:
                self._watch(row)
            case _:
                self._withdraw(row)

    def _advanced(self, row: RefundRow) -> Trouble | None:
        """What keeps it from going on; None: nothing, or what time will mend."""
        try:
            self.advance(row)
        except _Troubled as error:
            return error.trouble
        except NotCovered:
            return Trouble.NOT_COVERED
        except (RefundRefused, CoinsTaken):
            return None  # another worker was faster, or a session: the next look sees it
        except InsufficientFunds:
            return Trouble.NO_COINS
        except SignerRefused as error:
            logger.warning("Refund %s: %s", row.id, error)
            return Trouble.SIGNER_REFUSES
        except WalletError:
            return Trouble.SIGNER_AWAY
        except StoreError:
            raise
        except DovetailError as error:
            logger.warning("Refund %s: %s", row.id, error)
        return None

    # the transaction is made

    def _rate(self) -> FeeRate:
        return min(self._chain.fee_rate(target=_TARGET), self._parts.policy.max_fee_rate)

    def _pin(self, connection: Connection, *, row: RefundRow, rate: FeeRate) -> None:
        """Choose coins and keep the transaction, all in one; from now on nothing else pays it."""
        if row.address is None:
            raise RefundRefused("The refund has no address.")
        recipient = TxOut(row.amount, Address.parse(row.address).script_pubkey)
        held = refund_payments.held_coins(connection) | refund_payments.coins_of_sessions(
            connection
        )
        free = [
            each
            for each in coins.coins_of(connection, row.wallet_id)
            if each.is_usable and each.outpoint not in held
        ]
        choice = choose(free, recipient, rate, most=self._parts.policy.max_fee_rate)
        refund_payments.hold_coins(connection, row.id, [each.outpoint for each in choice.coins])
        invoice_rows.invoice(connection, row.invoice_id, lock=True)  # before the wallet's counter
        change = None
        if choice.change is not None:
            wallet = self._parts.wallet(row.wallet_id)
            change = wallet.give(
                connection, Keychain.HOT, Purpose.CHANGE, invoice_id=row.invoice_id
            )
        psbt = psbt_of(transaction_of(choice, recipient, change), choice.coins)
        self._keep(connection, row, RefundStep.QUEUE, psbt, number=1, fee=choice.fee)

    def _keep(
        self,
        connection: Connection,
        row: RefundRow,
        step: RefundStep,
        psbt: Psbt,
        *,
        number: int,
        fee: Sats,
    ) -> None:
        now = self._parts.clock()
        refunds.move(
            connection,
            row.id,
            step,
            who=ENGINE,
            now=now,
            check=covered(connection) if step is RefundStep.QUEUE else None,
            txid=str(psbt.unsigned_transaction.txid),
        )
        refund_payments.pin(connection, row.id, number, psbt, fee=fee, now=now)

    # the signer is asked

    def _ask_for_first(self, row: RefundRow) -> None:
        (payment, *_) = self._payments(row)
        if self._is_lost(payment, self._spends(payment)):
            self._move(row, RefundStep.FAIL)
            return
        signed = self._asked(payment, replaces=None)
        if signed is None:
            raise _Troubled(Trouble.OWNER_WAITED_FOR)

        def write(connection: Connection) -> None:
            refunds.move(
                connection,
                row.id,
                RefundStep.SIGN,
                who=ENGINE,
                now=self._parts.clock(),
                check=covered(connection),
            )
            refund_payments.keep_signed(connection, row.id, payment.number, signed)

        self._database.write(write)

    def _asked(self, payment: PaymentRow, *, replaces: str | None) -> Transaction | None:
        """The signed transaction, once the owner has approved it; it is the pinned one."""
        signer, spent = self._signer(), payment.psbt.unsigned_transaction.contested()
        rows = self._database.read(lambda c: coins.coins_at(c, spent))
        index = {each.outpoint: each.index for each in rows}
        inputs = {outpoint: index[outpoint] for outpoint in spent}
        release(signer, spent)
        signer.queue(
            payment.name,
            payment.psbt,
            inputs=inputs,
            outputs=self._change(payment),
            replaces=replaces,
        )
        signed = signer.queued(payment.name)
        if signed is None:
            return None
        transaction = signed.extract()
        if transaction.txid != payment.txid:
            raise WalletError("The signer has signed another transaction: nothing is broadcast.")
        return transaction

    def _change(self, payment: PaymentRow) -> dict[int, tuple[Keychain, int]]:
        outputs = payment.psbt.unsigned_transaction.outputs

        def read(connection: Connection) -> dict[int, tuple[Keychain, int]]:
            found = {
                vout: wallets.address_at(connection, output.script_pubkey)
                for vout, output in enumerate(outputs)
            }
            return {
                vout: (row.keychain, row.index) for vout, row in found.items() if row is not None
            }

        return self._database.read(read)

    def _signer(self) -> Signer:
        if self._parts.signer is None:
            raise _Troubled(Trouble.NO_SIGNER)
        return self._parts.signer

    def _withdraw(self, row: RefundRow) -> None:
        """Have the signer forget a payment that is not wanted any more."""
        for payment in self._payments(row):
            self._signer().withdraw(payment.name)
        self._database.write(partial(refunds.note, row=row, due=False))

    # the network is watched

    def _watch(self, row: RefundRow) -> None:
        payments = self._payments(row)
        spends = self._spends(payments[0])
        known = {each.txid for each in payments}
        ours = [each for each in spends.values() if each.transaction.txid in known]
        if ours:
            best = max(ours, key=lambda spend: spend.depth)
            self._seen(row, payments, best.transaction.txid, best.depth)
        elif row.status is RefundStatus.PAID:
            self._move(row, RefundStep.REORGANISE, depth=0)
        elif self._is_lost(payments[0], spends):
            self._move(row, RefundStep.FAIL)
        else:
            self._broadcast(payments)

    def _seen(
        self, row: RefundRow, payments: tuple[PaymentRow, ...], txid: Txid, depth: int
    ) -> None:
        depth = min(depth, DEEP)
        if row.status is RefundStatus.PAYING:
            if depth:
                self._move(row, RefundStep.CONFIRM, txid=str(txid), depth=depth)
            else:
                self._raise_fee(row, payments)
        elif not depth:
            self._move(row, RefundStep.REORGANISE, depth=0)
        elif depth != row.depth or depth == DEEP:
            height = self._chain.height() - depth + 1
            spent = payments[0].psbt.unsigned_transaction.contested()

            def write(connection: Connection) -> None:
                refunds.note(connection, row, depth=depth, due=depth < DEEP)
                if depth == DEEP:
                    for coin in sorted(
                        spent, key=str
                    ):  # the chain watcher may be late: nobody takes it again
                        coins.set_spend(connection, coin, by=txid, height=height)
                    refund_payments.free_coins(connection, row.id)

            self._database.write(write)

    def _broadcast(self, payments: tuple[PaymentRow, ...]) -> None:
        raw = _newest_signed(payments).raw
        if raw is not None and not taken(self._chain, raw):
            raise _Troubled(Trouble.NETWORK_REFUSES)

    def _raise_fee(self, row: RefundRow, payments: tuple[PaymentRow, ...]) -> None:
        """Replace a transaction that waits too long by one with a higher fee, if there is one."""
        last, sent = payments[-1], _newest_signed(payments)
        refused = last is not sent and row.trouble == Trouble.SIGNER_REFUSES
        if last is not sent and not refused:
            self._sign_replacement(row, sent, last)
        elif self._parts.clock() >= last.at + self._patience:
            self._pin_replacement(row, sent, last.number + 1)
        elif refused:
            raise _Troubled(Trouble.SIGNER_REFUSES)

    def _pin_replacement(self, row: RefundRow, sent: PaymentRow, number: int) -> None:
        before = sent.psbt.unsigned_transaction
        change = [before.outputs[vout].script_pubkey for vout in self._change(sent)]
        rows = self._database.read(lambda c: coins.coins_at(c, before.contested()))
        if not change:
            return
        made = with_higher_fee(before, rows, change[0], sent.fee, self._rate())
        if made is None:
            return
        transaction, fee = made
        require_replacement(before, transaction, change[0])
        psbt = psbt_of(transaction, rows)
        self._database.write(
            lambda c: self._keep(c, row, RefundStep.BUMP, psbt, number=number, fee=fee)
        )

    def _sign_replacement(self, row: RefundRow, sent: PaymentRow, last: PaymentRow) -> None:
        try:
            signed = self._asked(last, replaces=sent.name)
        except SignerRefused:  # what was sent stands; another fee is tried later
            self._database.write(lambda c: refunds.note(c, row, txid=str(sent.txid)))
            raise
        if signed is None:
            return
        self._database.write(lambda c: refund_payments.keep_signed(c, row.id, last.number, signed))
        self._broadcast(self._payments(row))

    def _spends(self, payment: PaymentRow) -> dict[OutPoint, Spend]:
        return dict(self._chain.spends_of(payment.psbt.unsigned_transaction.contested()))

    def _is_lost(self, payment: PaymentRow, spends: dict[OutPoint, Spend]) -> bool:
        """Whether another transaction has a coin of it, too deep to be reorganised away."""
        return any(
            each.transaction.txid != payment.txid and each.depth >= DEEP for each in spends.values()
        )

    def _payments(self, row: RefundRow) -> tuple[PaymentRow, ...]:
        return self._database.read(lambda c: refund_payments.payments_of(c, row.id))

    def _move(self, row: RefundRow, step: RefundStep, **values: Any) -> None:
        now: UnixTime = self._parts.clock()
        self._database.write(lambda c: refunds.move(c, row.id, step, who=ENGINE, now=now, **values))


def _newest_signed(payments: tuple[PaymentRow, ...]) -> PaymentRow:
    """The payment that the network has, or should have; the first one is signed by now."""
    return next((each for each in reversed(payments) if each.raw is not None), payments[0])


class _Troubled(ChainError):
    """It does not go on now."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        super().__init__(trouble.words)


def _tell(connection: Connection, *, row: RefundRow, trouble: Trouble | None) -> None:
    refunds.note(connection, row, trouble=None if trouble is None else trouble.value)
