"""One payjoin in process: Alice pays, Bob adds a coin; no HTTP, and the signing off the clock."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Generic, TypeVar

from benchmarks.keys import ADDRESS, ALICE, AMOUNT, BOB, NOW, RELAY, coin, original
from tests.support.directory import Directory
from tests.support.keys import as_claimed

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import Transaction
from dovetail.bitcoin.units import FeeRate, UnixTime
from dovetail.crypto.ohttp import GatewayKey
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.params import SenderParams
from dovetail.protocol.proposal import fee_contribution
from dovetail.protocol.requests import Request
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions import receiver, sender
from dovetail.sessions.codec import EventCodec, SessionEvent

T = TypeVar("T")
EventT = TypeVar("EventT", bound=SessionEvent)

_EXPIRES_AT = UnixTime(NOW + 86_400)
GATEWAY = GatewayKey(1, SecretKey(b"\x05" * 32))
_RATES = FeeRate.from_sat_per_vb(1), FeeRate.from_sat_per_vb(20)


@dataclass(slots=True)
class Entries(Generic[EventT]):
    """A log that keeps what a store keeps, and syncs nothing."""

    codec: EventCodec[EventT]
    events: list[EventT] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)

    def append(self, event: EventT, /, *, seq: int, closes: bool) -> None:
        assert seq == len(self.lines), closes
        self.events.append(event)
        self.lines.append(self.codec.encode(event))


@dataclass(slots=True)
class Payjoin:
    """From the receiver's URI to both sessions closed, through a directory with real cryptography.

    `signing` and `serving` are the seconds that were the wallets', and the directory's.
    """

    inputs: int = 2
    directory: Directory = field(default_factory=lambda: Directory(key=GATEWAY))
    receiver_log: Entries[receiver.ReceiverEvent] = field(
        default_factory=lambda: Entries(receiver.events.CODEC)
    )
    sender_log: Entries[sender.SenderEvent] = field(
        default_factory=lambda: Entries(sender.events.CODEC)
    )
    signing: float = 0.0
    serving: float = 0.0

    def run(self) -> Transaction:
        """Play it; the payjoin, signed by both."""
        inviting = receiver.create(
            address=ADDRESS,
            directory=self.directory.origin,
            ohttp_keys=self.directory.config,
            expires_at=_EXPIRES_AT,
            amount=AMOUNT,
            label="coffee",
        ).save(self.receiver_log)
        polling = self._offer(inviting.payjoin_uri.serialize())
        monitoring = self._propose(inviting)
        return self._pay(polling, monitoring)

    def _offer(self, uri_text: str) -> sender.PollingForProposal:
        uri, payment = (
            PayjoinUri.parse(uri_text),
            self._sign(Psbt.parse, original(inputs=self.inputs)),
        )
        contribution = fee_contribution(payment, uri.address.script_pubkey)
        session = sender.create(
            uri=uri,
            original=payment,
            params=SenderParams(min_fee_rate=_RATES[0], fee_contribution=contribution),
            now=NOW,
        ).save(self.sender_log)
        posting = session.start_posting().save(self.sender_log)
        request, context = posting.post(RELAY, now=NOW)
        polling = posting.process_post(self._serve(request), context).save(self.sender_log)
        assert isinstance(polling, sender.PollingForProposal)
        return polling

    def _propose(self, inviting: receiver.Initialized) -> receiver.Monitor:
        log = self.receiver_log
        request, context = inviting.poll(RELAY, now=NOW)
        unchecked = inviting.process_poll(self._serve(request), context, now=NOW).save(log)
        assert isinstance(unchecked, receiver.UncheckedOriginalPayload)
        suitable = unchecked.check_broadcast_suitability(
            accepted=True, tested=True, spent=as_claimed(unchecked), min_fee_rate=_RATES[0]
        )
        maybe_owned = suitable.save(log)
        assert isinstance(maybe_owned, receiver.MaybeInputsOwned)
        maybe_seen = maybe_owned.check_inputs_not_owned(()).save(log)
        assert isinstance(maybe_seen, receiver.MaybeInputsSeen)
        unknown = maybe_seen.check_no_inputs_seen_before(()).save(log)
        assert isinstance(unknown, receiver.OutputsUnknown)
        wants_outputs = unknown.identify_receiver_outputs({ADDRESS.script_pubkey}).save(log)
        assert isinstance(wants_outputs, receiver.WantsOutputs)
        wants_inputs = wants_outputs.commit_outputs().save(log)
        coins = [replace(coin(BOB, index, 70_000 + index)) for index in (1, 2)]
        chosen = wants_inputs.select_coins(coins)
        wants_fees = wants_inputs.commit_inputs(chosen).save(log)
        provisional = wants_fees.apply_fee_range(*_RATES).save(log)
        assert isinstance(provisional, receiver.ProvisionalProposal)
        signed = self._sign(BOB.sign, provisional.psbt_to_sign)
        proposal = provisional.finalize_proposal(signed).save(log)
        assert isinstance(proposal, receiver.PayjoinProposal)
        request, context = proposal.post(RELAY, now=NOW)
        monitoring = proposal.process_post(self._serve(request), context).save(log)
        assert isinstance(monitoring, receiver.Monitor)
        return monitoring

    def _pay(self, polling: sender.PollingForProposal, monitoring: receiver.Monitor) -> Transaction:
        request, context = polling.poll(RELAY, now=NOW)
        received = polling.process_poll(self._serve(request), context).save(self.sender_log)
        assert isinstance(received, sender.ProposalReceived)
        signed = self._sign(ALICE.sign, received.psbt_to_sign)
        pending = received.record_signed(signed).save(self.sender_log)
        assert isinstance(pending, sender.PendingBroadcast)
        payjoin = pending.payjoin
        broadcast = pending.record_broadcast(payjoin.txid).save(self.sender_log)
        broadcast.record_settlement(payjoin, depth=1, owned=()).save(self.sender_log)
        monitoring.record_settlement(payjoin, depth=1).save(self.receiver_log)
        return payjoin

    def _serve(self, request: Request) -> bytes:
        start = perf_counter()
        answer = self.directory.serve(request)
        self.serving += perf_counter() - start
        return answer

    def _sign(self, sign: Callable[[T], Psbt], what: T) -> Psbt:
        start = perf_counter()
        signed = sign(what)
        self.signing += perf_counter() - start
        return signed
