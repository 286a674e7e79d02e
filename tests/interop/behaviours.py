"""What two honest parties may do besides the usual: fees, substitution, many coins, v1 senders."""

from itertools import product

from tests.interop.books import AMOUNT, Books, address_in, at_once, stranger
from tests.interop.dovetail_peer import OurReceiver, OurSender
from tests.interop.environment import Ending, How
from tests.interop.pairing import (
    POOR,
    THEM,
    US,
    Pairing,
    Payee,
    Payer,
    Purses,
    anybody,
    they_pay,
    we_pay,
)
from tests.interop.rust_peer import TheirReceiver, TheirSender

from dovetail.bitcoin import Address, Sats, Script, TxOut
from dovetail.errors import UsageError
from dovetail.sessions import receiver

_FEES = "Fees"
_SUBSTITUTION = "Output substitution"
_MANY = "Several inputs and outputs"
_V1 = "A v1 sender and a v2 receiver"
_V1_PAYJOIN = "through the directory, a payjoin"


async def _fee_contribution(payer: Payer, payee: Payee, books: Books) -> None:
    uri = await payee.ask(AMOUNT)
    lost, _ = await books.close(*await at_once(payer.pay(uri), payee.serve()))
    assert lost > AMOUNT + payer.fallback_fee


async def _no_fee_contribution(payer: Payer, payee: Payee, books: Books) -> None:
    uri = await payee.ask(AMOUNT)
    ours = isinstance(payer, OurSender)
    paying = payer.pay(uri, contribute=False) if ours else payer.pay(uri, contribution=0)
    lost, gained = await books.close(*await at_once(paying, payee.serve()))
    assert lost == AMOUNT + payer.fallback_fee
    assert gained < AMOUNT


async def _their_substitution(payer: OurSender, payee: TheirReceiver, books: Books) -> None:
    uri = (await payee.ask(AMOUNT)).replace("pjos=0&", "")
    script = await payee.script()
    paid, _ = await books.both(payer.pay(uri), payee.serve(substitute=script.hex()))
    _pays(books, paid, script)


async def _their_substitution_forbidden(
    payer: OurSender, payee: TheirReceiver, books: Books
) -> None:
    """Their URIs always say pjos=0; we tell them with the Original that we keep to it."""
    uri = await payee.ask(AMOUNT)
    assert "pjos=0" in uri
    await books.both(payer.pay(uri), _wishing_to_substitute(payee))


async def _wishing_to_substitute(payee: TheirReceiver) -> Ending:
    await payee.fetch()
    checked = await payee.check()
    assert checked["substitution"] == "Disabled"
    await payee.propose()
    return await payee.watch()


async def _our_substitution(payer: TheirSender, payee: OurReceiver, books: Books) -> None:
    uri = await payee.ask(AMOUNT, away=True)
    script = payee.wallet.new_address().script_pubkey
    paid, _ = await books.both(payer.pay(uri), _substituting(payee, script))
    _pays(books, paid, script)


async def _substituting(payee: OurReceiver, script: Script) -> Ending:
    state, log = await payee.lead(receiver.WantsOutputs)
    await state.commit_outputs([TxOut(Sats(AMOUNT), script)]).save_async(log)
    payee.resume()
    return await payee.serve()


async def _our_substitution_forbidden(payer: TheirSender, payee: OurReceiver, books: Books) -> None:
    uri = await payee.ask(AMOUNT, away=True)
    paid, _ = await books.both(payer.pay(uri, substitution=False), _kept_from_it(payee))
    _pays(books, paid, Address.parse(address_in(uri)).script_pubkey)


async def _kept_from_it(payee: OurReceiver) -> Ending:
    state, _ = await payee.lead(receiver.WantsOutputs)
    script = payee.wallet.new_address().script_pubkey
    try:
        state.commit_outputs([TxOut(Sats(AMOUNT), script)])
    except UsageError:
        payee.resume()
        return await payee.serve()
    raise AssertionError("our receiver would substitute although the sender forbids it")


async def _many_of_theirs(payer: OurSender, payee: TheirReceiver, books: Books) -> None:
    uri = (await payee.ask(120_000)).replace("pjos=0&", "")
    outputs = [[30_000, await payee.address()], [90_000, await payee.address()]]
    charging = payee.serve(coins=2, replace=outputs)
    await books.both(payer.pay(uri), charging, amount=120_000, coins=2)


async def _many_of_ours(payer: TheirSender, payee: OurReceiver, books: Books) -> None:
    others = [[10_000, stranger(1)], [11_000, stranger(2)]]
    paying = payer.pay(await payee.ask(120_000), also=others, contribution=0)
    await books.both(paying, payee.serve(), amount=120_000, elsewhere=21_000, coins=None)


async def _v1(payer: TheirSender, payee: Payee, books: Books) -> None:
    await books.both(payer.pay_v1(await _welcoming_v1(payee)), payee.serve())


async def _v1_error(payer: TheirSender, payee: Payee, books: Books) -> None:
    """A receiver without coins says so, in plaintext and in time."""
    uri = await _welcoming_v1(payee)
    await books.both(payer.pay_v1(uri), payee.serve(), how=How.FALLBACK)


async def _welcoming_v1(payee: Payee) -> str:
    if isinstance(payee, OurReceiver):
        return await payee.ask(AMOUNT, v1=True)
    return await payee.ask(AMOUNT)


def _pays(books: Books, ending: Ending, script: Script) -> None:
    assert ending.txid is not None
    transaction = books.stage.confirmed(ending.txid)
    assert transaction is not None
    assert script in [output.script_pubkey for output in transaction.outputs]


_THREE_COINS = Purses(paying=(40_000, 45_000, 50_000), charging=(60_000, 70_000))
_V1_ERROR = anybody(_v1_error, POOR)
_FOUR_OUTPUTS = Purses(paying=(60_000, 70_000, 80_000), charging=(60_000, 70_000))

BEHAVIOURS = (
    we_pay(_FEES, "with a fee contribution", _fee_contribution),
    we_pay(_FEES, "without one", _no_fee_contribution),
    we_pay(_SUBSTITUTION, "allowed, and done", _their_substitution),
    we_pay(_SUBSTITUTION, "forbidden by pjos=0, and not done", _their_substitution_forbidden),
    we_pay(_MANY, "three coins pay, two join, two outputs", _many_of_theirs, _THREE_COINS),
    they_pay(_FEES, "with a fee contribution", _fee_contribution),
    they_pay(_FEES, "without one", _no_fee_contribution),
    they_pay(_SUBSTITUTION, "allowed, and done", _our_substitution),
    they_pay(_SUBSTITUTION, "forbidden by the sender, and not done", _our_substitution_forbidden),
    they_pay(_MANY, "three coins pay, two of four outputs to others", _many_of_ours, _FOUR_OUTPUTS),
    *(
        Pairing(_V1, _V1_PAYJOIN, THEM, payee, directory, US, anybody(_v1), "v1")
        for payee, directory in product((US, THEM), repeat=2)
    ),
    *(
        Pairing(_V1, "through the directory, an error", THEM, US, directory, US, _V1_ERROR, "v1")
        for directory in (US, THEM)
    ),
)
