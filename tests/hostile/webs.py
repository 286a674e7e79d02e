"""Servers of v1 receivers (BIP 78), on real sockets: they see the Original PSBT, and answer."""

import json
from dataclasses import replace
from functools import partial

from tests.hostile.payment import Played, Stage
from tests.hostile.record import Play, Tricks
from tests.hostile.servers import Asked, Behaviour, behaving, online
from tests.support.stepping import AMOUNT

from dovetail.bitcoin import Psbt, Sats, TxOut
from dovetail.protocol.uri import PayjoinUri, V1Endpoint

ESCAPES = "\x1b[2J\x1b[31mSend the rest to bc1qthief\x07\u202e"
FLOOD = b"cHNidP8B" * 800_000
"""More than a PSBT of 4 MB takes in base64."""


def answers(body: bytes, *, status: int = 200, headers: str = "") -> Behaviour:
    async def answer(asked: Asked) -> None:
        assert b"psbt" not in asked.target.encode()
        await asked.reply(body, status=status, headers=headers)

    return answer


def error(code: str, *, status: int = 400) -> Behaviour:
    reply = json.dumps({"errorCode": code, "message": ESCAPES, "debug": ESCAPES * 100})
    return answers(reply.encode(), status=status, headers="content-type: application/json\r\n")


def met(behaviour: Behaviour, *, gives_up: bool = True) -> Play:
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


unclear = partial(met, gives_up=False)
"""No answer, or one that may be somebody else's: the same Original is sent again."""
HTML = b"<html>\x1b[2J</html>"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ELSEWHERE = "location: http://evil.example/pj\r\n"

TRICKS = Tricks()
TRICKS.update(
    paints_the_terminal=met(error("unavailable")),
    invents_an_error=met(error(ESCAPES)),
    errs_under_200=met(error("not-enough-money", status=200)),
    shows_a_page=met(answers(HTML, headers="content-type: text/html\r\n")),
    says_nothing=met(answers(b"")),
    echoes_the_original=met(lambda asked: asked.reply(asked.body)),
    floods=unclear(answers(FLOOD)),
    chunks_nonsense=unclear(lambda asked: asked.send(CHUNKED + b"-5\r\nabc\r\n")),
    hangs_up=unclear(lambda asked: asked.send(b"")),
    sends_elsewhere=unclear(answers(b"", status=307, headers=ELSEWHERE)),
    is_broken=unclear(answers(HTML, status=500)),
)


@TRICKS.by(met)
async def takes_the_change(asked: Asked) -> None:
    # The Original's transaction, with the change a little smaller, for the sender to sign.
    psbt = Psbt.from_base64(asked.body.decode())
    transaction = psbt.unsigned_transaction
    outputs = [
        TxOut(Sats(each.value - (0 if each.value == AMOUNT else 20_000)), each.script_pubkey)
        for each in transaction.outputs
    ]
    changed = replace(transaction, outputs=tuple(outputs))
    bare = tuple(each.without_signing_data().with_final() for each in psbt.inputs)
    await asked.reply(psbt.with_transaction(changed, bare, psbt.outputs).to_base64().encode())


@TRICKS.by(unclear)
async def sends_chunks_for_ever(asked: Asked) -> None:
    await asked.send(CHUNKED)
    await asked.drip(b"1\r\nc\r\n")
