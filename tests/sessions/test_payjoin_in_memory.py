"""Whole payjoins in memory: real cryptography, real signatures, and a restart after every step."""

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest
from tests.support.directory import Directory
from tests.support.keys import Keys, as_claimed, signatures_are_valid
from tests.support.log import MemoryLog

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import Transaction
from dovetail.bitcoin.units import FeeRate, Sats, UnixTime
from dovetail.errors import InvalidMessage, UsageError
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.params import SenderParams
from dovetail.protocol.proposal import check_proposal, fee_contribution
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.sessions.sender import SenderEvent, SenderSession

NOW = UnixTime(1_700_000_000)
EXPIRES_AT = UnixTime(NOW + 3600)
AMOUNT = Sats(50_000)
RELAY = "https://relay.example"
RATES = FeeRate.from_sat_per_vb(1), FeeRate.from_sat_per_vb(50)

ALICE, BOB = Keys("alice"), Keys("bob")
ALICES = (ALICE.coin(0, 60_000), ALICE.coin(1, 45_000))
BOBS = BOB.coin(1, 70_000)
UTXOS = {coin.outpoint: coin.utxo for coin in (*ALICES, BOBS)}
ORIGINAL = ALICE.pay(BOB.script(0), AMOUNT, coins=ALICES)
PARAMS = SenderParams(
    min_fee_rate=RATES[0], fee_contribution=fee_contribution(ORIGINAL, BOB.script(0))
)

Session: TypeAlias = ReceiverSession | SenderSession


@dataclass
class BothParties:
    directory: Directory = field(default_factory=Directory)
    bobs: MemoryLog[ReceiverEvent] = field(default_factory=MemoryLog)
    alices: MemoryLog[SenderEvent] = field(default_factory=MemoryLog)
    chain: list[Transaction] = field(default_factory=list)

    def bob(self) -> ReceiverSession:
        """The receiver as a restarted process finds them: from bytes alone."""
        entries = [receiver.encode_event(event) for event in self.bobs.events]
        return receiver.replay(map(receiver.decode_event, entries))

    def alice(self) -> SenderSession:
        entries = [sender.encode_event(event) for event in self.alices.events]
        return sender.replay(map(sender.decode_event, entries))

    def step_bob(self) -> None:  # noqa: C901, PLR0912 - one case a state
        """One step of the receiver, saved."""
        log = self.bobs
        match self.bob():
            case receiver.Initialized() as session:
                request, context = session.poll(RELAY, now=NOW)
                body = self.directory.serve(request)
                session.process_poll(body, context, now=NOW).save(log)
            case receiver.UncheckedOriginalPayload() as session:
                session.check_broadcast_suitability(
                    True, tested=False, spent=as_claimed(session)
                ).save(log)
            case receiver.MaybeInputsOwned() as session:
                owned = {
                    outpoint
                    for outpoint, script in zip(
                        session.contested, session.sender_scripts, strict=True
                    )
                    if script in BOB.scripts()
                }
                session.check_inputs_not_owned(owned).save(log)
            case receiver.MaybeInputsSeen() as session:
                session.check_no_inputs_seen_before(()).save(log)
            case receiver.OutputsUnknown() as session:
                session.identify_receiver_outputs(set(BOB.scripts())).save(log)
            case receiver.WantsOutputs() as session:
                session.commit_outputs().save(log)
            case receiver.WantsInputs() as session:
                session.commit_inputs(session.select_coins([BOBS])).save(log)
            case receiver.WantsFeeRange() as session:
                session.apply_fee_range(*RATES).save(log)
            case receiver.ProvisionalProposal() as session:
                session.finalize_proposal(BOB.sign(session.psbt_to_sign)).save(log)
            case receiver.PayjoinProposal() as session:
                request, context = session.post(RELAY, now=NOW)
                session.process_post(self.directory.serve(request), context).save(log)
            case receiver.Monitor() as session:
                for transaction in self.chain:
                    session.record_settlement(transaction, depth=1).save(log)
            case _:
                pytest.fail("The receiver has lost the way.")

    def step_alice(self) -> None:
        """One step of the sender, saved."""
        log = self.alices
        match self.alice():
            case sender.WithReplyKey() as session:
                session.start_posting().save(log)
            case sender.PostingOriginal() as session:
                request, context = session.post(RELAY, now=NOW)
                session.process_post(self.directory.serve(request), context).save(log)
            case sender.PollingForProposal() as session:
                request, context = session.poll(RELAY, now=NOW)
                session.process_poll(self.directory.serve(request), context).save(log)
            case sender.ProposalReceived() as session:
                session.record_signed(ALICE.sign(session.psbt_to_sign)).save(log)
            case sender.PendingBroadcast() as session:
                self.chain.append(session.payjoin)
                session.record_broadcast(session.payjoin.txid).save(log)
            case sender.Monitor() as session:
                for transaction in self.chain:
                    session.record_settlement(transaction, depth=1).save(log)
            case _:
                pytest.fail("The sender has lost the way.")

    def propose(self, unchecked: receiver.UncheckedOriginalPayload) -> receiver.PayjoinProposal:
        """The receiver's steps up to a signed proposal."""
        assert self.bob() == unchecked
        while not isinstance(session := self.bob(), receiver.PayjoinProposal):
            self.step_bob()
        return session


def test_a_payjoin_survives_a_restart_after_every_step() -> None:  # M2, M4
    world = BothParties()
    invited = receiver.create(
        address=BOB.address(0),
        directory=world.directory.origin,
        ohttp_keys=world.directory.config,
        expires_at=EXPIRES_AT,
        amount=AMOUNT,
    ).save(world.bobs)
    sender.create(uri=invited.payjoin_uri, original=ORIGINAL, params=PARAMS, now=NOW).save(
        world.alices
    )
    while not (world.alices.closed and world.bobs.closed):
        if not world.alices.closed:
            world.step_alice()
        if not world.bobs.closed:
            world.step_bob()
    (payjoin,) = world.chain
    assert signatures_are_valid(payjoin, UTXOS)
    assert set(payjoin.contested()) == set(UTXOS)
    alice, bob = world.alice(), world.bob()
    assert isinstance(alice, sender.Closed)
    assert isinstance(bob, receiver.Closed)
    assert isinstance(alice.outcome, outcomes.Success)
    assert isinstance(bob.outcome, outcomes.Success)
    assert alice.outcome.txid == bob.outcome.txid == str(payjoin.txid)
    assert bob.payjoin == payjoin
    assert len(world.bobs.events) == 12
    assert len({*world.directory.bodies}) == len(world.directory.bodies)  # P1


def _v1_sender_over_http(world: BothParties) -> tuple[sender.PostingOriginal, receiver.Initialized]:
    invited = receiver.create_v1(
        address=BOB.address(0),
        url="https://shop.example/pay/7",
        expires_at=EXPIRES_AT,
        amount=AMOUNT,
    ).save(world.bobs)
    created = sender.create(
        uri=invited.payjoin_uri, original=ORIGINAL, params=PARAMS, now=NOW
    ).save(world.alices)
    return created.start_posting().save(world.alices), invited


def test_a_v1_payment_over_http_is_a_payjoin_too() -> None:
    world = BothParties()
    posting, invited = _v1_sender_over_http(world)
    request = posting.post_v1(now=NOW)
    assert request.url.startswith("https://shop.example/pay/7?")
    query = request.url.partition("?")[2]
    proposal = world.propose(invited.receive_v1(request.body, query, now=NOW).save(world.bobs))
    body = proposal.v1_body
    proposal.record_posted().save(world.bobs)
    received = posting.process_v1(200, body).save(world.alices)
    assert isinstance(received, sender.ProposalReceived)
    while not world.alices.closed:
        world.step_alice()
    world.step_bob()
    (payjoin,) = world.chain
    assert signatures_are_valid(payjoin, UTXOS)
    bob = world.bob()
    assert isinstance(bob, receiver.Closed)
    assert isinstance(bob.outcome, outcomes.Success)


def test_a_v1_sender_over_http_is_told_why_there_is_no_payjoin() -> None:
    world = BothParties()
    posting, invited = _v1_sender_over_http(world)
    request = posting.post_v1(now=NOW)
    query = request.url.partition("?")[2]
    unchecked = invited.receive_v1(request.body, query, now=NOW).save(world.bobs)
    error = unchecked.refuse(Reason.WALLET_UNAVAILABLE).save(world.bobs)
    body = error.v1_body
    error.record_replied().save(world.bobs)
    assert ErrorReply.parse(body).code is ErrorCode.UNAVAILABLE
    pending = posting.process_v1(200, body).save(world.alices)
    assert isinstance(pending, sender.PendingFallback)
    assert pending.reason is Reason.RECEIVER_UNAVAILABLE


def test_a_v1_sender_through_the_directory_gets_a_proposal_they_accept() -> None:
    world = BothParties()
    invited = receiver.create(
        address=BOB.address(0),
        directory=world.directory.origin,
        ohttp_keys=world.directory.config,
        expires_at=EXPIRES_AT,
        amount=AMOUNT,
        v1=True,
    ).save(world.bobs)
    name = str(invited.short_id)
    world.directory.mailboxes[name] = ORIGINAL.to_base64().encode() + b"\n"
    world.step_bob()
    unchecked = world.bob()
    assert isinstance(unchecked, receiver.UncheckedOriginalPayload)
    world.propose(unchecked)
    world.step_bob()
    sent = Psbt.parse(b64decode(world.directory.replies[name], validate=True))
    to_sign = check_proposal(
        original=ORIGINAL,
        proposal=sent,
        params=SenderParams(version=1, output_substitution=False),
        payee=BOB.script(0),
        output_substitution=False,
    )
    payjoin = ALICE.sign(to_sign).extract()
    assert signatures_are_valid(payjoin, UTXOS)
    world.chain.append(payjoin)
    world.step_bob()
    bob = world.bob()
    assert isinstance(bob, receiver.Closed)
    assert bob.payjoin == payjoin


@pytest.mark.parametrize(
    "meddle",
    [
        lambda session: session.receive_v1(b"", "v=1", now=NOW),
        lambda session: session.poll(RELAY, now=EXPIRES_AT),
    ],
)
def test_what_fails_leaves_the_session_good(
    meddle: Callable[[receiver.Initialized], object],
) -> None:
    world = BothParties()
    _, invited = _v1_sender_over_http(world)
    with pytest.raises((InvalidMessage, UsageError)):
        meddle(invited)
    assert world.bob() == invited
