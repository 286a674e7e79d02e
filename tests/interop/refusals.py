"""Bad messages, each with one fault: ours which rust-payjoin refuses, and its which we refuse."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import httpx2 as httpx
from tests.interop.books import AMOUNT, Books
from tests.interop.dovetail_peer import OurReceiver, OurSender
from tests.interop.environment import How
from tests.interop.pairing import they_pay, we_pay
from tests.interop.rust_peer import TheirReceiver, TheirSender
from tests.interop.rust_program import PeerError

from dovetail import PayjoinUri
from dovetail.bitcoin import Psbt, PsbtInput, Sats, Transaction, TxOut
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol import ShortId, V2Endpoint, post_to_mailbox, seal_message_a, seal_message_b
from dovetail.runtime.prepared_payment import PreparedPayment
from dovetail.sessions import receiver
from dovetail.sessions.reasons import Reason


@dataclass(frozen=True, slots=True)
class Proposal:
    """A good proposal, to be spoilt: which inputs and outputs are whose."""

    psbt: Psbt
    ours: int
    theirs: int
    payment: int
    change: int
    fee: int

    @property
    def transaction(self) -> Transaction:
        return self.psbt.unsigned_transaction

    def changed(self, **changes: Any) -> bytes:
        """With another transaction, of as many inputs and outputs."""
        transaction = replace(self.transaction, **changes)
        return self._like(transaction, self.psbt.inputs, self.psbt.outputs)

    def with_input(self, index: int, psbt_input: PsbtInput) -> bytes:
        return self.psbt.with_input(index, psbt_input).serialize()

    def sequenced(self, *places: int) -> bytes:
        """With another sequence at these places."""
        inputs = enumerate(self.transaction.inputs)
        return self.changed(
            inputs=tuple(
                replace(txin, sequence=0xFFFFFFFE) if at in places else txin for at, txin in inputs
            )
        )

    def without_theirs(self) -> bytes:
        inputs, maps = _without(self.theirs, self.transaction.inputs, self.psbt.inputs)
        return self._like(replace(self.transaction, inputs=inputs), maps, self.psbt.outputs)

    def without_change(self) -> bytes:
        outputs, maps = _without(self.change, self.transaction.outputs, self.psbt.outputs)
        return self._like(replace(self.transaction, outputs=outputs), self.psbt.inputs, maps)

    def moved(self, source: int | None, target: int | None, sats: int) -> bytes:
        outputs = list(self.transaction.outputs)
        for at, sign in ((source, -1), (target, 1)):
            if at is not None:
                value = Sats(int(outputs[at].value) + sign * sats)
                outputs[at] = TxOut(value, outputs[at].script_pubkey)
        return self.changed(outputs=tuple(outputs))

    def _like(self, transaction: Transaction, *maps: Any) -> bytes:
        return self.psbt.with_transaction(transaction, *maps).serialize()


def _without(left_out: int, *rows: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(each for at, each in enumerate(row) if at != left_out) for row in rows)


def _unsigned(good: Proposal) -> bytes:
    bare = PsbtInput().with_witness_utxo(good.psbt.utxo(good.ours))
    return good.with_input(good.ours, bare)


def _no_utxo(good: Proposal) -> bytes:
    final = good.psbt.inputs[good.ours]
    bare = PsbtInput().with_final(final.final_script_sig or b"", final.final_script_witness or ())
    return good.with_input(good.ours, bare)


def _their_input_final(good: Proposal) -> bytes:
    final = good.psbt.inputs[good.ours].final_script_witness or ()
    return good.with_input(good.theirs, good.psbt.inputs[good.theirs].with_final(b"", final))


BAD_PROPOSALS: Mapping[str, Callable[[Proposal], bytes]] = {
    "another transaction version": lambda good: good.changed(version=1),
    "another lock time": lambda good: good.changed(lock_time=1),
    "another sequence in every input": lambda good: good.sequenced(*range(len(good.psbt.inputs))),
    "mixed sequences": lambda good: good.sequenced(good.ours),
    "the sender's input is missing": Proposal.without_theirs,
    "the sender's change is missing": Proposal.without_change,
    "the sender's change goes to the receiver": lambda good: good.moved(
        good.change, good.payment, 5_000
    ),
    "the sender's change goes to miners": lambda good: good.moved(good.change, None, 5_000),
    "the fee is lower than the Original's": lambda good: good.moved(
        None, good.payment, good.fee - 50
    ),
    "the receiver's input is not signed": _unsigned,
    "the receiver's input has no UTXO": _no_utxo,
    "the sender's input is final": _their_input_final,
    "no PSBT": lambda _: b"psbt, but not really",
    "an error with an unknown code": lambda _: b'{"errorCode":"out-of-coffee","message":"?"}',
}


async def _they_refuse_a_proposal(
    payer: TheirSender, payee: OurReceiver, books: Books, *, spoil: Callable[[Proposal], bytes]
) -> None:
    await payer.prepare(await payee.ask(AMOUNT, away=True))
    await payer.post()
    state, _ = await payee.lead(receiver.PayjoinProposal)
    await _post_proposal(state, spoil(_good(state)), payer.relay)
    answer = await payer.answer()
    assert answer["state"] == "Closed", answer
    paid = await payer.finish(answer)
    payee.resume()
    await books.close(paid, await payee.serve(), how=How.FALLBACK)


def _good(state: receiver.PayjoinProposal) -> Proposal:
    psbt = state.proposal
    spent = psbt.unsigned_transaction.contested()
    theirs = next(at for at, each in enumerate(spent) if each in state.contested)
    ours = next(at for at, each in enumerate(spent) if each not in state.contested)
    payee = state.address.script_pubkey
    outputs = psbt.unsigned_transaction.outputs
    scripts = [output.script_pubkey for output in outputs]
    change = next(at for at, script in enumerate(scripts) if script != payee)
    brought = sum(utxo.value for utxo in (*state.original.utxos(), psbt.utxo(ours)))
    fee = brought - sum(output.value for output in outputs)
    return Proposal(psbt, ours, theirs, scripts.index(payee), change, fee)


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


def _with_input(payment: PreparedPayment, psbt_input: PsbtInput) -> bytes:
    return f"{payment.original.with_input(0, psbt_input).to_base64()}\nv=2".encode()


def _unsigned_original(payment: PreparedPayment) -> bytes:
    return _with_input(payment, PsbtInput().with_witness_utxo(payment.original.utxo(0)))


def _original_without_utxo(payment: PreparedPayment) -> bytes:
    final = payment.original.inputs[0].final_script_witness or ()
    return _with_input(payment, PsbtInput().with_final(b"", final))


def _bad_signature(payment: PreparedPayment) -> bytes:
    witness = payment.original.inputs[0].final_script_witness or ()
    broken = (witness[0][:-2] + bytes([witness[0][-2] ^ 1]) + witness[0][-1:], *witness[1:])
    known = PsbtInput().with_witness_utxo(payment.original.utxo(0))
    return _with_input(payment, known.with_final(b"", broken))


def _asking(payment: PreparedPayment, query: str) -> bytes:
    return f"{payment.original.to_base64()}\n{query}".encode()


BAD_ORIGINALS: Mapping[str, Callable[[PreparedPayment], bytes]] = {
    "no PSBT": lambda _: b"no PSBT\nv=2",
    "an unknown version": partial(_asking, query="v=9"),
    "an absurd minfeerate": partial(_asking, query="v=2&minfeerate=1000000000"),
    "an input is not signed": _unsigned_original,
    "an input has no UTXO": _original_without_utxo,
    "a signature is wrong": _bad_signature,
}


async def _they_refuse_an_original(
    payer: OurSender,
    payee: TheirReceiver,
    books: Books,
    *,
    spoil: Callable[[PreparedPayment], bytes],
) -> None:
    """Nothing was signed that could be paid, so nothing is paid."""
    uri = PayjoinUri.parse(await payee.ask(AMOUNT))
    body, to = spoil(await payer.agent.prepare(uri)), uri.endpoint
    assert isinstance(to, V2Endpoint)
    reply_key = SecretKey.generate().public_key
    sealed = seal_message_a(body, receiver_key=to.receiver_key, reply_key=reply_key)
    await _post(payee.relay, to.directory, to.short_id, to.ohttp_keys, sealed)
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


async def _we_refuse_a_proposal(
    payer: OurSender, payee: TheirReceiver, books: Books, **terms: bool
) -> None:
    charging = payee.serve(**terms)
    paid, _ = await books.both(payer.pay(await payee.ask(AMOUNT)), charging, how=How.FALLBACK)
    assert paid.why == Reason.PROPOSAL_BROKE_RULE


_THEIRS = "Bad proposals of theirs"

REFUSALS = (
    *(
        they_pay("Bad proposals of ours", what, partial(_they_refuse_a_proposal, spoil=spoil))
        for what, spoil in BAD_PROPOSALS.items()
    ),
    *(
        we_pay("Bad Originals of ours", what, partial(_they_refuse_an_original, spoil=bad))
        for what, bad in BAD_ORIGINALS.items()
    ),
    we_pay(
        _THEIRS, "the receiver's input is not signed", partial(_we_refuse_a_proposal, sign=False)
    ),
    we_pay(
        _THEIRS, "the receiver's input has no UTXO", partial(_we_refuse_a_proposal, utxos=False)
    ),
)
