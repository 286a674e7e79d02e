"""A sender, a directory, a wallet and a log for the receiver's tests; scenarios to any state."""

from dataclasses import dataclass, field
from typing import TypeVar

from tests.support.directory import Directory
from tests.support.keys import Keys, as_claimed
from tests.support.log import MemoryLog

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import FeeRate, Sats, UnixTime
from dovetail.crypto.entropy import SeededEntropy
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.coin import Coin
from dovetail.protocol.mailbox import encode_original, seal_message_a
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.sessions import receiver
from dovetail.sessions.other_payments import Receipt, Receipts
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.sessions.transition import Transition

S = TypeVar("S", bound=ReceiverSession)

NOW = UnixTime(1_700_000_000)
EXPIRES_AT = UnixTime(NOW + 86_400)
HEIGHT = 800_000
GRACE = 600
AMOUNT = Sats(50_000)
RELAY = "https://relay.example"

ALICE = Keys("alice")
"""The sender."""
BOB = Keys("bob")
"""The receiver; key 0 guards the address."""
REPLY_KEY = SecretKey(b"\x0b" * 32)
OTHER_REPLY_KEY = SecretKey(b"\x0d" * 32)
RECEIVER_KEY = SecretKey(b"\x0c" * 32)
SENDER_COINS = (ALICE.coin(0, 60_000), ALICE.coin(1, 45_000))
RECEIVER_COIN = BOB.coin(1, 70_000)
ORIGINAL = ALICE.pay(BOB.script(0), AMOUNT, coins=SENDER_COINS)
FALLBACK = ORIGINAL.extract()
PARAMS = SenderParams(fee_contribution=FeeContribution(Sats(500), 1))
ELSEWHERE = Txid(b"\x77" * 32)
RECEIVED = Receipts.of([Receipt(ELSEWHERE, AMOUNT, 2)], asked=AMOUNT)
"""The address was paid in full by a transaction from elsewhere."""

SEEN = Receipts.of([Receipt(ELSEWHERE, AMOUNT, 0)], asked=AMOUNT)
"""The same, while no block has it."""
IN_PARTS = Receipts.of(
    [Receipt(ELSEWHERE, Sats(49_000), 3), Receipt(Txid(b"\x78" * 32), Sats(1_000), 2)],
    asked=AMOUNT,
)
"""Two parts that add up."""
PARTIAL = Receipts.of([Receipt(ELSEWHERE, Sats(20_000), 2)], asked=AMOUNT)
"""Less than was asked for."""


def spend_of(outpoint: OutPoint) -> Transaction:
    """A transaction that spends this outpoint back to the receiver."""
    outputs = (TxOut(Sats(30_000), BOB.script(5)),)
    return Transaction(2, (TxIn(outpoint, witness=(b"\x01",)),), outputs, 0)


def spend_to(script: bytes, value: int = 40_000) -> Transaction:
    """Another transaction that spends one of the sender's coins."""
    outputs = (TxOut(Sats(value), BOB.script(0).__class__(script)),)
    return Transaction(2, (TxIn(SENDER_COINS[0].outpoint, witness=(b"\x01",)),), outputs, 0)


UNRELATED = Transaction(2, (TxIn(OutPoint(ELSEWHERE, 0)),), (TxOut(Sats(1), BOB.script(0)),), 0)


@dataclass
class Play:
    """One session, driven through its public methods; remembers each live state."""

    log: MemoryLog[ReceiverEvent] = field(default_factory=MemoryLog)
    directory: Directory = field(default_factory=Directory)
    states: list[ReceiverSession] = field(default_factory=list)
    entropy: SeededEntropy = field(default_factory=lambda: SeededEntropy(b"receiver"))

    def save(self, transition: Transition[ReceiverEvent, S]) -> S:
        before = len(self.log.events)
        state = transition.save(self.log)
        if len(self.log.events) > before:
            self.states.append(state)
        return state

    def created(self, *, v1: bool = False, amount: Sats | None = AMOUNT) -> receiver.Initialized:
        return self.save(
            receiver.create(
                address=BOB.address(0),
                directory=self.directory.origin,
                ohttp_keys=self.directory.config,
                expires_at=EXPIRES_AT,
                amount=amount,
                label="coffee",
                v1=v1,
                grace=GRACE,
                depth=2,
                secret_key=RECEIVER_KEY,
                entropy=self.entropy,
            )
        )

    def put(self, body: bytes) -> None:
        """Let the sender write this Message A."""
        message = seal_message_a(
            body,
            receiver_key=RECEIVER_KEY.public_key,
            reply_key=REPLY_KEY.public_key,
            entropy=self.entropy,
        )
        self.put_raw(message)

    def put_from_another(self, session: receiver.Initialized) -> None:
        """Let another sender write the same payment to the mailbox."""
        message = seal_message_a(
            encode_original(ORIGINAL, PARAMS),
            receiver_key=RECEIVER_KEY.public_key,
            reply_key=OTHER_REPLY_KEY.public_key,
            entropy=self.entropy,
        )
        self.directory.mailboxes[str(session.short_id)] = message

    def put_raw(self, message: bytes) -> None:
        self.directory.mailboxes[self.short_id] = message

    @property
    def short_id(self) -> str:
        return str(self.states[0].short_id)

    def poll(
        self, session: receiver.Initialized
    ) -> receiver.Initialized | receiver.UncheckedOriginalPayload | receiver.HasReplyableError:
        request, context = session.poll(RELAY, now=NOW, entropy=self.entropy)
        return self.save(session.process_poll(self.directory.serve(request), context, now=NOW))

    def retrieved(
        self, original: Psbt = ORIGINAL, params: SenderParams = PARAMS
    ) -> receiver.UncheckedOriginalPayload:
        session = self.created()
        self.put(encode_original(original, params))
        return expect(self.poll(session), receiver.UncheckedOriginalPayload)

    def retrieved_v1(self) -> receiver.UncheckedOriginalPayload:
        """A v1 sender through the directory."""
        session = self.created(v1=True)
        self.put_raw(ORIGINAL.to_base64().encode() + b"\nv=1")
        return expect(self.poll(session), receiver.UncheckedOriginalPayload)

    def retrieved_http(self) -> receiver.UncheckedOriginalPayload:
        """A v1 sender over HTTP."""
        session = self.save(
            receiver.create_v1(
                address=BOB.address(0),
                url="https://shop.example/pay/1",
                expires_at=EXPIRES_AT,
                amount=AMOUNT,
                grace=GRACE,
                depth=2,
            )
        )
        body = ORIGINAL.to_base64().encode()
        return self.save(session.receive_v1(body, "v=1", now=NOW))

    def maybe_inputs_owned(
        self, unchecked: receiver.UncheckedOriginalPayload | None = None
    ) -> receiver.MaybeInputsOwned:
        unchecked = unchecked or self.retrieved()
        saved = self.save(
            unchecked.check_broadcast_suitability(
                True, tested=False, spent=as_claimed(unchecked), height=HEIGHT
            )
        )
        return expect(saved, receiver.MaybeInputsOwned)

    def maybe_inputs_seen(
        self, unchecked: receiver.UncheckedOriginalPayload | None = None
    ) -> receiver.MaybeInputsSeen:
        saved = self.save(self.maybe_inputs_owned(unchecked).check_inputs_not_owned(()))
        return expect(saved, receiver.MaybeInputsSeen)

    def outputs_unknown(
        self, unchecked: receiver.UncheckedOriginalPayload | None = None
    ) -> receiver.OutputsUnknown:
        saved = self.save(self.maybe_inputs_seen(unchecked).check_no_inputs_seen_before(()))
        return expect(saved, receiver.OutputsUnknown)

    def wants_outputs(
        self, unchecked: receiver.UncheckedOriginalPayload | None = None
    ) -> receiver.WantsOutputs:
        unknown = self.outputs_unknown(unchecked)
        saved = self.save(unknown.identify_receiver_outputs({BOB.script(0)}))
        return expect(saved, receiver.WantsOutputs)

    def wants_inputs(
        self, unchecked: receiver.UncheckedOriginalPayload | None = None
    ) -> receiver.WantsInputs:
        return self.save(self.wants_outputs(unchecked).commit_outputs(entropy=self.entropy))

    def wants_fee_range(
        self,
        unchecked: receiver.UncheckedOriginalPayload | None = None,
        coins: tuple[Coin, ...] = (RECEIVER_COIN,),
    ) -> receiver.WantsFeeRange:
        session = self.wants_inputs(unchecked)
        return self.save(session.commit_inputs(coins, entropy=self.entropy))

    def provisional(
        self,
        unchecked: receiver.UncheckedOriginalPayload | None = None,
        coins: tuple[Coin, ...] = (RECEIVER_COIN,),
    ) -> receiver.ProvisionalProposal:
        session = self.wants_fee_range(unchecked, coins)
        rates = FeeRate.from_sat_per_vb(1), FeeRate.from_sat_per_vb(20)
        return expect(self.save(session.apply_fee_range(*rates)), receiver.ProvisionalProposal)

    def proposed(
        self, unchecked: receiver.UncheckedOriginalPayload | None = None
    ) -> receiver.PayjoinProposal:
        session = self.provisional(unchecked)
        saved = self.save(session.finalize_proposal(BOB.sign(session.psbt_to_sign)))
        return expect(saved, receiver.PayjoinProposal)

    def monitor(self) -> receiver.Monitor:
        session = self.proposed()
        request, context = session.post(RELAY, now=NOW, entropy=self.entropy)
        saved = self.save(session.process_post(self.directory.serve(request), context))
        return expect(saved, receiver.Monitor)

    def error_without_fallback(self) -> receiver.HasReplyableError:
        saved = self.save(
            self.retrieved().check_broadcast_suitability(False, tested=False, spent={})
        )
        return expect(saved, receiver.HasReplyableError)

    def error_held(self) -> receiver.HasReplyableError:
        owned = self.maybe_inputs_owned()
        saved = self.save(owned.check_inputs_not_owned({SENDER_COINS[1].outpoint}))
        return expect(saved, receiver.HasReplyableError)

    def error_owed(self) -> receiver.HasReplyableError:
        return self.save(self.wants_inputs().cannot_contribute())

    def pending_held(self) -> receiver.PendingFallback:
        return self.save(self.maybe_inputs_seen().cancel())

    def pending_owed(self) -> receiver.PendingFallback:
        return self.save(self.wants_inputs().cancel())

    def pending_after_proposal(self) -> receiver.PendingFallback:
        return self.save(self.proposed().cancel())

    def signed_payjoin(self, proposal: Psbt) -> Transaction:
        """What the sender makes of the proposal."""
        for index, txin in enumerate(proposal.unsigned_transaction.inputs):
            for coin in SENDER_COINS:
                if coin.outpoint == txin.previous_output:
                    proposal = proposal.with_input(index, coin.psbt_input)
        return ALICE.sign(proposal).extract()


def expect(session: ReceiverSession, kind: type[S]) -> S:
    assert isinstance(session, kind)
    return session
