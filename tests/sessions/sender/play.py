"""A receiver, a directory, a wallet and a store for the sender's tests, all in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from btclib_secp256k1 import dsa

from dovetail.bitcoin.hashes import hash160
from dovetail.bitcoin.psbt import Psbt, PsbtInput
from dovetail.bitcoin.script import Address, Network, Script
from dovetail.bitcoin.sighash import ALL, SignatureHashes
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import FeeRate, Sats, UnixTime
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.crypto.bhttp import BhttpRequest, BhttpResponse
from dovetail.crypto.entropy import SeededEntropy
from dovetail.crypto.ohttp import RESPONSE_OVERHEAD, GatewayKey, decapsulate
from dovetail.crypto.secp256k1 import PublicKey, SecretKey
from dovetail.errors import StaleSession
from dovetail.protocol.mailbox import decode_original, open_message_a, seal_message_b
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.protocol.requests import OHTTP_MESSAGE_SIZE, Request
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint
from dovetail.sessions import outcomes, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.transition import Transition

NOW = UnixTime(1_800_000_000)
EXPIRES_AT = UnixTime(NOW + 86_400)
HEIGHT = 800_000
SIGNING_DEADLINE = UnixTime(NOW + 2 * 86_400)
RELAY = "https://relay.example"
DIRECTORY = "https://directory.example"

RECEIVER = SecretKey(b"\x21" * 32)
GATEWAY = GatewayKey(7, SecretKey(b"\x22" * 32))

SIGNATURE = b"\x30\x44\x02\x20" + b"\x33" * 32 + b"\x02\x20" + b"\x44" * 32 + b"\x01"
SENDER_SECRET, RECEIVER_SECRET = SecretKey(b"\x31" * 32), SecretKey(b"\x32" * 32)
SENDER_KEY = SENDER_SECRET.public_key.compressed
RECEIVER_KEY = RECEIVER_SECRET.public_key.compressed


def p2wpkh(key: bytes) -> Script:
    return Script(b"\x00\x14" + hash160(key))


def p2sh(script: Script) -> Script:
    return Script(b"\xa9\x14" + hash160(script) + b"\x87")


OURS = p2wpkh(SENDER_KEY)
OURS_NESTED = p2sh(OURS)
THEIRS = p2wpkh(RECEIVER_KEY)
PAYEE = p2wpkh(b"\x02" + b"\x55" * 32)
CHANGE = p2wpkh(b"\x02" + b"\x66" * 32)
ELSEWHERE = p2wpkh(b"\x02" + b"\x77" * 32)

COINS = {
    OutPoint(Txid(b"\x0a" * 32), 0): TxOut(Sats(60_000), OURS),
    OutPoint(Txid(b"\x0b" * 32), 3): TxOut(Sats(40_000), OURS_NESTED),
}
RECEIVER_OUTPOINT = OutPoint(Txid(b"\x0c" * 32), 1)
RECEIVER_COIN = TxOut(Sats(30_000), THEIRS)

ADDRESS = Address.from_script(PAYEE, Network.REGTEST)
AMOUNT = Sats(50_000)
URI = PayjoinUri(
    ADDRESS,
    AMOUNT,
    V2Endpoint(DIRECTORY, RECEIVER.public_key, GATEWAY.config, EXPIRES_AT),
    label="coffee",
)
V1_URI = PayjoinUri(ADDRESS, AMOUNT, V1Endpoint("https://shop.example/pay?id=1"))
PARAMS = SenderParams(
    min_fee_rate=FeeRate.from_sat_per_vb(1), fee_contribution=FeeContribution(Sats(300), 1)
)


def payment() -> Transaction:
    """The sender's payment without signatures: 50000 to the payee, 48000 back, a fee of 2000."""
    return Transaction(
        version=2,
        inputs=tuple(TxIn(outpoint, sequence=0xFFFFFFFD) for outpoint in COINS),
        outputs=(TxOut(AMOUNT, PAYEE), TxOut(Sats(48_000), CHANGE)),
        lock_time=0,
    )


def unsigned_original(transaction: Transaction | None = None) -> Psbt:
    psbt = Psbt.from_unsigned(transaction or payment())
    for index, txin in enumerate(psbt.unsigned_transaction.inputs):
        coin = COINS[txin.previous_output]
        psbt = psbt.with_input(index, psbt.inputs[index].with_witness_utxo(coin))
        if coin.script_pubkey == OURS_NESTED:
            psbt = psbt.with_input(index, psbt.inputs[index].with_redeem_script(OURS))
    return psbt


def ecdsa(psbt: Psbt, index: int, coin: TxOut, secret: SecretKey) -> bytes:
    """The signature of a P2WPKH input, nested or not, over the whole transaction (BIP 143)."""
    spent = [coin] * len(psbt.inputs)  # a signature commits to the amount of its own coin alone
    code = b"\x76\xa9\x14" + hash160(secret.public_key.compressed) + b"\x88\xac"
    digest = SignatureHashes(psbt.unsigned_transaction, spent).witness_v0(index, code, ALL)
    return dsa.sign(digest, secret.reveal(), grind=True) + bytes([ALL])


def sign(psbt: Psbt, *, finalize: bool = True) -> Psbt:
    """What a wallet does with the inputs that spend its coins."""
    for index, txin in enumerate(psbt.unsigned_transaction.inputs):
        coin = COINS.get(txin.previous_output)
        if coin is None:
            continue
        signature = ecdsa(psbt, index, coin, SENDER_SECRET)
        script_sig = b"\x16" + OURS if coin.script_pubkey == OURS_NESTED else b""
        if finalize:
            signed = PsbtInput().with_witness_utxo(coin)
            signed = signed.with_final(script_sig, (signature, SENDER_KEY))
        else:
            signed = PsbtInput().with_witness_utxo(coin)
            signed = signed.with_partial_signature(SENDER_KEY, signature)
            if script_sig:
                signed = signed.with_redeem_script(OURS)
        psbt = psbt.with_input(index, signed)
    return psbt


def original() -> Psbt:
    return sign(unsigned_original())


def fallback() -> Transaction:
    return original().extract()


def proposal(*, payee_value: int = 80_000, change_value: int = 48_000) -> Psbt:
    """An honest Proposal PSBT, if no value is given: the receiver adds a coin of 30000."""
    base = payment()
    ours = TxIn(RECEIVER_OUTPOINT, sequence=0xFFFFFFFD)
    outputs = (TxOut(Sats(payee_value), PAYEE), TxOut(Sats(change_value), CHANGE))
    psbt = Psbt.from_unsigned(replace(base, inputs=(*base.inputs, ours), outputs=outputs))
    signed = PsbtInput().with_witness_utxo(RECEIVER_COIN)
    signature = ecdsa(psbt, 2, RECEIVER_COIN, RECEIVER_SECRET)
    return psbt.with_input(2, signed.with_final(witness=(signature, RECEIVER_KEY)))


def spend_elsewhere(*scripts: Script, outpoint: OutPoint | None = None) -> Transaction:
    """A signed transaction that spends a contested outpoint, or the one given, to these scripts."""
    spent = outpoint or next(iter(COINS))
    return Transaction(
        version=2,
        inputs=(TxIn(spent, witness=(SIGNATURE, SENDER_KEY)),),
        outputs=tuple(TxOut(Sats(1_000), script) for script in scripts),
        lock_time=0,
    )


@dataclass
class Log:
    """A store of one session that keeps what a real one keeps: encoded events."""

    entries: list[bytes] = field(default_factory=list)
    is_closed: bool = False

    def append(self, event: SenderEvent, /, *, seq: int, closes: bool) -> None:
        if self.is_closed or seq != len(self.entries):
            raise StaleSession("The session has moved on; reload it.")
        self.entries.append(sender.encode_event(event))
        self.is_closed = closes

    def events(self) -> tuple[SenderEvent, ...]:
        return tuple(map(sender.decode_event, self.entries))

    def tags(self) -> list[str]:
        return [type(event).__name__ for event in self.events()]

    def replay(self) -> sender.SenderSession:
        return sender.replay(self.events())


def inner_request(request: Request) -> BhttpRequest:
    return BhttpRequest.parse(decapsulate(GATEWAY, request.body)[0])


def answer(request: Request, status: int, body: bytes = b"") -> bytes:
    """What the directory answers to one request."""
    context = decapsulate(GATEWAY, request.body)[1]
    padded = BhttpResponse(status, (), body).serialize(OHTTP_MESSAGE_SIZE - RESPONSE_OVERHEAD)
    return context.seal(padded)


def posted_to_receiver(request: Request) -> tuple[Psbt, SenderParams, PublicKey]:
    """What the receiver reads in its mailbox once the request has arrived."""
    message = open_message_a(inner_request(request).body, receiver_secret=RECEIVER)
    return *decode_original(message.body, default_version=2), message.reply_key


def message_b(session: sender.SenderSession, payload: bytes) -> bytes:
    """What the receiver puts into the sender's mailbox."""
    return seal_message_b(
        payload, receiver_secret=RECEIVER, reply_key=session.terms.reply_key.public_key
    )


def create(log: Log, uri: PayjoinUri = URI) -> sender.WithReplyKey:
    return sender.create(
        uri=uri,
        original=original(),
        params=PARAMS,
        now=NOW,
        signing_deadline=SIGNING_DEADLINE,
        depth=2,
        height=HEIGHT,
        entropy=SeededEntropy(b"sender"),
    ).save(log)


def posting(log: Log) -> sender.PostingOriginal:
    return create(log).start_posting().save(log)


def posting_v1(log: Log) -> sender.PostingOriginal:
    return create(log, V1_URI).start_posting().save(log)


def process_post(
    session: sender.PostingOriginal, status: int
) -> Transition[SenderEvent, sender.PollingForProposal | sender.PendingFallback]:
    request, context = session.post(RELAY, now=NOW)
    return session.process_post(answer(request, status), context)


def polling(log: Log) -> sender.PollingForProposal:
    session = process_post(posting(log), 200).save(log)
    assert isinstance(session, sender.PollingForProposal)
    return session


Polled: TypeAlias = Transition[
    SenderEvent, sender.PollingForProposal | sender.ProposalReceived | sender.PendingFallback
]


def process_poll(session: sender.PollingForProposal, status: int, body: bytes = b"") -> Polled:
    request, context = session.poll(RELAY, now=NOW)
    return session.process_poll(answer(request, status, body), context)


def process_answer(session: sender.PollingForProposal, payload: bytes) -> Polled:
    """Poll and find this payload of the receiver's, sealed."""
    return process_poll(session, 200, message_b(session, payload))


def proposal_received(log: Log) -> sender.ProposalReceived:
    session = process_answer(polling(log), proposal().serialize()).save(log)
    assert isinstance(session, sender.ProposalReceived)
    return session


def pending_broadcast(log: Log) -> sender.PendingBroadcast:
    session = proposal_received(log)
    signed = session.record_signed(sign(session.psbt_to_sign), now=NOW).save(log)
    assert isinstance(signed, sender.PendingBroadcast)
    return signed


def payjoin_monitored(log: Log) -> sender.Monitor:
    session = pending_broadcast(log)
    return session.record_broadcast(session.payjoin.txid).save(log)


def payjoin() -> Transaction:
    return pending_broadcast(Log()).payjoin


def cancelled_before_posting(log: Log) -> sender.PendingFallback:
    return create(log).cancel().save(log)


def cancelled_while_polling(log: Log) -> sender.PendingFallback:
    return polling(log).cancel().save(log)


def asked_for_before_posting(log: Log) -> sender.PendingFallback:
    return cancelled_before_posting(log).request_fallback().save(log)


def raised(fee: int = 4_000) -> Psbt:
    """The same payment from the same coins, signed, for another fee than 2000."""
    base = payment()
    outputs = (base.outputs[0], TxOut(Sats(50_000 - fee), CHANGE))
    return sign(unsigned_original(replace(base, outputs=outputs)))


def plain(log: Log) -> sender.PendingFallback:
    request = BitcoinUri(ADDRESS, AMOUNT, label="coffee")
    return sender.create_plain(
        request=request, original=original(), now=NOW, depth=2, height=HEIGHT
    ).save(log)


def coins_missed(log: Log) -> sender.Monitor:
    return fallback_monitored(log).record_coins(missing=True, height=HEIGHT + 1).save(log)


def coins_missed_while_pending(log: Log) -> sender.PendingFallback:
    return plain(log).record_coins(missing=True, height=HEIGHT + 1).save(log)


def asked_for_while_polling(log: Log) -> sender.PendingFallback:
    return polling(log).request_fallback().save(log)


def bumped(log: Log) -> sender.PendingFallback:
    return fallback_monitored(log).bump(raised()).save(log)


def bumped_monitored(log: Log) -> sender.Monitor:
    session = bumped(log)
    return session.record_broadcast(session.fallback_transaction.txid).save(log)


def payjoin_refused(log: Log) -> sender.PendingFallback:
    session = pending_broadcast(log).refused(spends=()).save(log)
    assert isinstance(session, sender.PendingFallback)
    assert session.reason is Reason.PAYJOIN_REFUSED_BY_NETWORK
    return session


def fallback_monitored(log: Log) -> sender.Monitor:
    session = cancelled_while_polling(log)
    return session.record_broadcast(session.fallback_transaction.txid).save(log)


def released(log: Log) -> sender.Monitor:
    session = cancelled_while_polling(log).release(spends=()).save(log)
    assert isinstance(session, sender.Monitor)
    return session


def closed_by_payjoin(log: Log) -> sender.Closed:
    session = payjoin_monitored(log)
    assert session.payjoin is not None
    ended = session.record_settlement(session.payjoin, depth=2).save(log)
    assert isinstance(ended, sender.Closed)
    return ended


def settle(
    session: sender.Monitor, transaction: Transaction, owned: tuple[Script, ...] = ()
) -> outcomes.Outcome:
    """The outcome once this transaction is deep enough."""
    log = Log(entries=[b""] * session.seq)
    closed = session.record_settlement(transaction, depth=2, owned=owned).save(log)
    assert isinstance(closed, sender.Closed)
    assert log.is_closed
    return closed.outcome


PLACES: dict[str, Callable[[Log], sender.SenderSession]] = {
    place.__name__: place
    for place in (
        create,
        posting,
        posting_v1,
        polling,
        proposal_received,
        pending_broadcast,
        payjoin_monitored,
        cancelled_before_posting,
        cancelled_while_polling,
        asked_for_before_posting,
        asked_for_while_polling,
        plain,
        bumped,
        bumped_monitored,
        payjoin_refused,
        fallback_monitored,
        coins_missed,
        coins_missed_while_pending,
        released,
        closed_by_payjoin,
    )
}
"""Every kind of place that a session can be in, and the way there."""
