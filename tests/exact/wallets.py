"""Wallets of one key that sign for real, in each of four script types."""

from dataclasses import dataclass
from itertools import count

from btclib_secp256k1 import dsa, ssa
from tests.support.keys import unsigned

from dovetail.bitcoin import FeeRate, Psbt, PsbtInput, Sats, Script, ScriptType, Weight
from dovetail.bitcoin.hashes import hash160, sha256
from dovetail.bitcoin.sighash import ALL, SignatureHashes
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.weights import output_weight, predicted_input_weight
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.coin import Coin
from dovetail.protocol.fees import fee_at, shared_weight

KINDS = (ScriptType.P2PKH, ScriptType.P2SH, ScriptType.P2WPKH, ScriptType.P2TR)
"""P2SH is nested P2WPKH."""


@dataclass(frozen=True, slots=True)
class Habit:
    """How a wallet signs, and how long it takes a signature to be when it sets a fee."""

    name: str
    grinds: bool
    estimate: int


HABITS = (
    Habit("BDK's", grinds=True, estimate=72),
    Habit("Bitcoin Core's", grinds=True, estimate=71),
    Habit("without low R", grinds=False, estimate=72),
)


@dataclass(frozen=True, slots=True)
class Wallet:
    """Whose coins and outputs are all of one script type."""

    secret: SecretKey
    kind: ScriptType
    habit: Habit = HABITS[0]

    @property
    def key(self) -> bytes:
        return self.secret.public_key.compressed

    @property
    def witness_program(self) -> Script:
        return Script(b"\x00\x14" + hash160(self.key))

    def script(self, kind: ScriptType | None = None) -> Script:
        match kind or self.kind:
            case ScriptType.P2PKH:
                return Script(b"\x76\xa9\x14" + hash160(self.key) + b"\x88\xac")
            case ScriptType.P2SH:
                return Script(b"\xa9\x14" + hash160(self.witness_program) + b"\x87")
            case ScriptType.P2WPKH:
                return self.witness_program
            case _:
                return Script(b"\x51\x20" + self.key[1:])

    def coins(self, number: int, value: int) -> tuple[Coin, ...]:
        return tuple(self._coin(index, value) for index in range(number))

    def _coin(self, index: int, value: int) -> Coin:
        seed = sha256(self.key + bytes([index]))
        source = TxIn(OutPoint(Txid(seed), 0))
        funding = Transaction(2, (source,), (TxOut(Sats(value), self.script()),), 0)
        known = PsbtInput()
        if self.kind is ScriptType.P2PKH:
            known = known.with_non_witness_utxo(funding)
        else:
            known = known.with_witness_utxo(funding.outputs[0])
        if self.kind is ScriptType.P2SH:
            known = known.with_redeem_script(self.witness_program)
        return Coin(OutPoint(funding.txid, 0), known, funding.outputs[0])

    def estimate(self, inputs: int, outputs: tuple[TxOut, ...]) -> Weight:
        """What this wallet takes a transaction of its own to weigh."""
        shorter = {ScriptType.P2PKH: 4 * (72 - self.habit.estimate), ScriptType.P2TR: 0}.get(
            self.kind, 72 - self.habit.estimate
        )
        segwit = [self.kind is not ScriptType.P2PKH] * inputs
        each = predicted_input_weight(self.kind) - shorter
        fixed = 4 * 9 + sum(map(output_weight, outputs))
        return Weight(fixed + inputs * each + shared_weight((), segwit))

    def pay(
        self,
        payee: Script,
        amount: int,
        *,
        rate: FeeRate,
        inputs: int,
        change: bool,
        weighed: bool = False,
    ) -> Psbt:
        """A signed Original; without change the rest of the coins is paid too.

        Where it is `weighed`, it pays the rate for what it weighs when it is signed, as our program
        on rust-payjoin has it; else for what the wallet takes it to weigh before.
        """
        estimate = self.estimate(inputs, (TxOut(Sats(0), payee), *self._change(change)))
        signed = self._pay(payee, amount, fee_at(rate, estimate), inputs, change=change)
        if not weighed:
            return signed
        fee = fee_at(rate, signed.extract().weight)
        return self._pay(payee, amount, fee, inputs, change=change)

    def _change(self, wanted: bool) -> tuple[TxOut, ...]:  # noqa: FBT001 - of one question
        return (TxOut(Sats(0), self.script()),) if wanted else ()

    def _pay(self, payee: Script, amount: int, fee: int, inputs: int, *, change: bool) -> Psbt:
        coins = self.coins(inputs, 40_000_000)
        brought = sum(int(coin.utxo.value) for coin in coins)
        outputs = (TxOut(Sats(amount), payee), *self._change(change))
        last = outputs[-1]
        rest = brought - fee - (amount if change else 0)
        outputs = (*outputs[:-1], TxOut(Sats(rest), last.script_pubkey))
        return self.sign(unsigned(coins, *outputs))

    def sign(self, psbt: Psbt) -> Psbt:
        hashes = SignatureHashes(psbt.unsigned_transaction, psbt.utxos())
        for index, spent in enumerate(hashes.spent):
            if spent.script_pubkey == self.script():
                final = psbt.inputs[index].with_final(*self._final(hashes, index))
                psbt = psbt.with_input(index, final)
        return psbt

    def _final(self, hashes: SignatureHashes, index: int) -> tuple[bytes, tuple[bytes, ...]]:
        code = self.script(ScriptType.P2PKH)
        match self.kind:
            case ScriptType.P2PKH:
                signature = self._ecdsa(hashes.legacy(index, code, ALL))
                return bytes([len(signature)]) + signature + b"\x21" + self.key, ()
            case ScriptType.P2TR:
                return b"", (ssa.sign(hashes.taproot(index, 0), self.secret.reveal()),)
            case _:
                signature = self._ecdsa(hashes.witness_v0(index, code, ALL))
                nested = self.kind is ScriptType.P2SH
                return b"\x16" + self.witness_program if nested else b"", (signature, self.key)

    def _ecdsa(self, digest: bytes) -> bytes:
        if self.habit.grinds:
            return dsa.sign(digest, self.secret.reveal(), grind=True) + bytes([ALL])
        # As long as such a wallet's may be, which one in two is.
        made = (
            dsa.sign(digest, self.secret.reveal(), number.to_bytes(32, "big")) + bytes([ALL])
            for number in count()
        )
        return next(signature for signature in made if len(signature) == 72)
