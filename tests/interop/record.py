"""Living a scene and writing it down."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

from tests.interop.mailrooms import Make
from tests.interop.ours import wallet_with
from tests.interop.pairing import AMOUNT
from tests.interop.programs import MAILROOM_VERSION, peer_version
from tests.interop.recording import (
    Recorder,
    RecordingChain,
    RecordingTransport,
    RecordingWallet,
)
from tests.interop.scenes import Scene
from tests.interop.stage import Ending, Stage
from tests.interop.telling import EAGER, begin, entries
from tests.interop.theirs import TheirReceiver, TheirSender, their_receiver, their_sender
from tests.interop.transcript import Transcript, drawing_from

from dovetail import Agent, LiveReceiver, LiveSender
from dovetail.runtime.agent import now
from dovetail.stores.ports import Role


async def record(stage: Stage, scene: Scene, folder: Path) -> None:
    """Live the scene with rust-payjoin and write its transcript."""
    if scene.role is Role.SENDER:
        transcript = await _our_sender(stage, scene)
    else:
        transcript = await _our_receiver(stage, scene)
    transcript.write(folder / f"{scene.name}.json")


async def _our_sender(stage: Stage, scene: Scene) -> Transcript:
    relay, directory = _urls(stage, scene)
    async with their_receiver(stage, relay, 150_000, directory=directory) as payee, stage.mining():
        uri = await payee.ask(AMOUNT)
        terms = dict(scene.terms)
        if scene.substitutes:
            uri = uri.replace("pjos=0&", "")
            terms["substitute"] = (await payee.script()).hex()
        order: dict[str, object] = {"uri": uri, "contribute": scene.contribute}
        async with _recorded(stage, scene, order) as (transcript, agent):
            session = await begin(agent, transcript)
            await _until_both_end(session, _serve(payee, scene, terms))
            transcript.events = entries(agent, session)
    return transcript


async def _serve(payee: TheirReceiver, scene: Scene, terms: dict[str, object]) -> Ending:
    await payee.fetch()
    checked = await payee.check(**scene.facts)
    if checked["state"] == "HasReplyableError":
        return await payee.refuse(str(checked["refused"]))
    await payee.propose(**terms)
    return await payee.watch()


async def _our_receiver(stage: Stage, scene: Scene) -> Transcript:
    relay, _ = _urls(stage, scene)
    async with their_sender(stage, relay, 200_000) as payer, stage.mining():
        order: dict[str, object] = {"amount": AMOUNT, "lifetime": 600, "v1": scene.v1}
        async with _recorded(stage, scene, order) as (transcript, agent):
            session = await begin(agent, transcript)
            await payer.prepare(session.uri, **({"version": 1} if scene.v1 else {}))
            if scene.v1:
                await _until_both_end(session, _paying_v1(payer))
            else:
                await payer.post()
                await _until_both_end(session, _paying(payer))
            transcript.events = entries(agent, session)
    return transcript


async def _paying(payer: TheirSender) -> Ending:
    return await payer.finish(await payer.answer())


async def _paying_v1(payer: TheirSender) -> Ending:
    return await payer.finish(await payer.post_v1())


async def _until_both_end(
    session: LiveReceiver | LiveSender, other: Coroutine[None, None, Ending]
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(session.closed())
        group.create_task(other)


@asynccontextmanager
async def _recorded(
    stage: Stage, scene: Scene, order: dict[str, object]
) -> AsyncGenerator[tuple[Transcript, Agent]]:
    """Our agent, with a transcript of all it does."""
    relay, directory = _urls(stage, scene)
    home = stage.place("recorded")
    wallet, _ = await asyncio.to_thread(
        wallet_with, stage, home / "wallet", scene.kind, scene.coins
    )
    transcript = Transcript(
        what=scene.what,
        role=scene.role,
        peer=f"payjoin {peer_version()}",
        mailroom=_mailroom(scene),
        seed=scene.name.encode().hex(),
        directory=None if scene.role is Role.SENDER else directory,
        relay=relay,
        began=now(),
        order=order,
        words=str(wallet.mnemonic),
    )
    recorder = Recorder(transcript, now)
    transport = RecordingTransport(recorder)
    try:
        with drawing_from(bytes.fromhex(transcript.seed)):
            async with Agent.open(
                home / "sessions",
                wallet=RecordingWallet(recorder, wallet),
                chain=RecordingChain(recorder, stage.chain),
                directory=transcript.directory,
                relays=[relay],
                transport=transport,
                clock=recorder.time,
                policy=EAGER,
            ) as agent:
                yield transcript, agent
    finally:
        await transport.aclose()


def _urls(stage: Stage, scene: Scene) -> tuple[str, str]:
    return stage.mailrooms.relays[scene.relay], stage.mailrooms.directories[scene.directory]


def _mailroom(scene: Scene) -> str:
    names = {Make.OURS: "Dovetail", Make.THEIRS: f"payjoin-mailroom {MAILROOM_VERSION}"}
    return f"directory of {names[scene.directory]}, relay of {names[scene.relay]}"
