"""One payjoin after another, each signed in full, and what each party got and paid."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import product

from tests.exact.checklists import bip78_allows, rust_payjoin_allows
from tests.exact.wallets import HABITS, KINDS, Habit, Wallet

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Sats, Script, ScriptType, Transaction, TxOut
from dovetail.bitcoin.weights import output_weight, predicted_input_weight
from dovetail.crypto import SecretKey, SeededEntropy
from dovetail.protocol import FeeContribution, SenderParams, check_original, prepare_original
from dovetail.protocol.contribution import (
    Draft,
    apply_fees,
    begin_draft,
    commit_outputs,
    finalize,
    place_coins,
)
from dovetail.protocol.cost import Shares, shares
from dovetail.protocol.fees import fee_at, shared_weight
from dovetail.protocol.proposal import check_proposal, complete, fee_contribution
from dovetail.protocol.verification import Verdict, verify

ASKED = 5_000_000
RELAY_FLOOR = FeeRate.from_sat_per_vb("0.1")
"""What nodes relay from by default (Bitcoin Core 29.1), as the receiver's own minimum."""
FLOORS = (RELAY_FLOOR, FeeRate.BROADCAST_MIN)
"""The same, and what older nodes relay from."""
HIGHEST = FeeRate.from_sat_per_vb(2_000)
RATES = tuple(
    sorted(
        {FeeRate(250 * whole) for whole in range(1, 101)}
        | {FeeRate(251 + 31 * step + 3 * step * step) for step in range(104)}
    )
)
"""A hundred whole ones and about as many fractions, from 1 sat/vB to more than 140."""


class Offer(Enum):
    CHANGE = "change pays"
    NOTHING = "no offer"
    NO_CHANGE = "no change"
    PEERS = "rust-payjoin's"
    """Its change pays for an input like its own, and its Original pays the rate as it weighs."""


class Payee(Enum):
    """What the receiver does with the output that pays it."""

    KEPT = "kept"
    FIXED = "fixed"
    """It may not be substituted."""
    SUBSTITUTED = "substituted"
    """By one to a fresh script of the same kind."""
    GROWN = "grown"
    """By one to a longer script: P2TR."""


@dataclass(frozen=True, slots=True)
class Case:
    """One payjoin to be made."""

    sender: ScriptType
    receiver: ScriptType
    rate: FeeRate
    senders: int
    receivers: int
    offer: Offer
    payee: Payee
    version: int
    habit: Habit
    minimum: FeeRate = RELAY_FLOOR
    """The receiver's own."""
    floor: FeeRate = RELAY_FLOOR
    """What the receiver's node relays from."""


@dataclass(frozen=True, slots=True)
class Made:
    case: Case
    payjoin: Transaction
    fee: int
    shares: Shares
    shortfall: int
    """What the receiver got less than it asked for."""
    offered: bool
    """Whether the sender offered the cost of what was added."""
    covered: bool
    """Whether the sender offered to pay for all that was added, and its rules let it."""
    cost: int
    """What the added weight costs at the chosen rate."""
    rounding: int
    """The weight that nobody is asked to pay for."""

    @property
    def short(self) -> bool:
        """Whether the receiver lost what it need not, more than it may, or was not told."""
        most = 0 if self.covered else self.cost
        return not 0 <= self.shortfall <= most or self.shares.from_receiver != self.shortfall

    @property
    def below(self) -> bool:
        """Whether the whole transaction pays less than the chosen rate, but for rounding."""
        return self.fee < fee_at(self.case.rate, self.payjoin.weight - self.rounding)

    @property
    def exact(self) -> bool:
        """Whether it pays the chosen rate to the last unit of weight."""
        return self.fee >= fee_at(self.case.rate, self.payjoin.weight)


def cases(rates: tuple[FeeRate, ...] = RATES, each: int = 2) -> Iterator[Case]:
    """Every pair and rate, `each` times, while the other choices go round."""
    # One coin and an offer are what most payjoins are made of.
    offers = (Offer.CHANGE, Offer.CHANGE, Offer.NOTHING, Offer.NO_CHANGE)
    choices = tuple(product((1, 2, 3), (1, 1, 1, 2, 3), offers, Payee, (2, 2, 1), HABITS))
    number = 0
    for kinds in product(KINDS, KINDS):
        for rate in rates:
            for _ in range(each):
                number += 1
                senders, receivers, offer, payee, version, habit = choices[
                    number * 389 % len(choices)
                ]
                yield Case(*kinds, rate, senders, receivers, offer, payee, version, habit)


def least_cases(floors: tuple[FeeRate, ...] = FLOORS) -> Iterator[Case]:
    """Every pair at 1 sat/vB, which is the receiver's minimum too, from rust-payjoin's Original."""
    rate = FeeRate.BROADCAST_MIN
    numbers = product((1, 2, 3), repeat=2)
    choices = product(KINDS, KINDS, numbers, HABITS, (2, 1), floors)
    for sender, receiver, (senders, receivers), habit, version, floor in choices:
        yield Case(
            sender=sender,
            receiver=receiver,
            rate=rate,
            senders=senders,
            receivers=receivers,
            offer=Offer.PEERS,
            payee=Payee.KEPT,
            version=version,
            habit=habit,
            minimum=rate,
            floor=floor,
        )


def make(case: Case) -> Made:
    """Make it, with both parties' real checks; raises what a check says against it."""
    alice = Wallet(SecretKey(b"\x11" * 32), case.sender, case.habit)
    bob = Wallet(SecretKey(b"\x22" * 32), case.receiver, case.habit)
    payee = bob.script()
    signed = alice.pay(
        payee,
        ASKED,
        rate=case.rate,
        inputs=case.senders,
        change=case.offer is not Offer.NO_CHANGE,
        weighed=case.offer is Offer.PEERS,
    )
    original = prepare_original(signed, payee=payee)
    offer = _offered(case, original, payee)
    params = SenderParams(
        version=case.version,
        min_fee_rate=case.rate,
        fee_contribution=offer,
        output_substitution=case.payee is not Payee.FIXED,
    )
    ready = _drafted(case, original, params, bob)
    proposal = finalize(ready, bob.sign(ready.psbt()))
    accepted = check_proposal(
        original=signed,
        proposal=proposal,
        params=params,
        payee=payee,
        output_substitution=params.output_substitution,
    )
    payjoin = complete(accepted, alice.sign(accepted), params=params)
    if verify(payjoin, accepted.utxos()) is not Verdict.VALID:
        raise AssertionError("the payjoin is not signed")
    return _made(case, original, params, ready, proposal, payjoin)


def _offered(case: Case, original: Psbt, payee: Script) -> FeeContribution | None:
    if case.offer is Offer.CHANGE:
        return fee_contribution(original, payee)
    if case.offer is Offer.PEERS:
        return FeeContribution(Sats(fee_at(case.rate, predicted_input_weight(case.sender))), 1)
    return None


def _drafted(case: Case, original: Psbt, params: SenderParams, bob: Wallet) -> Draft:
    transaction = check_original(original)
    started = begin_draft(original, params, (0,))
    if case.payee in (Payee.SUBSTITUTED, Payee.GROWN):
        kind = ScriptType.P2TR if case.payee is Payee.GROWN else bob.kind
        fresh = Wallet(SecretKey(b"\x33" * 32), kind).script()
        started = commit_outputs(started, replacement=[TxOut(transaction.outputs[0].value, fresh)])
    coins = bob.coins(case.receivers, 7_000_000)
    entropy = SeededEntropy(case.rate.sat_per_kwu.to_bytes(32, "big"))
    placed = place_coins(started, coins, entropy=entropy)
    return apply_fees(
        placed, min_fee_rate=case.minimum, max_fee_rate=HIGHEST, relay_fee_rate=case.floor
    )


def _made(
    case: Case,
    original: Psbt,
    params: SenderParams,
    ready: Draft,
    proposal: Psbt,
    payjoin: Transaction,
) -> Made:
    before = original.extract()
    coins = [placed.coin for placed in ready.inputs]
    received = int(payjoin.outputs[0].value) - sum(int(coin.utxo.value) for coin in coins)
    found = shares(original, proposal, params.fee_contribution)
    for allows in (rust_payjoin_allows, bip78_allows):
        if not allows(original, proposal, params, int(found.more_from_sender)):
            raise AssertionError(f"{allows.__name__}: not so")
    shared = shared_weight(
        [bool(each.final_script_witness) for each in original.inputs],
        [coin.is_segwit for coin in coins],
    )
    inputs = case.receivers * predicted_input_weight(case.receiver)
    grown = max(0, output_weight(payjoin.outputs[0]) - output_weight(before.outputs[0]))
    offered = 0 if params.fee_contribution is None else int(params.fee_contribution.max_amount)
    # BIP 78 has the inputs weigh as much as the sender's, which binds senders of version 1.
    same = case.version > 1 or predicted_input_weight(case.sender) >= predicted_input_weight(
        case.receiver
    )
    relayed = fee_at(case.floor, 4 * payjoin.weight.vbytes)
    enough = int(original.fee) + fee_at(case.rate, inputs) >= relayed
    paid_for = same and not grown and offered >= fee_at(case.rate, inputs)
    return Made(
        case=case,
        payjoin=payjoin,
        fee=int(found.fee),
        shares=found,
        shortfall=int(before.outputs[0].value) - received,
        offered=paid_for,
        covered=paid_for and enough,
        cost=fee_at(case.rate, inputs + grown + shared) - int(found.more_from_sender),
        rounding=shared
        + _longer(original, payjoin)
        + (4 * case.receivers if case.version < 2 else 0),
    )


def _longer(original: Psbt, payjoin: Transaction) -> int:
    """By how much the sender's signatures are longer in the payjoin than in the Original."""
    return sum(
        max(0, _scripts(payjoin, outpoint) - _scripts(original.extract(), outpoint))
        for outpoint in original.unsigned_transaction.contested()
    )


def _scripts(transaction: Transaction, outpoint: OutPoint) -> int:
    found = next(txin for txin in transaction.inputs if txin.previous_output == outpoint)
    return 4 * len(found.script_sig) + sum(map(len, found.witness))
