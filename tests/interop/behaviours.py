"""What two honest parties may do besides the usual: fees, substitution, many coins, v1 senders."""

from collections.abc import Iterator
from itertools import product

from tests.interop.combinations import THEM, US, at_once
from tests.interop.dovetail_peer import OurReceiver, OurSender
from tests.interop.environment import Ending, How, Stage
from tests.interop.pairing import (
    AMOUNT,
    Books,
    Pairing,
    Payee,
    Purses,
    address_in,
    both,
    stranger,
)
from tests.interop.rust_peer import TheirReceiver, TheirSender

from dovetail.bitcoin import Address, Sats, Script, TxOut
from dovetail.errors import UsageError
from dovetail.sessions import receiver

_FEES = "Fees"
_SUBSTITUTION = "Output substitution"
_MANY = "Several inputs and outputs"
_V1 = "A v1 sender and a v2 receiver"


def behaviours() -> Iterator[Pairing]:
    """All of them, most in both directions."""
    for group, what, play in (
        (_FEES, "with a fee contribution", _fee_contribution),
        (_FEES, "without one", _no_fee_contribution),
        (_SUBSTITUTION, "allowed, and done", _their_substitution),
        (_SUBSTITUTION, "forbidden by pjos=0, and not done", _their_substitution_forbidden),
        (_MANY, "three coins pay, two join, two outputs", _many_of_theirs),
    ):
        yield Pairing(group, what, US, THEM, THEM, US, play)
    for group, what, play in (
        (_FEES, "with a fee contribution", _fee_contribution),
        (_FEES, "without one", _no_fee_contribution),
        (_SUBSTITUTION, "allowed, and done", _our_substitution),
        (_SUBSTITUTION, "forbidden by the sender, and not done", _our_substitution_forbidden),
        (_MANY, "three coins pay, two of four outputs to others", _many_of_ours),
    ):
        yield Pairing(group, what, THEM, US, US, THEM, play)
    for payee, directory in product((US, THEM), repeat=2):
        yield Pairing(
            _V1, "through the directory, a payjoin", THEM, payee, directory, US, _v1, "v1"
        )
    for payee, directory in ((US, US), (US, THEM)):
        yield Pairing(
            _V1, "through the directory, an error", THEM, payee, directory, US, _v1_error, "v1"
        )


async def _fee_contribution(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        uri = await payee.ask(AMOUNT)
        paid, got = await at_once(payer.pay(uri), payee.serve())
        lost, _ = await books.close(paid, got)
        assert lost > AMOUNT + payer.fallback_fee


async def _no_fee_contribution(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        uri = await payee.ask(AMOUNT)
        if isinstance(payer, OurSender):
            paid, got = await at_once(payer.pay(uri, contribute=False), payee.serve())
        else:
            paid, got = await at_once(payer.pay(uri, contribution=0), payee.serve())
        lost, gained = await books.close(paid, got)
        assert lost == AMOUNT + payer.fallback_fee
        assert gained < AMOUNT


async def _their_substitution(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payee, TheirReceiver)
        uri = (await payee.ask(AMOUNT)).replace("pjos=0&", "")
        script = await payee.script()
        paid, got = await at_once(payer.pay(uri), payee.serve(substitute=script.hex()))
        await books.close(paid, got)
        _pays(stage, paid, script)


async def _their_substitution_forbidden(stage: Stage, pairing: Pairing) -> None:
    """Their URIs always say pjos=0; we tell them with the Original that we keep to it."""
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payee, TheirReceiver)
        uri = await payee.ask(AMOUNT)
        assert "pjos=0" in uri
        paid, got = await at_once(payer.pay(uri), _wishing_to_substitute(payee))
        await books.close(paid, got)


async def _wishing_to_substitute(payee: TheirReceiver) -> Ending:
    await payee.fetch()
    checked = await payee.check()
    assert checked["substitution"] == "Disabled"
    await payee.propose()
    return await payee.watch()


async def _our_substitution(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payee, OurReceiver)
        uri = await payee.ask(AMOUNT, away=True)
        script = payee.wallet.new_address().script_pubkey
        paid, got = await at_once(payer.pay(uri), _substituting(payee, script))
        await books.close(paid, got)
        _pays(stage, paid, script)


async def _substituting(payee: OurReceiver, script: Script) -> Ending:
    state, log = await payee.lead(receiver.WantsOutputs)
    await state.commit_outputs([TxOut(Sats(AMOUNT), script)]).save_async(log)
    payee.resume()
    return await payee.serve()


async def _our_substitution_forbidden(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payee, OurReceiver)
        assert isinstance(payer, TheirSender)
        uri = await payee.ask(AMOUNT, away=True)
        paid, got = await at_once(payer.pay(uri, substitution=False), _kept_from_it(payee))
        await books.close(paid, got)
        _pays(stage, paid, Address.parse(address_in(uri)).script_pubkey)


async def _kept_from_it(payee: OurReceiver) -> Ending:
    state, _ = await payee.lead(receiver.WantsOutputs)
    script = payee.wallet.new_address().script_pubkey
    try:
        state.commit_outputs([TxOut(Sats(AMOUNT), script)])
    except UsageError:
        payee.resume()
        return await payee.serve()
    raise AssertionError("our receiver would substitute although the sender forbids it")


async def _many_of_theirs(stage: Stage, pairing: Pairing) -> None:
    purses = Purses(paying=(40_000, 45_000, 50_000), charging=(60_000, 70_000))
    async with both(stage, pairing, purses) as (payer, payee, books):
        assert isinstance(payee, TheirReceiver)
        uri = (await payee.ask(120_000)).replace("pjos=0&", "")
        outputs = [[30_000, await payee.address()], [90_000, await payee.address()]]
        paid, got = await at_once(payer.pay(uri), payee.serve(coins=2, replace=outputs))
        await books.close(paid, got, amount=120_000, coins=2)


async def _many_of_ours(stage: Stage, pairing: Pairing) -> None:
    purses = Purses(paying=(60_000, 70_000, 80_000), charging=(60_000, 70_000))
    async with both(stage, pairing, purses) as (payer, payee, books):
        assert isinstance(payer, TheirSender)
        uri = await payee.ask(120_000)
        others = [[10_000, stranger(1)], [11_000, stranger(2)]]
        paid, got = await at_once(payer.pay(uri, also=others, contribution=0), payee.serve())
        await books.close(paid, got, amount=120_000, elsewhere=21_000, coins=None)


async def _v1(stage: Stage, pairing: Pairing) -> None:
    async with both(stage, pairing) as (payer, payee, books):
        assert isinstance(payer, TheirSender)
        await payer.prepare(await _welcoming_v1(payee), version=1)
        paid, got = await at_once(_paying_v1(payer), payee.serve())
        await books.close(paid, got)


async def _v1_error(stage: Stage, pairing: Pairing) -> None:
    """A receiver without coins says so, in plaintext and in time."""
    async with both(stage, pairing, Purses(charging=())) as (payer, payee, books):
        assert isinstance(payer, TheirSender)
        await payer.prepare(await _welcoming_v1(payee), version=1)
        paid, got = await at_once(_paying_v1(payer), payee.serve())
        await _fallback(books, paid, got)


async def _fallback(books: Books, *endings: Ending) -> None:
    await books.close(*endings, how=How.FALLBACK)


async def _welcoming_v1(payee: Payee) -> str:
    if isinstance(payee, OurReceiver):
        return await payee.ask(AMOUNT, v1=True)
    return await payee.ask(AMOUNT)


async def _paying_v1(payer: TheirSender) -> Ending:
    return await payer.finish(await payer.post_v1())


def _pays(stage: Stage, ending: Ending, script: Script) -> None:
    assert ending.txid is not None
    transaction = stage.confirmed(ending.txid)
    assert transaction is not None
    assert script in [output.script_pubkey for output in transaction.outputs]
