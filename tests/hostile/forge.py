"""A dishonest receiver: the Original has come, and any answer to it can be made."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.hostile.payment import Played, Stage, played_by
from tests.hostile.record import Play

from dovetail.bitcoin import Psbt, PsbtInput, Script, Transaction
from dovetail.crypto.secp256k1 import PublicKey
from dovetail.protocol.mailbox import ShortId, seal_message_b
from dovetail.sessions import receiver, sender


@dataclass(frozen=True, slots=True)
class Forge:
    """What a dishonest receiver has in hand, once the Original has come."""

    stage: Stage
    original: Psbt
    honest: Psbt
    """The Proposal as it ought to be."""
    payee: Script

    @property
    def tx(self) -> Transaction:
        return self.honest.unsigned_transaction

    @property
    def theirs(self) -> int:
        """The place of the sender's first input."""
        spent = self.original.unsigned_transaction.contested()[0]
        return self.tx.contested().index(spent)

    @property
    def ours(self) -> int:
        """The place of the receiver's first input."""
        senders = self.original.unsigned_transaction.contested()
        return next(i for i, each in enumerate(self.tx.contested()) if each not in senders)

    @property
    def change(self) -> Script:
        outputs = self.original.unsigned_transaction.outputs
        return next(each.script_pubkey for each in outputs if each.script_pubkey != self.payee)

    def signed(self, transaction: Transaction) -> bytes:
        """The Proposal for this transaction, signed by the receiver as it ought to be."""
        coins = {coin.outpoint: coin for coin in self.stage.bob.party.wallet.coins()}
        psbt = Psbt.from_unsigned(transaction)
        for index, txin in enumerate(transaction.inputs):
            if txin.previous_output in coins:
                psbt = psbt.with_input(index, coins[txin.previous_output].psbt_input)
        wallet = self.stage.bob.party.wallet
        return wallet.sign(psbt, inputs=transaction.contested()).serialize()

    def with_input(self, index: int, psbt_input: PsbtInput) -> bytes:
        return self.honest.with_input(index, psbt_input).serialize()


Lie = Callable[[Forge], bytes]


async def negotiated(
    stage: Stage, *, v1: bool = False
) -> tuple[Forge, Played, receiver.PayjoinProposal]:
    """Alice waits for the answer; the honest one is ready, and not posted."""
    sending, receiving = await stage.begin(sender.PollingForProposal, v1=v1)
    honest = await receiving.to(receiver.PayjoinProposal)
    forge = Forge(stage, honest.original, honest.proposal, receiving.uri.address.script_pubkey)
    return forge, played_by(sending), honest


def reply_to(honest: receiver.PayjoinProposal) -> PublicKey:
    key = honest.payload.reply_to.reply_key
    assert key is not None
    return key


def put(stage: Stage, honest: receiver.PayjoinProposal, message: bytes) -> None:
    stage.world.wire.directory.mailboxes[ShortId.of(reply_to(honest))] = message


def answer(stage: Stage, honest: receiver.PayjoinProposal, plaintext: bytes) -> None:
    """Answer with this plaintext, sealed as it ought to be."""
    secret = honest.terms.require_mailbox().secret_key
    put(
        stage, honest, seal_message_b(plaintext, receiver_secret=secret, reply_key=reply_to(honest))
    )


def answering(lie: Lie, *, pjos: bool = True, inputs: int = 1) -> Play:
    """A receiver who says this, and is otherwise honest."""

    async def play(stage: Stage) -> Played:
        stage.alice.party.wallet.also_spends = inputs - 1
        forge, played, honest = await negotiated(stage, v1=not pjos)
        answer(stage, honest, lie(forge))
        return played

    return play
