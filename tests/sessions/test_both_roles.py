"""A sender and a receiver, each with its log, wallet and keys, around one directory."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from tests.support.directory import Directory
from tests.support.keys import Keys, as_claimed, signatures_are_valid
from tests.support.log import MemoryLog

from dovetail.bitcoin.transaction import Transaction
from dovetail.bitcoin.units import FeeRate, Sats, UnixTime
from dovetail.errors import TransportError
from dovetail.protocol.params import SenderParams
from dovetail.protocol.proposal import fee_contribution
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import ReceiverEvent
from dovetail.sessions.sender import SenderEvent

NOW = UnixTime(1_700_000_000)
EXPIRES_AT = UnixTime(NOW + 3600)
AMOUNT = Sats(50_000)
RELAY = "https://relay.example"
RATES = FeeRate.from_sat_per_vb(1), FeeRate.from_sat_per_vb(50)

ALICE, BOB = Keys("alice"), Keys("bob")
ALICES = (ALICE.coin(0, 60_000), ALICE.coin(1, 45_000))
BOBS = BOB.coin(1, 70_000)
UTXOS = {coin.outpoint: coin.utxo for coin in (*ALICES, BOBS)}

S = TypeVar("S")


def expect(session: object, kind: type[S]) -> S:
    assert isinstance(session, kind)
    return session


@dataclass
class Table:
    """Who sits at it."""

    directory: Directory = field(default_factory=Directory)
    alices: MemoryLog[SenderEvent] = field(default_factory=MemoryLog)
    bobs: MemoryLog[ReceiverEvent] = field(default_factory=MemoryLog)

    def invite(self) -> receiver.Initialized:
        return receiver.create(
            address=BOB.address(0),
            directory=self.directory.origin,
            ohttp_keys=self.directory.config,
            expires_at=EXPIRES_AT,
            amount=AMOUNT,
        ).save(self.bobs)

    def pay(self, invited: receiver.Initialized) -> sender.PollingForProposal:
        original = ALICE.pay(BOB.script(0), AMOUNT, coins=ALICES)
        params = SenderParams(
            min_fee_rate=RATES[0], fee_contribution=fee_contribution(original, BOB.script(0))
        )
        created = sender.create(
            uri=invited.payjoin_uri, original=original, params=params, now=NOW
        ).save(self.alices)
        posting = created.start_posting().save(self.alices)
        request, context = posting.post(RELAY, now=NOW)
        posted = posting.process_post(self.directory.serve(request), context).save(self.alices)
        return expect(posted, sender.PollingForProposal)

    def poll(self, polling: sender.PollingForProposal) -> sender.SenderSession:
        request, context = polling.poll(RELAY, now=NOW)
        return polling.process_poll(self.directory.serve(request), context).save(self.alices)

    def retrieve(self, invited: receiver.Initialized) -> receiver.UncheckedOriginalPayload:
        request, context = invited.poll(RELAY, now=NOW)
        after = invited.process_poll(self.directory.serve(request), context, now=NOW).save(
            self.bobs
        )
        return expect(after, receiver.UncheckedOriginalPayload)

    def propose(self, unchecked: receiver.UncheckedOriginalPayload) -> receiver.Monitor:
        log = self.bobs
        owned = expect(
            unchecked.check_broadcast_suitability(
                True, tested=False, spent=as_claimed(unchecked)
            ).save(log),
            receiver.MaybeInputsOwned,
        )
        seen = expect(owned.check_inputs_not_owned(()).save(log), receiver.MaybeInputsSeen)
        unknown = expect(seen.check_no_inputs_seen_before(()).save(log), receiver.OutputsUnknown)
        outputs = expect(
            unknown.identify_receiver_outputs({BOB.script(0)}).save(log), receiver.WantsOutputs
        )
        ranged = outputs.commit_outputs().save(log).commit_inputs((BOBS,)).save(log)
        draft = expect(ranged.apply_fee_range(*RATES).save(log), receiver.ProvisionalProposal)
        proposal = expect(
            draft.finalize_proposal(BOB.sign(draft.psbt_to_sign)).save(log),
            receiver.PayjoinProposal,
        )
        request, context = proposal.post(RELAY, now=NOW)
        posted = proposal.process_post(self.directory.serve(request), context).save(log)
        return expect(posted, receiver.Monitor)

    def replayed(self) -> tuple[sender.SenderSession, receiver.ReceiverSession]:
        return sender.replay(self.alices.events), receiver.replay(self.bobs.events)


@pytest.fixture
def table() -> Table:
    return Table()


def ends(
    table: Table, paying: sender.Monitor, paid: receiver.Monitor, transaction: Transaction
) -> tuple[outcomes.Outcome, outcomes.Outcome]:
    """What both make of a transaction that has confirmed."""
    alice = paying.record_settlement(transaction, depth=1).save(table.alices)
    bob = paid.record_settlement(transaction, depth=1).save(table.bobs)
    assert table.replayed() == (alice, bob)
    return expect(alice, sender.Closed).outcome, expect(bob, receiver.Closed).outcome


def test_both_see_one_payjoin_with_valid_signatures(table):
    invited = table.invite()
    polling = table.pay(invited)
    assert table.poll(polling) is polling
    watching = table.propose(table.retrieve(invited))
    received = expect(table.poll(polling), sender.ProposalReceived)
    signed = received.record_signed(ALICE.sign(received.psbt_to_sign)).save(table.alices)
    payjoin = expect(signed, sender.PendingBroadcast).payjoin
    assert signatures_are_valid(payjoin, UTXOS)
    assert set(payjoin.contested()) == set(UTXOS)
    monitor = expect(signed, sender.PendingBroadcast).record_broadcast(payjoin.txid)
    alice, bob = ends(table, monitor.save(table.alices), watching, payjoin)
    assert isinstance(alice, outcomes.Success)
    assert isinstance(bob, outcomes.Success)
    assert alice.txid == bob.txid == str(payjoin.txid)
    assert expect(table.replayed()[1], receiver.Closed).payjoin == payjoin


def test_both_see_the_fallback_that_the_receiver_broadcasts_once_the_sender_has_cancelled(table):
    """The payment is made once, though the sender released it (M4)."""
    invited = table.invite()
    polling = table.pay(invited)
    watching = table.propose(table.retrieve(invited))
    released = polling.cancel().save(table.alices).release(spends=()).save(table.alices)
    fallback = expect(released, sender.Monitor).fallback_transaction
    assert signatures_are_valid(fallback, UTXOS)
    alice, bob = ends(table, expect(released, sender.Monitor), watching, fallback)
    assert alice == outcomes.FallbackBroadcasted(
        txid=str(fallback.txid), why=Reason.CANCELLED_BY_US
    )
    assert isinstance(bob, outcomes.FallbackBroadcasted)


Refusal = Callable[[receiver.UncheckedOriginalPayload, Table], object]


def refuse(unchecked: receiver.UncheckedOriginalPayload, table: Table) -> object:
    return unchecked.check_broadcast_suitability(False, tested=False, spent={}).save(table.bobs)


def without_coins(unchecked: receiver.UncheckedOriginalPayload, table: Table) -> object:
    log = table.bobs
    owned = expect(unchecked.assume_interactive().save(log), receiver.MaybeInputsOwned)
    seen = expect(owned.check_inputs_not_owned(()).save(log), receiver.MaybeInputsSeen)
    unknown = expect(seen.check_no_inputs_seen_before(()).save(log), receiver.OutputsUnknown)
    outputs = expect(
        unknown.identify_receiver_outputs({BOB.script(0)}).save(log), receiver.WantsOutputs
    )
    return outputs.commit_outputs().save(log).cannot_contribute().save(log)


@pytest.mark.parametrize(
    ("decide", "reason"),
    [
        (refuse, Reason.RECEIVER_ORIGINAL_PSBT_REJECTED),
        (without_coins, Reason.RECEIVER_UNAVAILABLE),
    ],
)
def test_a_receiver_that_gives_up_tells_the_sender(table, decide: Refusal, reason):
    invited = table.invite()
    polling = table.pay(invited)
    refused = expect(decide(table.retrieve(invited), table), receiver.HasReplyableError)
    request, context = refused.reply(RELAY, now=NOW)
    refused.process_reply(table.directory.serve(request), context).save(table.bobs)
    assert expect(table.poll(polling), sender.PendingFallback).reason is reason


def test_every_ciphertext_is_sent_once_and_has_one_size(table):
    """P1, P5."""
    invited = table.invite()
    polling = table.pay(invited)
    table.poll(polling)
    table.propose(table.retrieve(invited))
    table.poll(polling)
    assert len(set(table.directory.bodies)) == len(table.directory.bodies)
    assert {len(body) for body in table.directory.bodies} == {8192}


def test_a_directory_outage_is_outlived(table):
    invited = table.invite()
    polling = table.pay(invited)
    table.directory.status = 503
    with pytest.raises(TransportError, match="503"):
        table.poll(polling)
    table.directory.status = None
    table.propose(table.retrieve(invited))
    assert isinstance(table.poll(polling), sender.ProposalReceived)


def test_a_second_session_for_the_same_uri_writes_to_the_same_mailbox_and_is_not_read(table):
    """The first message stays (BIP 77): why a URI is never used twice."""
    invited = table.invite()
    first = table.pay(invited)
    second = replace(table, alices=MemoryLog())
    second.pay(invited)
    table.propose(table.retrieve(invited))
    assert isinstance(table.poll(first), sender.ProposalReceived)
