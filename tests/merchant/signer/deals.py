"""A shop's wallet with a signer, a customer who pays it, and payjoins of theirs to sign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.support.keys import SEQUENCE, Keys

from dovetail.bitcoin import Network, Psbt, PsbtInput, Sats, Script, ScriptType
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.signer import keys, messages
from dovetail.merchant.signer.client import own_inputs, own_outputs
from dovetail.merchant.signer.log import SignerLog
from dovetail.merchant.signer.policy import Limits
from dovetail.merchant.signer.service import SignerService
from dovetail.merchant.wallet.descriptors import script_at
from dovetail.protocol.coin import Coin
from dovetail.wallets.bdk.keys import public, secret_from_mnemonic
from dovetail.wallets.wallet_file import Secret

HOT_WORDS = " ".join(["abandon"] * 11 + ["about"])
COLD_WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"
AMOUNT = 60_000
FEE = 1_000
THIEF = Keys("thief").script(1)
INVOICE_INDEX, COLD_INDEX, COIN_INDEX = 3, 1, 7


def hot_secret(kind: ScriptType = ScriptType.P2WPKH) -> Secret:
    return secret_from_mnemonic(HOT_WORDS, Network.REGTEST, kind)


def cold_descriptor() -> str:
    return public(secret_from_mnemonic(COLD_WORDS, Network.REGTEST, ScriptType.P2TR))[0]


@dataclass(frozen=True)
class Deal:
    """A payment of a customer to the invoice, and how the shop joins it."""

    shop_keys: keys.Keys
    session: str = "invoice-1"
    coins: Mapping[int, int] = field(default_factory=lambda: {COIN_INDEX: 80_000})
    """The shop's coins: the index of the key, and the value."""
    amount: int = AMOUNT
    settles_cold: bool = True
    customer: Keys = field(default_factory=lambda: Keys("customer"))

    def hot(self, index: int) -> Script:
        return script_at(self.shop_keys.hot, Network.REGTEST, index)

    @property
    def cold(self) -> Script:
        return script_at(self.shop_keys.cold or "", Network.REGTEST, COLD_INDEX)

    @property
    def original(self) -> Psbt:
        coin = self.customer.coin(1, 100_000)
        return self.customer.pay(self.hot(INVOICE_INDEX), self.amount, coins=(coin,), fee=FEE)

    @property
    def fallback(self) -> Transaction:
        return self.original.extract()

    @property
    def coin_list(self) -> list[Coin]:
        return [shop_coin(self.hot(index), index, value) for index, value in self.coins.items()]

    @property
    def own(self) -> dict[OutPoint, int]:
        """The coins to sign, with the index of each key."""
        return {shop_coin(self.hot(index), index, 1).outpoint: index for index in self.coins}

    @property
    def change(self) -> TxOut:
        """What the customer keeps."""
        (found,) = (
            each for each in self.fallback.outputs if each.script_pubkey == self.customer.script(7)
        )
        return found

    @property
    def joined(self) -> int:
        """What the shop's output has in an honest payjoin: the payment, the coins, less the fee."""
        return self.amount + sum(self.coins.values()) - FEE

    def psbt(self, *outputs: TxOut, own: Sequence[Coin] | None = None) -> Psbt:
        """The PSBT to sign; honest outputs unless others are given."""
        ours = self.cold if self.settles_cold else self.hot(INVOICE_INDEX)
        paid = outputs or (TxOut(Sats(self.joined), ours), self.change)
        coins = self.coin_list if own is None else own
        theirs = self.original.unsigned_transaction.inputs
        spent = [*theirs, *(TxIn(each.outpoint, sequence=SEQUENCE) for each in coins)]
        transaction = Transaction(2, tuple(spent), tuple(paid), 0)
        senders = [PsbtInput().with_witness_utxo(utxo) for utxo in self.original.utxos()]
        inputs = (*senders, *(each.psbt_input for each in coins))
        empty = Psbt.from_unsigned(transaction)
        return empty.with_transaction(transaction, inputs, empty.outputs)

    def request(self, psbt: Psbt | None = None, /, **changes: Any) -> messages.Sign:
        """What an honest server asks, with changes of a thief."""
        asked = psbt or self.psbt()
        usual: dict[str, Any] = {
            "session": self.session,
            "psbt": asked.serialize(),
            "fallback": self.fallback.serialize(),
            "fallback_index": INVOICE_INDEX,
            "inputs": own_inputs(self.own),
            "outputs": own_outputs(self.named(asked)),
        }
        return messages.Sign(**(usual | changes))

    def named(self, psbt: Psbt) -> dict[int, tuple[Keychain, int]]:
        """The outputs that are the shop's, as an honest server names them."""
        at = {self.hot(INVOICE_INDEX): (Keychain.HOT, INVOICE_INDEX)}
        if self.shop_keys.cold is not None:
            at[self.cold] = (Keychain.COLD, COLD_INDEX)
        outputs = psbt.unsigned_transaction.outputs
        return {
            vout: at[output.script_pubkey]
            for vout, output in enumerate(outputs)
            if output.script_pubkey in at
        }

    def but(self, **changes: Any) -> "Deal":
        return replace(self, **changes)


def shop_coin(script: Script, index: int, value: int) -> Coin:
    txid = Txid(sha256(f"coin of the shop {index}".encode()).digest())
    utxo = TxOut(Sats(value), script)
    return Coin(OutPoint(txid, 0), PsbtInput().with_witness_utxo(utxo), utxo)


@dataclass
class SignersHouse:
    """A signer without a socket."""

    folder: Path
    kind: ScriptType = ScriptType.P2WPKH
    cold: bool = True
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.keys = keys.Keys(hot_secret(self.kind), cold=cold_descriptor() if self.cold else None)
        self.deal = Deal(self.keys)
        self.restart()

    def restart(self) -> None:
        """Open the log again, as after a crash."""
        self.log = SignerLog.open(self.folder / "signer.db")
        self.service = SignerService(self.keys, self.log, self.limits)

    def opened(self, session: str = "invoice-1", demand: int = AMOUNT) -> "SignersHouse":
        assert self.service.answer(messages.Open(session=session, demand=demand)) == messages.Done()
        return self

    def signed(self, request: messages.Request) -> Psbt:
        answer = self.service.answer(request)
        assert isinstance(answer, messages.Signed), answer
        return Psbt.parse(answer.psbt)

    def refusal(self, request: messages.Request) -> str:
        answer = self.service.answer(request)
        assert isinstance(answer, messages.Refusal), answer
        return answer.why
