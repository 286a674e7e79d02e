"""Bad messages, each with one fault: ours which rust-payjoin refuses, and its which we refuse."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import httpx2 as httpx
from tests.interop.combinations import THEM, US, at_once
from tests.interop.dovetail_peer import OurReceiver, OurSender
from tests.interop.environment import How, Stage
from tests.interop.pairing import AMOUNT, Pairing, both
from tests.interop.rust_peer import TheirReceiver, TheirSender
from tests.interop.rust_program import PeerError

from dovetail import PayjoinUri
from dovetail.bitcoin import Psbt, Sats, TxOut
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.mailbox import ShortId, seal_message_a, seal_message_b
from dovetail.protocol.requests import post_to_mailbox
from dovetail.protocol.uri import V2Endpoint
from dovetail.runtime.prepared_payment import PreparedPayment
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason

_OUR_PROPOSALS = "Bad proposals of ours"
_OUR_ORIGINALS = "Bad Originals of ours"
_THEIR_PROPOSALS = "Bad proposals of theirs"


def refusals() -> Iterator[Pairing]:
    """All of them."""
    for what in BAD_PROPOSALS:
        yield Pairing(_OUR_PROPOSALS, what, THEM, US, US, THEM, _they_refuse_a_proposal)
    for what in BAD_ORIGINALS:
        yield Pairing(_OUR_ORIGINALS, what, US, THEM, THEM, US, _they_refuse_an_original)
    for what in THEIR_BAD_PROPOSALS:
        yield Pairing(_THEIR_PROPOSALS, what, US, THEM, THEM, US, _we_refuse_a_proposal)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A good proposal, to be spoilt: which inputs and outputs are whose."""

    psbt: Psbt
    ours: int
    theirs: int
    payment: int
    change: int
    fee: int


def _version(good: Proposal) -> bytes:
    return _with(good, version=1)


def _lock_time(good: Proposal) -> bytes:
    return _with(good, lock_time=1)


def _sequence(good: Proposal) -> bytes:
    inputs = tuple(
        replace(txin, sequence=0xFFFFFFFE) for txin in good.psbt.unsigned_transaction.inputs
    )
    return _with(good, inputs=inputs)


def _mixed_sequences(good: Proposal) -> bytes:
    inputs = list(good.psbt.unsigned_transaction.inputs)
    inputs[good.ours] = replace(inputs[good.ours], sequence=0xFFFFFFFE)
    return _with(good, inputs=tuple(inputs))


def _without_their_input(good: Proposal) -> bytes:
    transaction = good.psbt.unsigned_transaction
    inputs = tuple(each for at, each in enumerate(transaction.inputs) if at != good.theirs)
    maps = tuple(each for at, each in enumerate(good.psbt.inputs) if at != good.theirs)
    spoilt = good.psbt.with_transaction(
        replace(transaction, inputs=inputs), maps, good.psbt.outputs
    )
    return spoilt.serialize()


def _without_change(good: Proposal) -> bytes:
    transaction = good.psbt.unsigned_transaction
    outputs = tuple(each for at, each in enumerate(transaction.outputs) if at != good.change)
    maps = tuple(each for at, each in enumerate(good.psbt.outputs) if at != good.change)
    spoilt = good.psbt.with_transaction(
        replace(transaction, outputs=outputs), good.psbt.inputs, maps
    )
    return spoilt.serialize()


def _change_taken(good: Proposal) -> bytes:
    return _moved(good, good.change, good.payment, 5_000)


def _change_burnt(good: Proposal) -> bytes:
    return _moved(good, good.change, None, 5_000)


def _fee_decreased(good: Proposal) -> bytes:
    return _moved(good, None, good.payment, good.fee - 50)


def _unsigned(good: Proposal) -> bytes:
    utxo = good.psbt.utxo(good.ours)
    return good.psbt.with_input(good.ours, PsbtInput().with_witness_utxo(utxo)).serialize()


def _no_utxo(good: Proposal) -> bytes:
    final = good.psbt.inputs[good.ours]
    bare = PsbtInput().with_final(final.final_script_sig or b"", final.final_script_witness or ())
    return good.psbt.with_input(good.ours, bare).serialize()


def _their_input_final(good: Proposal) -> bytes:
    final = good.psbt.inputs[good.ours].final_script_witness or ()
    spoilt = good.psbt.inputs[good.theirs].with_final(b"", final)
    return good.psbt.with_input(good.theirs, spoilt).serialize()


BAD_PROPOSALS: Mapping[str, Callable[[Proposal], bytes]] = {
    "another transaction version": _version,
    "another lock time": _lock_time,
    "another sequence in every input": _sequence,
    "mixed sequences": _mixed_sequences,
    "the sender's input is missing": _without_their_input,
    "the sender's change is missing": _without_change,
    "the sender's change goes to the receiver": _change_taken,
    "the sender's change goes to miners": _change_burnt,
    "the fee is lower than the Original's": _fee_decreased,
    "the receiver's input is not signed": _unsigned,
    "the receiver's input has no UTXO": _no_utxo,
    "the sender's input is final": _their_input_final,
    "no PSBT": lambda _: b"psbt, but not really",
    "an error with an unknown code": lambda _: b'{"errorCode":"out-of-coffee","message":"?"}',
}


def _with(good: Proposal, **changes: object) -> bytes:
    transaction = replace(good.psbt.unsigned_transaction, **changes)  # type: ignore[arg-type]
    return good.psbt.with_transaction(transaction, good.psbt.inputs, good.psbt.outputs).serialize()


def _moved(good: Proposal, source: int | None, target: int | None, sats: int) -> bytes:
    outputs = list(good.psbt.unsigned_transaction.outputs)
    for at, sign in ((source, -1), (target, 1)):
        if at is not None:
            value = Sats(int(outputs[at].value) + sign * sats)
            outputs[at] = TxOut(value, outputs[at].script_pubkey)
    return _with(good, outputs=tuple(outputs))


async def _they_refuse_a_proposal(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payer, TheirSender)
        assert isinstance(payee, OurReceiver)
        await payer.prepare(await payee.ask(AMOUNT, away=True))
        await payer.post()
        state, _ = await payee.lead(receiver.PayjoinProposal)
        payload = BAD_PROPOSALS[pairing.what](_good(state))
        await _post_proposal(state, payload, pairing.relay_url(stage))
        answer = await payer.answer()
        assert answer["state"] == "Closed", answer
        paid = await payer.finish(answer)
        payee.resume()
        await books.close(paid, await payee.serve(), how=How.FALLBACK)


def _good(state: receiver.PayjoinProposal) -> Proposal:
    psbt = state.proposal
    contested = state.contested
    transaction = psbt.unsigned_transaction
    places = range(len(transaction.inputs))
    theirs = next(at for at in places if transaction.inputs[at].previous_output in contested)
    ours = next(at for at in places if transaction.inputs[at].previous_output not in contested)
    payee = state.address.script_pubkey
    scripts = [output.script_pubkey for output in transaction.outputs]
    payment = scripts.index(payee)
    change = next(at for at, script in enumerate(scripts) if script != payee)
    brought = sum(utxo.value for utxo in (*state.original.utxos(), psbt.utxo(ours)))
    fee = brought - sum(output.value for output in transaction.outputs)
    return Proposal(psbt, ours, theirs, payment, change, fee)


async def _post_proposal(state: receiver.PayjoinProposal, payload: bytes, relay: str) -> None:
    """What a faulty receiver would post: sealed by the right key, for the right mailbox."""
    mailbox = state.terms.require_mailbox()
    reply_key = state.payload.reply_to.reply_key
    assert reply_key is not None
    sealed = seal_message_b(payload, receiver_secret=mailbox.secret_key, reply_key=reply_key)
    await _post(relay, mailbox.directory, ShortId.of(reply_key), mailbox.ohttp_keys, sealed)


async def _post(relay, directory, short_id, keys, body) -> None:
    request, context = post_to_mailbox(
        relay=relay, directory=directory, short_id=short_id, ohttp_keys=keys, body=body
    )
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.post(
            request.url, content=request.body, headers={"content-type": request.content_type}
        )
    context.open(reply.content).confirm_posted()


def _garbage(_payment: PreparedPayment) -> bytes:
    return b"no PSBT\nv=2"


def _unknown_version(payment: PreparedPayment) -> bytes:
    return f"{payment.original.to_base64()}\nv=9".encode()


def _absurd_fee_rate(payment: PreparedPayment) -> bytes:
    return f"{payment.original.to_base64()}\nv=2&minfeerate=1000000000".encode()


def _unsigned_original(payment: PreparedPayment) -> bytes:
    psbt = payment.original
    bare = PsbtInput().with_witness_utxo(psbt.utxo(0))
    return f"{psbt.with_input(0, bare).to_base64()}\nv=2".encode()


def _original_without_utxo(payment: PreparedPayment) -> bytes:
    final = payment.original.inputs[0].final_script_witness or ()
    bare = payment.original.with_input(0, PsbtInput().with_final(b"", final))
    return f"{bare.to_base64()}\nv=2".encode()


def _bad_signature(payment: PreparedPayment) -> bytes:
    witness = payment.original.inputs[0].final_script_witness or ()
    broken = (witness[0][:-2] + bytes([witness[0][-2] ^ 1]) + witness[0][-1:], *witness[1:])
    utxo = payment.original.utxo(0)
    spoilt = PsbtInput().with_witness_utxo(utxo).with_final(b"", broken)
    return f"{payment.original.with_input(0, spoilt).to_base64()}\nv=2".encode()


BAD_ORIGINALS: Mapping[str, Callable[[PreparedPayment], bytes]] = {
    "no PSBT": _garbage,
    "an unknown version": _unknown_version,
    "an absurd minfeerate": _absurd_fee_rate,
    "an input is not signed": _unsigned_original,
    "an input has no UTXO": _original_without_utxo,
    "a signature is wrong": _bad_signature,
}


async def _they_refuse_an_original(stage: Stage, pairing: Pairing) -> None:
    """Nothing was signed that could be paid, so nothing is paid."""
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payer, OurSender)
        assert isinstance(payee, TheirReceiver)
        uri = PayjoinUri.parse(await payee.ask(AMOUNT))
        body = BAD_ORIGINALS[pairing.what](await payer.agent.prepare(uri))
        assert isinstance(uri.endpoint, V2Endpoint)
        sealed = seal_message_a(
            body,
            receiver_key=uri.endpoint.receiver_key,
            reply_key=SecretKey.generate().public_key,
        )
        endpoint = uri.endpoint
        await _post(
            pairing.relay_url(stage),
            endpoint.directory,
            endpoint.short_id,
            endpoint.ohttp_keys,
            sealed,
        )
        assert await _refuses(payee)
        assert await payee.balance() == books.paid_to
        assert await payer.balance() == books.paid_from


async def _refuses(payee: TheirReceiver) -> bool:
    try:
        await payee.fetch()
        checked = await payee.check()
    except PeerError:
        return True
    return bool(checked["state"] == "HasReplyableError")


THEIR_BAD_PROPOSALS: Mapping[str, tuple[Mapping[str, object], str]] = {
    "the receiver's input is not signed": ({"sign": False}, "receiver-input-not-final"),
    "the receiver's input has no UTXO": ({"utxos": False}, "receiver-input-utxo"),
}


async def _we_refuse_a_proposal(stage: Stage, pairing: Pairing) -> None:
    terms, _rule = THEIR_BAD_PROPOSALS[pairing.what]
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payee, TheirReceiver)
        paid, got = await at_once(payer.pay(await payee.ask(AMOUNT)), payee.serve(**terms))
        await books.close(paid, got, how=How.FALLBACK)
        assert paid.why == Reason.PROPOSAL_BROKE_RULE
