"""Payjoin URIs that are well made, and lead where no payer wants to go."""

from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO

from tests.hostile.payment import Played, Stage, played_by
from tests.hostile.record import Tricks
from tests.support.clock import NOW

from dovetail.bitcoin import Address, Network, UnixTime
from dovetail.cli.actions import error_words
from dovetail.cli.live.preview import Asked, show
from dovetail.cli.output import Screen
from dovetail.errors import DuplicateSession, UsageError
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.sessions import receiver, sender

MAINNET = Address.parse("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
RPC = "http://127.0.0.1:8332/wallet/?method=sendtoaddress"
IN_2106 = UnixTime(0xFFFF_FFFF)
PAINT = "soup\x1b[2J\x1b[31m\u202epaid\x07\r\n."
THIRTY_DAYS = 30 * 86_400

TRICKS = Tricks()


@TRICKS
async def paints_with_its_label(stage: Stage) -> Played:
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


@TRICKS
async def leads_to_this_machine(stage: Stage) -> Played:
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


@TRICKS
async def lasts_until_2106(stage: Stage) -> Played:
    sending, _ = await stage.begin(sender.PollingForProposal, lifetime=IN_2106 - NOW)
    stage.world.clock.pass_by(THIRTY_DAYS)
    return played_by(sending)


@TRICKS
async def comes_again(stage: Stage) -> Played:
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
