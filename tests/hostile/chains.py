"""Chain sources that lie to one party; the other sees the chain as it is."""

from dataclasses import dataclass

from tests.hostile.payment import Ends, Played, Stage, played_by
from tests.hostile.record import Decorator, Peer, trick, tricks_in
from tests.support.chain import NodeChain

from dovetail.bitcoin import FeeRate, Transaction
from dovetail.cli.actions import error_words
from dovetail.errors import ChainError
from dovetail.runtime.chain_watch import FALLBACK_REFUSED
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.wallets.ports import Accepted, Refused

ABSURD = FeeRate.from_sat_per_vb(100_000)


@dataclass
class Greedy(NodeChain):
    """It would have a payment of 141 vB cost 0.14 bitcoins."""

    def fee_rate(self, *, target: int) -> FeeRate:
        del target
        return ABSURD


@dataclass
class Swallowing(NodeChain):
    """It takes every transaction and tells nobody."""

    def broadcast(self, transaction: Transaction) -> Accepted | Refused:
        self.broadcasts.append(transaction)
        return Accepted()


@dataclass
class Refusing(NodeChain):
    """It refuses every transaction, whatever the network would say."""

    def broadcast(self, transaction: Transaction) -> Accepted | Refused:
        self.broadcasts.append(transaction)
        return Refused("bad-txns-inputs-missingorspent")


async def _with(stage: Stage, chain: NodeChain) -> Played:
    """The payer's source lies about what they broadcast; the receiver's is honest."""
    stage.alice.party.chain = chain
    receiving = stage.bob.receive()
    sending = await stage.alice.send(receiving.uri)
    await stage.until(sending, sender.PollingForProposal)
    await stage.until(receiving, receiver.Monitor)
    return played_by(sending, receiving)


def lies(we: str, told: str, ends: Ends, **named: str) -> Decorator:
    return trick(
        peer=Peer.CHAIN,
        we=we,
        rule="M3 and M4: watched until confirmed, and by both parties",
        told=told,
        ends=ends,
        playing=None,
        **named,
    )


@trick(
    peer=Peer.CHAIN,
    we="Refuses estimates beyond 2,000 sat/vB, and signs nothing.",
    rule="An estimate has a highest value; only a person goes beyond it",
    told="The chain source estimates a fee rate of 100,000 sat/vB, which is beyond all measure."
    " Choose a `--fee-rate`, or use another source.",
    ends=Ends.UNPAID,
)
async def estimates_absurdly(stage: Stage) -> Played:
    """Estimates 100,000 sat/vB, to have a wallet burn its coins without being asked."""
    stage.alice.party.chain = Greedy(stage.world.node)
    receiving = stage.bob.receive()
    try:
        await stage.alice.send(receiving.uri)
    except ChainError as error:
        stage.heard.append(error_words(error))
    assert stage.world.wire.sent == []
    return Played(sessions=(receiving,), address=receiving.uri.address)


@lies(
    "The receiver finds none after expiration and grace, and makes the ordinary payment.",
    Reason.FALLBACK_DUE.words,
    Ends.ORDINARY,
)
async def swallows(stage: Stage) -> Played:
    """Takes the sender's payjoin and tells no node of it."""
    return await _with(stage, Swallowing(stage.world.node))


@lies(
    "Says so and tries again; the receiver makes the ordinary payment in the end.",
    FALLBACK_REFUSED,
    Ends.ORDINARY,
)
async def refuses(stage: Stage) -> Played:
    """Refuses whatever the sender broadcasts."""
    return await _with(stage, Refusing(stage.world.node))


TRICKS = tricks_in(globals())
