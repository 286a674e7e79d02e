"""A dishonest sender: whatever can be written into a receiver's mailbox."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.hostile.payment import Played, Stage
from tests.hostile.record import Play
from tests.support.keys import unsigned
from tests.support.stepping import AMOUNT, Receiving
from tests.support.wallet import FEE

from dovetail.bitcoin import FeeRate, Psbt, PsbtInput, Sats, Script, Transaction, TxOut
from dovetail.crypto.secp256k1 import PublicKey, SecretKey
from dovetail.errors import InvalidPsbt
from dovetail.protocol import Coin, FeeContribution, SenderParams, V2Endpoint
from dovetail.protocol.mailbox import encode_original, seal_message_a
from dovetail.sessions import receiver

REPLY_KEY = SecretKey(b"\x0b" * 32)
PARAMS = SenderParams(
    min_fee_rate=FeeRate.BROADCAST_MIN, fee_contribution=FeeContribution(Sats(300), 1)
)
MOST = 50 * 69
"""What the receiver's own fee cap lets one input cost him."""


@dataclass(frozen=True, slots=True)
class Mallory:
    """She has Alice's coins, and a Payjoin URI of Bob's."""

    stage: Stage
    receiving: Receiving

    @property
    def payee(self) -> Script:
        return self.receiving.uri.address.script_pubkey

    @property
    def endpoint(self) -> V2Endpoint:
        endpoint = self.receiving.uri.endpoint
        assert isinstance(endpoint, V2Endpoint)
        return endpoint

    def coins(self) -> list[Coin]:
        return sorted(self.stage.alice.party.wallet.coins(), key=lambda coin: coin.outpoint)

    def payment(
        self, amount: int = AMOUNT, *, to: Script | None = None, fee: int = FEE, coins: int = 1
    ) -> Psbt:
        """A payment with change that nobody has signed."""
        spent = self.coins()[:coins]
        rest = sum(coin.utxo.value for coin in spent) - amount - fee
        outputs = TxOut(Sats(amount), to or self.payee), TxOut(Sats(rest), self.own_script())
        return unsigned(spent, *outputs)

    def own_script(self) -> Script:
        return self.stage.alice.party.wallet.new_address().script_pubkey

    def paid(self, *amount: int, **terms: Any) -> Psbt:
        """The same, signed."""
        return self.sign(self.payment(*amount, **terms))

    def sign(self, psbt: Psbt) -> Psbt:
        outpoints = psbt.unsigned_transaction.contested()
        return self.stage.alice.party.wallet.sign(psbt, inputs=outpoints)

    def post(self, message: bytes) -> None:
        """Write to the receiver's mailbox, as anybody can who has seen the URI."""
        self.stage.world.wire.directory.mailboxes[self.endpoint.short_id] = message

    def seal(self, body: bytes, *, reply_key: PublicKey = REPLY_KEY.public_key) -> bytes:
        return seal_message_a(body, receiver_key=self.endpoint.receiver_key, reply_key=reply_key)

    def write(self, body: bytes) -> None:
        self.post(self.seal(body))

    def offer(self, psbt: Psbt, params: SenderParams = PARAMS) -> Psbt:
        """Post it as an Original PSBT; it is given back."""
        self.write(encode_original(psbt, params))
        return psbt

    def accept(self, monitor: receiver.Monitor) -> Transaction:
        """Sign the receiver's Proposal, like an honest sender."""
        proposal = monitor.proposal
        assert proposal is not None
        coins = {coin.outpoint: coin for coin in self.coins()}
        for place, outpoint in enumerate(proposal.unsigned_transaction.contested()):
            if outpoint in coins:
                proposal = proposal.with_input(place, coins[outpoint].psbt_input)
        return self.sign(proposal).extract()


Scheme = Callable[[Mallory], Psbt | None]
"""Offers something; the payment, if it was one."""


def received(receiving: Receiving, psbt: Psbt | None) -> Played:
    """Bob's session, in which this was offered."""
    return Played(
        sessions=(receiving,),
        address=receiving.uri.address,
        fallback=None if psbt is None else _extracted(psbt),
    )


def _extracted(psbt: Psbt) -> Transaction | None:
    try:
        return psbt.extract()
    except InvalidPsbt:
        return None


def offering(scheme: Scheme) -> Play:
    """A sender who offers this, and then is silent."""

    async def play(stage: Stage) -> Played:
        receiving = stage.bob.receive()
        return received(receiving, scheme(Mallory(stage, receiving)))

    return play


def paying(scheme: Scheme) -> Play:
    """A sender who tries this, and signs what comes back."""

    async def play(stage: Stage) -> Played:
        receiving = stage.bob.receive()
        mallory = Mallory(stage, receiving)
        psbt = scheme(mallory)
        payjoin = mallory.accept(await receiving.to(receiver.Monitor))
        assert stage.lost_to_fees(receiving, payjoin) <= MOST
        stage.mined(payjoin)
        return received(receiving, psbt)

    return play


def changed(psbt: Psbt, **parts: Any) -> Psbt:
    """With another transaction, of as many inputs and outputs."""
    transaction = replace(psbt.unsigned_transaction, **parts)
    return psbt.with_transaction(transaction, psbt.inputs, psbt.outputs)


def spoilt(psbt_input: PsbtInput) -> PsbtInput:
    """A final input whose signature is wrong in one bit."""
    signature, *rest = psbt_input.final_script_witness or (b"",)
    wrong = signature[:20] + bytes([signature[20] ^ 1]) + signature[21:]
    return psbt_input.with_final(b"", (wrong, *rest))
