"""The terms that the first event fixed: the payee, the amount, and the fallback (BIP 77)."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.script import Address, Script
from dovetail.bitcoin.transaction import OutPoint, Transaction
from dovetail.bitcoin.units import FeeRate, Sats, UnixTime
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import InvalidEvent
from dovetail.protocol.mailbox import encode_original
from dovetail.protocol.original import prepare_original
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.protocol.settlement import Due, paid_to
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint
from dovetail.sessions.sender.events import Created, CreatedPlain
from dovetail.sessions.settlement import require_spend, spends_one_of


@dataclass(frozen=True, repr=False)
class Terms:
    """The fields of the first event as values; each is parsed once, when first needed."""

    created: Created | CreatedPlain

    def validate(self) -> None:
        """Parse everything now; raises `ParseError` or `InvalidEvent` where the log is wrong."""
        _ = self.address, self.fallback_transaction
        if self.is_plain:
            return
        _ = self.params
        if isinstance(self.endpoint, V2Endpoint):
            _ = self.reply_key

    @property
    def depth(self) -> int:
        """How many confirmations settle the session."""
        return self.created.depth

    @property
    def is_plain(self) -> bool:
        """Whether this pays an address without a payjoin, so that no receiver is asked."""
        return isinstance(self.created, CreatedPlain)

    @cached_property
    def request(self) -> BitcoinUri | PayjoinUri:
        """The payee and the amount, with or without a payjoin."""
        if isinstance(self.created, CreatedPlain):
            return BitcoinUri.parse(self.created.uri)
        return self.uri

    @property
    def address(self) -> Address:
        """The address that is paid; raises `InvalidEvent` where there is none."""
        if self.request.address is None:
            raise InvalidEvent("The payment has no address.")
        return self.request.address

    @cached_property
    def due(self) -> Due:
        """The amount and the payee; another transaction that pays them makes this payment too."""
        script = self.address.script_pubkey
        return Due(script, self.request.amount or paid_to(self.fallback_transaction, script))

    @cached_property
    def uri(self) -> PayjoinUri:
        """The Payjoin URI that is paid; raises `InvalidEvent` for an ordinary payment."""
        return PayjoinUri.parse(self._asked.uri)

    @property
    def endpoint(self) -> V1Endpoint | V2Endpoint:
        """Where the Original PSBT goes."""
        return self.uri.endpoint

    @property
    def _asked(self) -> Created:
        if isinstance(self.created, CreatedPlain):
            raise InvalidEvent("An ordinary payment asks no receiver.")
        return self.created

    @property
    def expires_at(self) -> UnixTime:
        """When posting and polling end; an ordinary payment has neither."""
        if isinstance(self.created, CreatedPlain):
            return UnixTime(self.created.created_at)
        return UnixTime(self.created.expires_at)

    @cached_property
    def original(self) -> Psbt:
        """The signed Original PSBT, as the wallet gave it."""
        return Psbt.parse(self.created.original)

    @cached_property
    def disclosed(self) -> Psbt:
        """The Original PSBT as the receiver gets it, without what it need not know (BIP 78, P4)."""
        return prepare_original(self.original, payee=self.uri.address.script_pubkey)

    @cached_property
    def body(self) -> bytes:
        """The request body; raises `PayloadTooLarge` where no message holds it (BIP 77)."""
        return encode_original(self.disclosed, self.params)

    @cached_property
    def fallback_transaction(self) -> Transaction:
        """The transaction that pays without a payjoin."""
        return self.original.extract()

    @cached_property
    def contested(self) -> tuple[OutPoint, ...]:
        """The sender's inputs, which payjoin and fallback both spend."""
        return self.fallback_transaction.contested()

    @cached_property
    def params(self) -> SenderParams:
        """The optional parameters that go with the Original PSBT (BIP 78)."""
        created = self._asked
        return SenderParams(
            version=1 if isinstance(self.endpoint, V1Endpoint) else 2,
            min_fee_rate=FeeRate(created.min_fee_rate),
            fee_contribution=self._fee_contribution(),
            output_substitution=created.output_substitution,
        )

    def _fee_contribution(self) -> FeeContribution | None:
        contribution = self._asked.fee_contribution
        if contribution is None:
            return None
        amount, index = contribution
        outputs = self.original.unsigned_transaction.outputs
        if not 0 <= index < len(outputs) or not 0 <= amount <= outputs[index].value:
            raise InvalidEvent("The fee contribution is more than its output holds; lower it.")
        return FeeContribution(Sats(amount), index)

    @cached_property
    def reply_key(self) -> SecretKey:
        """The key to which a v2 receiver seals its answer; raises `InvalidEvent` for v1."""
        if self._asked.reply_key is None:
            raise InvalidEvent("This session has no reply key.")
        return SecretKey(self._asked.reply_key)

    @property
    def signing_deadline(self) -> UnixTime | None:
        """When the wallet must have signed a proposal; None: no deadline."""
        deadline = self._asked.signing_deadline
        return None if deadline is None else UnixTime(deadline)

    def spent_by(self, transaction: Transaction) -> bool:
        """Whether `transaction` spends a contested outpoint."""
        return spends_one_of(self.contested, transaction)

    def require_spend(self, transaction: Transaction) -> None:
        """Raise `UsageError` unless `transaction` spends a contested outpoint."""
        require_spend(self.contested, transaction)

    def paid_back(self, transaction: Transaction, owned: Collection[Script]) -> bool:
        """Whether all outputs of `transaction` are among the wallet's `owned` scripts."""
        return all(output.script_pubkey in owned for output in transaction.outputs)
