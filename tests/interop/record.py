"""Living a scene and writing it down."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.interop.books import AMOUNT
from tests.interop.dovetail_peer import trusting, wallet_with
from tests.interop.environment import Ending, Stage
from tests.interop.mailrooms import Make
from tests.interop.programs import MAILROOM_VERSION, peer_version
from tests.interop.recording import Recorder, RecordingChain, RecordingTransport, RecordingWallet
from tests.interop.rust_peer import TheirReceiver, TheirSender, their_v1_receiver, theirs
from tests.interop.scenes import Scene
from tests.interop.transcript import Transcript, drawing_from
from tests.interop.transcript_agent import begin, entries, open_agent

from dovetail import Agent
from dovetail.bip78 import V1Server, serving
from dovetail.runtime.agent import now
from dovetail.stores.ports import Role

Told = tuple[Transcript, Agent]


async def record(stage: Stage, scene: Scene, folder: Path) -> None:
    charges = scene.role is Role.RECEIVER
    if scene.https:
        way = _our_v1_receiver if charges else _our_v1_sender
    else:
        way = _our_receiver if charges else _our_sender
    (await way(stage, scene)).write(folder / f"{scene.name}.json")


async def _our_sender(stage: Stage, scene: Scene) -> Transcript:
    relay, directory = _urls(stage, scene)
    payees = theirs(TheirReceiver, stage, relay, 150_000, directory=directory)
    async with payees as payee, stage.mining():
        uri = await payee.ask(AMOUNT, lifetime=600)
        terms = dict(scene.terms)
        if scene.substitutes:
            uri = uri.replace("pjos=0&", "")
            terms["substitute"] = (await payee.script()).hex()
        async with _recorded(stage, scene, _paying_order(scene, uri)) as told:
            return await _lived(
                told, lambda _: None if scene.expires_after else _serve(payee, scene, terms)
            )


async def _our_v1_sender(stage: Stage, scene: Scene) -> Transcript:
    async with their_v1_receiver(stage, 150_000) as payee, stage.mining():
        payee.terms = dict(scene.facts)
        order = _paying_order(scene, await payee.ask(AMOUNT))
        async with _recorded(stage, scene, order) as told:
            return await _lived(told, lambda _: payee.serve())


def _paying_order(scene: Scene, uri: str) -> dict[str, object]:
    return {"uri": uri, "contribute": scene.contribute}


async def _serve(payee: TheirReceiver, scene: Scene, terms: dict[str, object]) -> Ending:
    await payee.fetch()
    checked = await payee.check(**scene.facts)
    if checked["state"] == "HasReplyableError":
        return await payee.refuse(str(checked["refused"]))
    await payee.propose(**terms)
    return await payee.watch()


async def _our_receiver(stage: Stage, scene: Scene) -> Transcript:
    relay, _ = _urls(stage, scene)
    async with (
        theirs(TheirSender, stage, relay, 200_000) as payer,
        stage.mining(),
        _recorded(stage, scene, _charging_order(scene)) as told,
    ):
        return await _lived(told, payer.pay_v1 if scene.v1 else payer.pay)


async def _our_v1_receiver(stage: Stage, scene: Scene) -> Transcript:
    order = _charging_order(scene)
    async with (
        _recorded(stage, scene, order) as told,
        serving(V1Server(told[1]), "127.0.0.1", 0, tls=stage.certificate.server()) as url,
        theirs(TheirSender, stage, "", 200_000) as payer,
        stage.mining(),
    ):
        order["endpoint"] = url
        transcript = await _lived(told, payer.pay_v1)
        assert payer.peer.carried is not None
        request, response = payer.peer.carried
        answer = b64encode(response.content).decode()
        transcript.asked = {**request, "status": response.status_code, "answer": answer}
        return transcript


def _charging_order(scene: Scene) -> dict[str, object]:
    return {"amount": AMOUNT, "lifetime": 600, "v1": scene.v1, "endpoint": None}


async def _lived(
    told: Told, other: Callable[[str], Coroutine[None, None, Ending] | None]
) -> Transcript:
    """Our session to its end, beside what the other party does with its URI."""
    transcript, agent = told
    session = await begin(agent, transcript)
    peer = other(getattr(session, "uri", ""))
    async with asyncio.TaskGroup() as group:
        group.create_task(session.wait_closed())
        if peer is not None:
            group.create_task(peer)
    transcript.events = entries(agent, session)
    return transcript


@asynccontextmanager
async def _recorded(stage: Stage, scene: Scene, order: dict[str, object]) -> AsyncGenerator[Told]:
    """Our agent, with a transcript of all it does."""
    relay, directory = _urls(stage, scene)
    home = stage.place("recorded")
    wallet, _ = await asyncio.to_thread(
        wallet_with, stage, home / "wallet", scene.kind, scene.coins
    )
    at_directory = scene.role is Role.RECEIVER and not scene.https
    transcript = Transcript(
        what=scene.what,
        role=scene.role,
        peer=f"payjoin {peer_version()}",
        mailroom="" if scene.https else _mailroom(scene),
        seed=scene.name.encode().hex(),
        directory=directory if at_directory else None,
        relay=None if scene.https else relay,
        began=now(),
        order=order,
        words=str(wallet.mnemonic),
    )
    recorder = Recorder(transcript, now, expires_after=scene.expires_after)
    told: Any = RecordingWallet(recorder, wallet)
    shown: Any = RecordingChain(recorder, stage.chain)
    with drawing_from(bytes.fromhex(transcript.seed)):
        async with (
            trusting(stage) as transport,
            open_agent(
                transcript,
                home / "sessions",
                wallet=told,
                chain=shown,
                transport=RecordingTransport(recorder, transport),
                clock=recorder.time,
            ) as agent,
        ):
            yield transcript, agent


def _urls(stage: Stage, scene: Scene) -> tuple[str, str]:
    return stage.mailrooms.relays[scene.relay], stage.mailrooms.directories[scene.directory]


def _mailroom(scene: Scene) -> str:
    names = {Make.OURS: "Dovetail", Make.THEIRS: f"payjoin-mailroom {MAILROOM_VERSION}"}
    return f"directory of {names[scene.directory]}, relay of {names[scene.relay]}"
