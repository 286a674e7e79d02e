"""Chain sources that lie to one party; the other sees the chain as it is."""

from dataclasses import dataclass

from tests.hostile.payment import Played, Stage, played_by
from tests.hostile.record import Tricks
from tests.support.chain import NodeChain

from dovetail.bitcoin import FeeRate, Transaction
from dovetail.cli.actions import error_words
from dovetail.errors import ChainError
from dovetail.sessions import receiver, sender
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


TRICKS = Tricks()


@TRICKS
async def estimates_absurdly(stage: Stage) -> Played:
    stage.alice.party.chain = Greedy(stage.world.node)
    receiving = stage.bob.receive()
    try:
        await stage.alice.send(receiving.uri)
    except ChainError as error:
        stage.heard.append(error_words(error))
    assert stage.world.wire.sent == []
    return Played(sessions=(receiving,), address=receiving.uri.address)


@TRICKS
async def swallows(stage: Stage) -> Played:
    return await _with(stage, Swallowing(stage.world.node))


@TRICKS
async def refuses(stage: Stage) -> Played:
    return await _with(stage, Refusing(stage.world.node))
