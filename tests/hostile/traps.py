"""Payjoin URIs that are well made, and lead where no payer wants to go."""

from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO

from tests.hostile.payment import Ends, Played, Stage, played_by
from tests.hostile.record import Peer, trick, tricks_in
from tests.support.clock import NOW

from dovetail.bitcoin import Address, Network, UnixTime
from dovetail.cli.actions import error_words
from dovetail.cli.live.preview import Asked, show
from dovetail.cli.output import Screen
from dovetail.errors import DuplicateSession, UsageError
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason

MAINNET = Address.parse("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
RPC = "http://127.0.0.1:8332/wallet/?method=sendtoaddress"
IN_2106 = UnixTime(0xFFFF_FFFF)
PAINT = "soup\x1b[2J\x1b[31m\u202epaid\x07\r\n."
THIRTY_DAYS = 30 * 86_400


@trick(
    peer=Peer.LINK,
    we="Shows blanks where a letter cannot be printed, and the first eighty.",
    rule="The other party's words are shown as text, once, before a payment is confirmed",
    told="Label soup [2J [31m paid .",
    ends=Ends.UNPAID,
)
async def paints_with_its_label(stage: Stage) -> Played:
    """Hides cursor movements, a turn of the line and ten thousand letters in its label."""
    # What a payer is shown before they are asked.
    uri = replace(stage.bob.receive().uri, label=PAINT, message=PAINT + "!" * 10_000)
    async with stage.world.agent(stage.world.alice) as agent:
        payment = await agent.prepare(PayjoinUri.parse(uri.serialize()))
    shown = StringIO()
    with redirect_stderr(shown):
        show(payment, agent.services.relays, Asked(), Screen())
    lines = shown.getvalue().splitlines()
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 200
    stage.heard += [" ".join(line.split()) for line in lines]
    return Played(address=uri.address)


@trick(
    peer=Peer.LINK,
    we="Refuses such URIs on mainnet, and posts nothing.",
    rule="BIP 78 allows plain http to nobody but onions; loopback is for trials",
    told="This URI sends the payment to a server on your own machine, where no receiver is:"
    " pay its address as usual, or ask for another one.",
    ends=Ends.UNPAID,
)
async def leads_to_this_machine(stage: Stage) -> Played:
    """Has the payer post a payment to a port of their own machine, such as a node's."""
    wallet = stage.alice.party.wallet
    wallet.network = Network.MAINNET
    uri = PayjoinUri(MAINNET, None, V1Endpoint(RPC))
    async with stage.world.agent(stage.world.alice) as agent:
        try:
            await agent.send(uri)
        except UsageError as error:
            stage.heard.append(error_words(error))
        assert agent.sessions == ()
    assert stage.world.wire.sent == []
    return Played(address=uri.address)


@trick(
    peer=Peer.LINK,
    we="Waits for thirty days at most, then makes the ordinary payment.",
    rule="M3; BIP 77, expiration: the payer may give up sooner",
    told=Reason.EXPIRED_WAITING_FOR_PROPOSAL.words,
    ends=Ends.ORDINARY,
    name="lasts until 2106",
)
async def lasts_until_2106(stage: Stage) -> Played:
    """Expires as late as can be written, to hold the payer's coins."""
    sending, _ = await stage.begin(sender.PollingForProposal, lifetime=IN_2106 - NOW)
    stage.world.clock.pass_by(THIRTY_DAYS)
    return played_by(sending)


@trick(
    peer=Peer.LINK,
    we="Knows it by its key, and refuses it.",
    rule="M4: a Payjoin URI or receiver key is never used for two sessions",
    told="Session 1 pays this URI or did: ask the receiver for a new URI to pay again."
    " `dovetail show 1` shows it.",
    ends=Ends.PAYJOIN,
)
async def comes_again(stage: Stage) -> Played:
    """Is shown a second time in another spelling, to be paid twice."""
    receiving = stage.bob.receive()
    spelt = PayjoinUri.parse(receiving.uri.serialize().upper().replace("PJ=", "req-pj="))
    sending = await stage.alice.send(receiving.uri)
    for uri in (receiving.uri, spelt, replace(spelt, label="again")):
        try:
            await stage.alice.send(uri)
        except DuplicateSession as error:
            stage.heard.append(error_words(error))
        else:
            raise AssertionError("a Payjoin URI was taken twice")
    await stage.until(sending, sender.PollingForProposal)
    await stage.until(receiving, receiver.Monitor)
    return played_by(sending, receiving)


TRICKS = tricks_in(globals())
