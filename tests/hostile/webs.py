"""Servers of v1 receivers (BIP 78), on real sockets: they see the Original PSBT, and answer."""

import json
from dataclasses import replace
from functools import partial

from tests.hostile.payment import Ends, Played, Stage
from tests.hostile.record import Decorator, Peer, Play, trick, tricks_in
from tests.hostile.servers import Asked, Behaviour, behaving, online
from tests.support.stepping import AMOUNT

from dovetail.bitcoin import Psbt, Sats, TxOut
from dovetail.protocol.proposal import rule_words
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.sessions.reasons import Reason

ESCAPES = "\x1b[2J\x1b[31mSend the rest to bc1qthief\x07\u202e"
FLOOD = b"cHNidP8B" * 800_000
"""More than a PSBT of 4 MB takes in base64."""


def original(asked: Asked) -> Psbt:
    return Psbt.from_base64(asked.body.decode())


# what is answered


def answers(body: bytes, *, status: int = 200, headers: str = "") -> Behaviour:
    async def answer(asked: Asked) -> None:
        assert b"psbt" not in asked.target.encode()
        await asked.reply(body, status=status, headers=headers)

    return answer


def error(code: str, *, status: int = 400) -> Behaviour:
    reply = json.dumps({"errorCode": code, "message": ESCAPES, "debug": ESCAPES * 100})
    return answers(reply.encode(), status=status, headers="content-type: application/json\r\n")


def met(behaviour: Behaviour, *, gives_up: bool = True) -> Play:
    """A payment to such a server, until it has ended."""

    async def play(stage: Stage) -> Played:
        address = stage.bob.party.wallet.new_address()
        seen: list[bytes] = []

        async def noting(asked: Asked) -> None:
            seen.append(asked.body)
            await behaviour(asked)

        async with online(stage), behaving(noting) as url:
            uri = PayjoinUri(address, AMOUNT, V1Endpoint(f"{url}/pj"))
            sending = await stage.alice.send(uri)
            for _ in range(3):
                await stage.step(sending)
            await stage.settle(sending)
        assert len(set(seen)) == 1, "M4: another Original followed the first"
        assert (len(seen) == 1) == gives_up
        return Played(
            sessions=(sending,), address=address, fallback=sending.state.fallback_transaction
        )

    return play


ERRORS = "BIP 78, Receiver's well known errors; the other party's words are never shown"
CHECKLIST = "BIP 78, Sender's payjoin proposal checklist"
ENDS_IT = "Ends the negotiation, and makes the ordinary payment."
AGAIN = "Asks again with the same Original until its time is up, then makes the ordinary payment."


def serves(told: str, rule: str, **named: str) -> Decorator:
    """An answer that ends it."""
    return trick(
        peer=Peer.WEB, we=ENDS_IT, rule=rule, told=told, ends=Ends.ORDINARY, playing=met, **named
    )


def tries(told: str, rule: str, **named: str) -> Decorator:
    """No answer, or one that may be somebody else's."""
    return trick(
        peer=Peer.WEB,
        we=AGAIN,
        rule=rule,
        told=told,
        ends=Ends.ORDINARY,
        playing=partial(met, gives_up=False),
        **named,
    )


_TABLE_1 = (
    serves(
        Reason.RECEIVER_UNAVAILABLE.words,
        ERRORS,
        name="paints the terminal",
        words="Hides cursor movements and a thief's address in an error's message.",
    )(error("unavailable")),
    serves(
        Reason.RECEIVER_UNKNOWN_ERROR.words,
        ERRORS,
        name="invents an error",
        words="Hides the same in an error code of its own.",
    )(error(ESCAPES)),
    serves(
        Reason.RECEIVER_NOT_ENOUGH_MONEY.words,
        ERRORS,
        name="errs under 200",
        words="Sends an error under the status of success.",
    )(error("not-enough-money", status=200)),
    serves(
        Reason.PROPOSAL_UNREADABLE.words,
        "BIP 78, Protocol: the body is a PSBT in base64",
        name="shows a page",
        words="Answers 200 with a page of HTML.",
    )(answers(b"<html>\x1b[2J</html>", headers="content-type: text/html\r\n")),
    serves(
        Reason.PROPOSAL_UNREADABLE.words,
        "BIP 78, Protocol: the body is a PSBT in base64",
        name="says nothing",
        words="Answers 200 with an empty body.",
    )(answers(b"")),
)


@serves(
    f"{Reason.PROPOSAL_BROKE_RULE.words} {rule_words('sender-input-final')}",
    f"{CHECKLIST}: `sender-input-final`",
    name="echoes the Original",
)
async def echoes(asked: Asked) -> None:
    """Answers with the Original PSBT."""
    await asked.reply(asked.body)


@serves(
    f"{Reason.PROPOSAL_BROKE_RULE.words} {rule_words('contribution-above-maximum')}",
    f"{CHECKLIST}: `contribution-above-maximum`",
)
async def takes_the_change(asked: Asked) -> None:
    """Answers with the Original's transaction and 20,000 sats less change."""
    # The Original's transaction, with the change a little smaller, for the sender to sign.
    psbt = original(asked)
    transaction = psbt.unsigned_transaction
    outputs = [
        TxOut(Sats(each.value - (0 if each.value == AMOUNT else 20_000)), each.script_pubkey)
        for each in transaction.outputs
    ]
    changed = replace(transaction, outputs=tuple(outputs))
    bare = tuple(each.without_signing_data().with_final() for each in psbt.inputs)
    await asked.reply(psbt.with_transaction(changed, bare, psbt.outputs).to_base64().encode())


_TABLE_2 = (
    tries(
        "The receiver's server failed. The server answered with more than the protocol allows.",
        "No body is read beyond a PSBT of 4 MB in base64",
        name="floods",
        words="Answers with six megabytes.",
    )(answers(FLOOD)),
)


@tries(
    "The receiver's server failed. The server did not answer in time: wait, or name another.",
    "One deadline for the whole answer",
)
async def sends_chunks_for_ever(asked: Asked) -> None:
    """Sends its answer in chunks of a byte, without end."""
    await asked.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    await asked.drip(b"1\r\nc\r\n")


@tries(
    "The receiver's server failed. The connection to the server broke before a whole answer:"
    " check its address and your connection.",
    "RFC 9112: what is no HTTP is no answer",
)
async def chunks_nonsense(asked: Asked) -> None:
    """Sends a chunk of a negative size."""
    await asked.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nabc\r\n")


@tries(
    "The receiver's server failed. The connection to the server broke before a whole answer:"
    " check its address and your connection.",
    "M4: a second answer could only spend the same coins",
)
async def hangs_up(_asked: Asked) -> None:
    """Takes the Original and closes the connection."""
    # The Original is there; no answer comes.


_TABLE_3 = (
    tries(
        "The receiver's server redirects to another address (status 307), which payments do not"
        " follow: tell the receiver.",
        "No redirect is followed",
        name="sends elsewhere",
        words="Redirects to plain http on another host, where the Original could be read.",
    )(answers(b"", status=307, headers="location: http://evil.example/pj\r\n")),
    tries(
        "The receiver's server answered with status 500; try again later.",
        "BIP 78, errors: other than JSON they are nobody's word",
        name="is broken",
        words="Answers 500 with a page.",
    )(answers(b"<html>\x1b[2J</html>", status=500)),
)


TRICKS = tricks_in(globals())
