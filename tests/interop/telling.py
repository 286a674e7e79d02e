"""How a recorded session is begun and read: the same way live and in replay."""

from dataclasses import replace

from tests.interop.transcript import Transcript

from dovetail import Agent, FeeRate, LiveReceiver, LiveSender, PayjoinUri, Policy
from dovetail.sessions import receiver, sender
from dovetail.stores.ports import Role

EAGER = Policy(watch_interval=0.01, poll_pause=0.01, first_retry=0.1, tries=3)
RATE = FeeRate.from_sat_per_vb(2)


async def begin(agent: Agent, transcript: Transcript) -> LiveReceiver | LiveSender:
    """Do what the user did."""
    order = transcript.order
    if transcript.role == Role.RECEIVER:
        return await agent.receive(order["amount"], lifetime=order["lifetime"], v1=order["v1"])
    payment = await agent.prepare(PayjoinUri.parse(order["uri"]), fee_rate=RATE)
    if not order["contribute"]:
        payment = replace(payment, params=replace(payment.params, fee_contribution=None))
    return await agent.start(payment)


def entries(agent: Agent, session: LiveReceiver | LiveSender) -> list[str]:
    """The session's log as a store keeps it."""
    store = agent.services.store
    if session.role is Role.RECEIVER:
        log = store.receiver(session.session_id).load()
        return [receiver.encode_event(event).decode() for event in log]
    paying = store.sender(session.session_id).load()
    return [sender.encode_event(event).decode() for event in paying]
