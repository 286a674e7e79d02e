"""How a recorded session is begun and read: the same way live and in replay."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

from tests.interop.transcript import Transcript

from dovetail import Agent, FeeRate, LiveReceiver, LiveSender, PayjoinUri, Policy
from dovetail.bitcoin import UnixTime
from dovetail.runtime.transport import Transport
from dovetail.sessions import receiver, sender
from dovetail.stores.ports import Role
from dovetail.wallets.ports import Chain, Wallet

EAGER = Policy(watch_interval=0.01, poll_pause=0.01, first_retry=0.1, tries=3)
RATE = FeeRate.from_sat_per_vb(2)


def open_agent(
    transcript: Transcript,
    folder: Path,
    *,
    wallet: Wallet,
    chain: Chain,
    transport: Transport,
    clock: Callable[[], UnixTime],
) -> AbstractAsyncContextManager[Agent]:
    """The agent that lives it, with these ports."""
    return Agent.open(
        folder,
        wallet=wallet,
        chain=chain,
        directory=transcript.directory,
        relays=[] if transcript.relay is None else [transcript.relay],
        v1_only=transcript.relay is None,
        transport=transport,
        clock=clock,
        policy=EAGER,
    )


async def begin(agent: Agent, transcript: Transcript) -> LiveReceiver | LiveSender:
    order = transcript.order
    if transcript.role == Role.RECEIVER:
        return await agent.receive(
            order["amount"], lifetime=order["lifetime"], v1=order["v1"], endpoint=order["endpoint"]
        )
    payment = await agent.prepare(PayjoinUri.parse(order["uri"]), fee_rate=RATE)
    if not order["contribute"]:
        payment = replace(payment, params=replace(payment.params, fee_contribution=None))
    return await agent.start(payment)


def entries(agent: Agent, session: LiveReceiver | LiveSender) -> list[str]:
    store = agent.services.store
    if session.role is Role.RECEIVER:
        log = store.receiver(session.session_id).load()
        return [receiver.encode_event(event).decode() for event in log]
    paying = store.sender(session.session_id).load()
    return [sender.encode_event(event).decode() for event in paying]
