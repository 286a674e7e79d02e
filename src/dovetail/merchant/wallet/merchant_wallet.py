"""The wallet of a shop's sessions: its coins are rows, and its keys are the signer's."""

from collections.abc import Callable, Collection
from typing import NoReturn
from uuid import UUID

from sqlalchemy import Connection

from dovetail.bitcoin import (
    Address,
    FeeRate,
    Network,
    OutPoint,
    Psbt,
    PsbtInput,
    Sats,
    Script,
    Transaction,
    TxOut,
)
from dovetail.errors import UsageError, WalletError
from dovetail.merchant.data import coins, invoices, refund_payments
from dovetail.merchant.data.coins import CoinRow
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.wallets import (
    Purpose,
    WalletRow,
    address_at,
    address_for,
    give_address,
)
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.wallet.descriptors import script_at
from dovetail.merchant.wallet.ports import Signer
from dovetail.protocol.coin import Coin
from dovetail.sessions import receiver
from dovetail.stores.ports import SessionId
from dovetail.wallets.ports import Balance

NO_SIGNER = "No signer is set: start one, and set `signer`."
_SPENDS_NOT = (
    "A shop's wallet pays by its signer alone: sweep to cold storage, or approve a payment there."
)


class MerchantWallet:
    """A `Wallet` that owns no keys; the chain watcher keeps its coins, and the signer signs.

    It also is a `SettlingWallet`: with a cold descriptor each invoice has a script there, which a
    payjoin pays in place of the invoice's own.
    """

    def __init__(self, database: Database, row: WalletRow, signer: Signer | None) -> None:
        """Use the wallet of this row; without a signer it cannot sign."""
        self._database = database
        self._row = row
        self._signer = signer

    def __repr__(self) -> str:
        return f"<MerchantWallet {self._row.id}>"

    @property
    def id(self) -> UUID:
        """The id of its row."""
        return self._row.id

    @property
    def network(self) -> Network:
        """See `Wallet.network`."""
        return self._row.network

    def sync(self) -> None:
        """Do nothing: the chain watcher keeps the coins."""

    def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        """Do nothing: only sessions and the signer spend from this wallet."""

    def balance(self) -> Balance:
        """See `Wallet.balance`."""
        rows = self._coins()
        return Balance(
            confirmed=Sats.sum(each.value for each in rows if each.is_usable),
            unconfirmed=Sats.sum(
                each.value for each in rows if each.height is None and not each.absent
            ),
        )

    def new_address(self) -> Address:
        """Return a deposit address: what is sent there can be contributed to payjoins."""
        return self._address(
            self._database.write(
                lambda connection: self.give(connection, Keychain.HOT, Purpose.DEPOSIT)
            )
        )

    def give(
        self,
        connection: Connection,
        keychain: Keychain,
        purpose: Purpose,
        *,
        invoice_id: UUID | None = None,
    ) -> Script:
        """Give out the next script of a keychain, in the caller's transaction."""
        descriptor = self._row.descriptor_of(keychain)
        return give_address(
            connection,
            self._row.id,
            keychain,
            purpose,
            lambda index: script_at(descriptor, self._row.network, index),
            invoice_id=invoice_id,
        ).script

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        """See `Wallet.owned`: scripts that were given out, in both keychains."""

        def read(connection: Connection) -> frozenset[Script]:
            found = ((script, address_at(connection, script)) for script in set(scripts))
            return frozenset(
                script for script, row in found if row is not None and row.wallet_id == self.id
            )

        return self._database.read(read)

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """See `Wallet.owned_coins`."""
        return self._database.read(lambda c: coins.known_coins(c, set(outpoints)))

    def coins(self) -> tuple[Coin, ...]:
        """See `Wallet.coins`: confirmed hot coins that nothing spends, and no refund holds."""
        held = self._database.read(refund_payments.held_coins)
        return tuple(
            _coin(row) for row in self._coins() if row.is_usable and row.outpoint not in held
        )

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        """Ask the signer to sign for the session that holds these coins; raises `WalletError`."""
        if self._signer is None:
            raise WalletError(NO_SIGNER)
        wanted = set(inputs)
        session_id, row = self._session_of(wanted)
        if not wanted.isdisjoint(self._database.read(refund_payments.held_coins)):
            raise WalletError("A refund spends one of the coins: this payjoin is not signed.")
        state = receiver.replay(self._database.sessions.receiver(session_id).load())
        fallback = _fallback_of(state)
        at = self._database.read(lambda connection: address_at(connection, row.script))
        if at is None:
            raise WalletError("The invoice's address is not one of this wallet: nothing is signed.")
        name = str(row.id)
        for holder in set(self._signer.holders(wanted).values()) - {name}:
            self._signer.release(holder)  # the store gave us the coins: that session is over
        return self._signer.sign(
            name,
            psbt,
            inputs={each.outpoint: each.index for each in self._coins() if each.outpoint in wanted},
            outputs=self._own_outputs(psbt),
            fallback=fallback,
            fallback_index=at.index,
        )

    def settlement_script(self, script: Script) -> Script | None:
        """Return the cold script of the invoice at `script`, recorded first; None without one."""
        if self._row.cold_descriptor is None:
            return None

        def write(connection: Connection) -> Script | None:
            at = address_at(connection, script)
            if at is None or at.invoice_id is None or at.wallet_id != self.id:
                return None
            invoices.invoice(connection, at.invoice_id, lock=True)  # one script, whoever asks
            known = address_for(connection, at.invoice_id, self.id, Purpose.SETTLEMENT)
            if known is not None:
                return known.script
            cold = self.give(
                connection, Keychain.COLD, Purpose.SETTLEMENT, invoice_id=at.invoice_id
            )
            invoices.set_settlement(connection, at.invoice_id, cold)
            return cold

        return self._database.write(write)

    def pay(
        self,
        script: Script,  # noqa: ARG002 - as `Wallet` has it, also below
        amount: Sats,  # noqa: ARG002
        *,
        fee_rate: FeeRate,  # noqa: ARG002
        unspendable: Collection[OutPoint] = (),  # noqa: ARG002
    ) -> NoReturn:
        """Raise `WalletError`: a shop's server spends nothing."""
        raise WalletError(_SPENDS_NOT)

    def revoke(
        self,
        outpoint: OutPoint,  # noqa: ARG002
        *,
        fee_rate: FeeRate,  # noqa: ARG002
    ) -> NoReturn:
        """Raise `WalletError`: a shop's server spends nothing."""
        raise WalletError(_SPENDS_NOT)

    def _coins(self) -> tuple[CoinRow, ...]:
        return self._database.read(lambda connection: coins.coins_of(connection, self.id))

    def _session_of(self, wanted: Collection[OutPoint]) -> tuple[SessionId, InvoiceRow]:
        """The session that holds the coins, and its invoice."""
        holders = self._database.sessions.holders()
        holding = {holders.get(outpoint) for outpoint in wanted}
        (session_id,) = holding if len(holding) == 1 else (None,)
        row = None
        if session_id is not None:
            row = self._database.read(lambda c: invoices.invoice_of_session(c, session_id))
        if session_id is None or row is None:
            raise WalletError("The coins are not held by one session of an invoice: try again.")
        return session_id, row

    def _own_outputs(self, psbt: Psbt) -> dict[int, tuple[Keychain, int]]:
        """The outputs that pay the wallet, with the keychain and index of each."""

        def read(connection: Connection) -> dict[int, tuple[Keychain, int]]:
            outputs = psbt.unsigned_transaction.outputs
            found = {
                vout: address_at(connection, output.script_pubkey)
                for vout, output in enumerate(outputs)
            }
            return {
                vout: (row.keychain, row.index)
                for vout, row in found.items()
                if row is not None and row.wallet_id == self.id
            }

        return self._database.read(read)

    def _address(self, script: Script) -> Address:
        return Address.from_script(script, self.network)


def _coin(row: CoinRow) -> Coin:
    utxo = TxOut(row.value, row.script)
    return Coin(row.outpoint, PsbtInput().with_witness_utxo(utxo), utxo)


def _fallback_of(state: receiver.ReceiverSession) -> Transaction:
    if not isinstance(state, receiver.ProvisionalProposal):
        raise UsageError("The session has gone on: it needs no signature now.")
    return state.payload.fallback_transaction
