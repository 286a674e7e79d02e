"""The three machines: a sender whom a receiver deceives, the reverse, and two honest parties."""

from base64 import b64encode

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from tests.properties.histories import lies
from tests.properties.histories.accounts import AMOUNT, Till
from tests.properties.histories.actor import LIFETIME, START
from tests.properties.histories.charging import Payee
from tests.properties.histories.expenses import PAID
from tests.properties.histories.hostile import RARELY, SMALL, Histories
from tests.properties.histories.ledger import require
from tests.properties.histories.paying import Payer
from tests.properties.histories.paying_twice import SHOP, WAYS
from tests.properties.histories.people import (
    ALICE,
    ALICES,
    BOB,
    BOBS,
    MALLORY,
    MALLORYS,
    PARENT,
    SAND,
)
from tests.properties.histories.wire import ORIGIN

from dovetail.bitcoin import Transaction, UnixTime
from dovetail.crypto.secp256k1 import PublicKey, SecretKey
from dovetail.errors import DovetailError
from dovetail.protocol.mailbox import ShortId, open_message_a, seal_message_a, seal_message_b
from dovetail.protocol.uri import Endpoint, PayjoinUri, V1Endpoint, V2Endpoint
from dovetail.sessions import receiver

LIE = st.one_of(
    st.sampled_from(("claims more for its coin", "dilutes the fee")),
    st.sampled_from(list(lies.LIES)),
    st.sampled_from(lies.ANSWERS),
)
LOW = 100
MORE = st.sampled_from((700, 1_700, 3_100))
FEES = st.sampled_from((LOW, 9_000))
PARTS = st.sampled_from((int(AMOUNT), int(AMOUNT), int(AMOUNT) - 1_000, 1_000, 25_000))
DEPTH = st.integers(1, 3)
DEADLINE = st.sampled_from((None, 30, 2 * LIFETIME))
RECEIVER_SECRET = SecretKey(b"\x21" * 32)
REPLY_SECRET = SecretKey(b"\x22" * 32)


def mallory_pays(index: int, coin: int, amount: int = AMOUNT, fee: int = 2_000) -> Transaction:
    """A payment to Bob's address `index` that spends one of Mallory's coins."""
    coins = MALLORYS[coin : coin + 1]
    return MALLORY.pay(BOB.script(index), int(amount), coins=coins, fee=fee).extract()


class WithPayer(Histories):
    """What an honest payer's user, wallet and coins may do, whoever the receiver is."""

    alice: Payer

    @rule()
    def the_user_revokes(self) -> None:
        self.alice.revoke()

    @rule(way=st.sampled_from(WAYS))
    def the_user_pays_it_again(self, way: str) -> None:
        self.alice.pay_again(way)

    @rule(more=MORE, mined=st.booleans())
    def the_wallet_raises_the_fee(self, more: int, *, mined: bool) -> None:
        self.alice.bumpfee(more, mined=mined)

    def pay_from_elsewhere(self, part: int, coin: int, *, mined: bool) -> None:
        """Another wallet pays the address."""
        self.world.chain.take(mallory_pays(0, coin, part), mined=mined)

    @rule(dares=RARELY, coin=st.integers(0, 1))
    def a_reorganisation_takes_a_coin(self, dares: int, coin: int) -> None:
        if not dares:
            self.world.chain.take_away(ALICES[coin].outpoint)

    @precondition(lambda self: self.world.chain.vanished)
    @rule()
    def the_coin_comes_back(self) -> None:
        self.world.chain.bring_back()


class PayingHistories(WithPayer):
    """A sender's session, whose receiver lies at each step."""

    @initialize(
        depth=DEPTH,
        coins=st.integers(1, 2),
        deadline=DEADLINE,
        freely=st.booleans(),
        ahead=SMALL,
        v1=RARELY,
    )
    def begin(
        self, depth: int, coins: int, deadline: int | None, ahead: int, v1: int, *, freely: bool
    ) -> None:
        self.world.chain.depth = depth
        endpoint: Endpoint = V2Endpoint(
            directory=ORIGIN,
            receiver_key=RECEIVER_SECRET.public_key,
            ohttp_keys=self.world.wire.key.config,
            expires_at=UnixTime(START + LIFETIME),
        )
        if not v1:
            endpoint = V1Endpoint(SHOP)
        uri = PayjoinUri(BOB.address(0), AMOUNT, endpoint, output_substitution=freely)
        self.coins = coins
        self.alice = Payer(self.world, uri, coins=coins, deadline=deadline)
        self.actors.append(self.alice)
        for _ in range(ahead % 4):
            self.alice.go_on()

    @property
    def reply_key(self) -> PublicKey | None:
        """Where the sender wants the answer, once the Original can be read."""
        message = self.world.wire.mailboxes.get(ShortId.of(RECEIVER_SECRET.public_key))
        if message is None:
            return None
        try:
            return open_message_a(message, receiver_secret=RECEIVER_SECRET).reply_key
        except DovetailError:
            return None

    @rule(lie=LIE, before=st.integers(0, 3), after=st.integers(0, 5))
    def the_receiver_answers(self, lie: str, before: int, after: int) -> None:
        for _ in range(before):
            self.alice.go_on()
        key, said = self.reply_key, lies.answer(self.coins, lie)
        if key is not None:
            self._answer(key, said)
        elif self.alice.is_v1 and lie in lies.WORDS:
            self.alice.shop = (400, said)
        elif self.alice.is_v1:
            self.alice.shop = (200, b64encode(said))
        for _ in range(after):
            self.alice.go_on()

    @rule(before=st.integers(0, 3), after=st.integers(0, 5))
    def the_receiver_proposes(self, before: int, after: int) -> None:
        self.the_receiver_answers(lie="honest", before=before, after=after)

    def _answer(self, key: PublicKey, payload: bytes) -> None:
        self.world.wire.mailboxes[ShortId.of(key)] = seal_message_b(
            payload, receiver_secret=RECEIVER_SECRET, reply_key=key, entropy=self.world.entropy
        )

    @precondition(lambda self: self.world.wire.past or self.alice.posted)
    @rule(mined=st.booleans())
    def the_receiver_broadcasts_the_fallback(self, mined: bool) -> None:  # noqa: FBT001 - drawn by name
        """Whoever saw the Original can, at any time, and cannot be prevented."""
        fallback = self.alice.original.extract()
        self.world.chain.take(fallback, mined=mined, whim=True)

    @rule()
    def the_receiver_spends_its_own_coin(self) -> None:
        self.world.chain.broadcast(BOB.spend(BOBS[:1], BOB.script(3), fee=9_000), whim=True)

    @rule(dares=RARELY, fee=FEES, mined=st.booleans())
    def another_device_of_the_sender_spends(self, dares: int, fee: int, *, mined: bool) -> None:
        if not dares:
            rival = ALICE.spend(ALICES[:1], MALLORY.script(0), fee=fee)
            self.world.chain.take(rival, mined=mined)

    @rule(part=PARTS, coin=st.integers(2, 3), mined=st.booleans())
    def somebody_pays_the_address(self, part: int, coin: int, *, mined: bool) -> None:
        self.pay_from_elsewhere(part, coin, mined=mined)


class ReceivingHistories(Histories):
    """Up to three sessions of one receiver, whose senders lie at each step."""

    @initialize(depth=DEPTH, coins=st.integers(1, 3), sessions=st.integers(1, 3))
    def begin(self, depth: int, coins: int, sessions: int) -> None:
        self.world.chain.depth = depth
        self.till = Till(coins=BOBS[:coins])
        for _ in range(sessions):
            self.ask_for_a_payment(v1=False)

    @precondition(lambda self: len(self.actors) < 3)
    @rule(v1=st.booleans())
    def ask_for_a_payment(self, v1: bool) -> None:  # noqa: FBT001 - drawn by name
        self.actors.append(Payee(self.world, self.till, v1=v1))

    def session(self, which: int) -> tuple[int, Payee]:
        index = which % len(self.till.sessions)
        return index, self.till.sessions[index]

    @rule(
        which=SMALL,
        coin=st.integers(0, len(lies.THEIRS) - 1),
        lie=st.sampled_from(lies.ORIGINALS),
        times=st.integers(0, 12),
    )
    def the_sender_writes(self, which: int, coin: int, lie: str, times: int) -> None:
        index, payee = self.session(which)
        self._write(payee, lies.body(index, coin, lie))
        for _ in range(times):
            payee.go_on()

    @rule(which=SMALL, coin=st.integers(0, 1), times=st.integers(1, 12))
    def the_sender_pays(self, which: int, coin: int, times: int) -> None:
        self.the_sender_writes(which=which, coin=coin, lie="honest", times=times)

    def _write(self, payee: Payee, body: bytes) -> None:
        message = seal_message_a(
            body,
            receiver_key=payee.states[0].terms.require_mailbox().secret_key.public_key,
            reply_key=REPLY_SECRET.public_key,
            entropy=self.world.entropy,
        )
        self.world.wire.mailboxes[payee.states[0].short_id] = message

    @rule(which=SMALL, coin=st.integers(0, 1), lie=st.sampled_from(("honest", "pays nobody")))
    def an_old_wallet_writes(self, which: int, coin: int, lie: str) -> None:
        index, payee = self.session(which)
        plain = lies.body(index, coin, lie)
        self.world.wire.mailboxes[payee.states[0].short_id] = plain

    @rule(which=SMALL, noise=st.sampled_from((0, 10, 7168)))
    def a_stranger_writes(self, which: int, noise: int) -> None:
        _, payee = self.session(which)
        self.world.wire.mailboxes[payee.states[0].short_id] = self.world.entropy(noise)

    @rule(which=SMALL, mined=st.booleans())
    def the_sender_signs_the_payjoin(self, which: int, mined: bool) -> None:  # noqa: FBT001 - drawn by name
        index, payee = self.session(which)
        proposals = [s for s in payee.states if isinstance(s, receiver.PayjoinProposal)]
        for proposal in proposals[:1]:
            spent = proposal.contested
            for coin, each in enumerate(lies.THEIRS):
                if each.outpoint in spent:
                    self._pay(lies.signed_payjoin(proposal.proposal, index, coin), mined=mined)

    @rule(which=SMALL, coin=st.integers(0, 1), mined=st.booleans())
    def the_sender_broadcasts_the_fallback(self, which: int, coin: int, mined: bool) -> None:  # noqa: FBT001 - drawn by name
        index, _ = self.session(which)
        self._pay(lies.original(index, coin, "honest")[0].extract(), mined=mined)

    @rule(which=SMALL, coin=st.integers(0, 1), more=MORE, mined=st.booleans())
    def the_sender_raises_the_fee(self, which: int, coin: int, more: int, *, mined: bool) -> None:
        """Its wallet's own `bumpfee`: the same payment and less change."""
        index, _ = self.session(which)
        self._pay(mallory_pays(index, coin, fee=1_000 + more), mined=mined)

    @rule(dares=RARELY, coin=st.integers(0, 1), mined=st.booleans(), fee=FEES)
    def the_sender_pays_somebody_else(
        self, dares: int, coin: int, fee: int, *, mined: bool
    ) -> None:
        """A rival, at any fee: one that nobody mines, or one that replaces what is there."""
        coins = MALLORYS[coin : coin + 1]
        if not dares:
            rival = MALLORY.spend(coins, MALLORY.script(6), fee=fee)
            self._pay(rival, mined=mined, whim=fee > LOW)

    @rule(which=SMALL, coin=st.integers(2, 3), part=PARTS, mined=st.booleans())
    def the_sender_pays_the_address(self, which: int, coin: int, part: int, *, mined: bool) -> None:
        """From other coins: all of it, or a part, which others may make up for."""
        index, _ = self.session(which)
        self._pay(mallory_pays(index, coin, part), mined=mined)

    @rule(which=SMALL, before=st.integers(1, 12), after=st.integers(0, 4), mined=st.booleans())
    def the_sender_pays_twice(self, which: int, before: int, after: int, *, mined: bool) -> None:
        """An Original, and then the whole amount from another coin, in every state between."""
        index, payee = self.session(which)
        self.the_sender_pays(which=which, coin=0, times=before)
        self._pay(mallory_pays(index, 2), mined=mined)
        for _ in range(after):
            payee.go_on()

    @rule(
        which=SMALL,
        by_payjoin=st.booleans(),
        part=PARTS,
        blocks=st.integers(0, 3),
        after=st.integers(0, 4),
    )
    def the_sender_pays_beside(
        self, which: int, part: int, blocks: int, after: int, *, by_payjoin: bool
    ) -> None:
        """By payjoin or by fallback, and from another coin too, before the end or after it."""
        _, payee = self.session(which)
        self.the_sender_pays(which=which, coin=0, times=12)
        if by_payjoin:
            self.the_sender_signs_the_payjoin(which=which, mined=False)
        else:
            self.the_sender_broadcasts_the_fallback(which=which, coin=0, mined=False)
        for _ in range(blocks):
            payee.go_on()
            self.world.chain.mine()
        self.the_sender_pays_the_address(which=which, coin=2, part=part, mined=False)
        for _ in range(after):
            payee.go_on()

    @rule(which=SMALL, coin=st.integers(2, 3), mined=st.booleans(), goes=st.booleans())
    def the_receiver_looks_back(self, which: int, coin: int, *, mined: bool, goes: bool) -> None:
        """When a payment has just come, perhaps after the end; it may be gone again later."""
        _, payee = self.session(which)
        self.the_sender_pays_the_address(which=which, coin=coin, part=int(AMOUNT), mined=mined)
        payee.look_back()
        if goes and mined:
            self.world.chain.reorganise(forget=True)
        elif goes:
            self.world.chain.evict(len(self.world.chain.mempool) - 1)

    @rule(which=SMALL, times=st.integers(1, 12), mined=st.booleans())
    def the_sender_builds_on_sand(self, which: int, times: int, *, mined: bool) -> None:
        """An Original whose coin is taken away under it, in every state."""
        self.the_sender_makes_a_coin_from_sand()
        self.the_sender_writes(which=which, coin=len(MALLORYS), lie="honest", times=times)
        self.the_sand_slips(mined=mined)

    @rule()
    def the_sender_makes_a_coin_from_sand(self) -> None:
        self._pay(PARENT, mined=False)

    @rule(mined=st.booleans())
    def the_sand_slips(self, *, mined: bool) -> None:
        """What an Original rests on is replaced, and all that spends it goes with it."""
        self._pay(MALLORY.spend((SAND,), MALLORY.script(6), fee=9_000), mined=mined)

    @rule(which=SMALL, mined=st.booleans())
    def the_receiver_frees_its_coin(self, which: int, *, mined: bool) -> None:
        """The user's own `revoke`: a coin that a proposal brings is spent back to the wallet."""
        _, payee = self.session(which)
        exposed = getattr(payee.state, "exposed", ())
        for coin in BOBS:
            if coin.outpoint in exposed[:1]:
                self._pay(BOB.spend((coin,), BOB.script(7), fee=3_000), mined=mined)

    def _pay(self, transaction: Transaction, *, mined: bool, whim: bool = True) -> None:
        self.world.chain.take(transaction, mined=mined, whim=whim)


class PayjoinHistories(WithPayer):
    """Two honest parties, with everything between them against them."""

    @initialize(depth=DEPTH, coins=st.integers(1, 2), deadline=DEADLINE, v1=st.booleans())
    def begin(self, depth: int, coins: int, deadline: int | None, v1: bool) -> None:  # noqa: FBT001 - drawn by name
        self.world.chain.depth = depth
        self.bob = Payee(self.world, Till(), v1=v1)
        uri = self.bob.state.payjoin_uri
        self.alice = Payer(self.world, uri, coins=coins, deadline=deadline)
        self.actors += [self.bob, self.alice]

    @rule(dares=RARELY, part=PARTS, coin=st.integers(2, 3), mined=st.booleans())
    def another_wallet_pays_too(self, dares: int, part: int, coin: int, *, mined: bool) -> None:
        """The payer's, which knows nothing of the session, or somebody else's."""
        if not dares:
            self.pay_from_elsewhere(part, coin, mined=mined)

    def settle_accounts(self) -> None:
        paid = self.world.chain.paid_to(self.bob.script)
        contested = self.alice.original.unsigned_transaction.contested()
        payments = [tx for tx in paid if any(tx.spends(o) is not None for o in contested)]
        require("M4", len(payments) <= 1, "the receiver was paid twice")
        revoked = self.world.chain.deepest(contested) is not None and not payments
        require("M4", paid or revoked or self.alice.released, "the receiver was not paid")
        if len(paid) == len(payments):
            self._compare_stories()

    def _compare_stories(self) -> None:
        """Where no other wallet has paid, both say the same."""
        ends = [
            actor.state.outcome
            for actor in self.actors
            if actor.state.closed and hasattr(actor.state.outcome, "txid")
        ]
        require("M4", len({end.txid for end in ends}) <= 1, "the parties tell two stories")
        told = {isinstance(end, PAID) for end in ends}
        require("told", len(told) <= 1, "one says paid, the other does not")


MACHINES = {
    "sender, lying receiver": PayingHistories,
    "receiver, lying senders": ReceivingHistories,
    "both honest": PayjoinHistories,
}
