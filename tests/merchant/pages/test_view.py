"""What the checkout page shows, by where the invoice stands."""

from typing import Any

import pytest
from tests.merchant import builders
from tests.protocol.builders import PAYEE

from dovetail.bitcoin import Address, Network, Sats, Transaction, UnixTime
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.stores import terms_of
from dovetail.merchant.invoices.invoice import Mark
from dovetail.merchant.invoices.life import InvoiceState, state_of
from dovetail.merchant.invoices.payments import Found, Look, Payments
from dovetail.merchant.messages import ConfirmationTier, StorePolicy
from dovetail.merchant.pages.language import language
from dovetail.merchant.pages.view import WORDS, Checkout, Stage, linked, safe_url, view_of

AMOUNT = builders.AMOUNT
START, END, LAST = (int(each) for each in (builders.CREATED, builders.EXPIRES, builders.MONITORED))
URI = "bitcoin:x?amount=0.0005&pj=Y"


def row(*, depth: int = 1, **columns: Any) -> InvoiceRow:
    policy = StorePolicy(
        confirmations=(ConfirmationTier(from_sats=0, confirmations=depth),),
        broadcasts_fallback=columns.pop("broadcasts_fallback", True),
    )
    usual: dict[str, Any] = {
        "id": new_id(),
        "store_id": new_id(),
        "wallet_id": new_id(),
        "amount": Sats(AMOUNT),
        "address": str(Address.from_script(PAYEE, Network.REGTEST)),
        "script": PAYEE,
        "terms": terms_of(policy),
        "created_at": builders.CREATED,
        "expires_at": builders.EXPIRES,
        "monitored_until": builders.MONITORED,
        "uri": URI,
    }
    return InvoiceRow(**(usual | columns))


def state(
    of: InvoiceRow, *found: tuple[Transaction, int, int], now: int, **more: Any
) -> InvoiceState:
    """The state after looks, each of which finds one more, at this depth and time."""
    seen = Payments()
    for number, (_, _, at) in enumerate(found, 1):
        all_found = tuple(Found(each, depth) for each, depth, _ in found[:number])
        seen = seen.after(Look(number, UnixTime(at), all_found))
    return state_of(
        of.invoice(), seen, more.get("held", ()), more.get("marks", ()), now=UnixTime(now)
    )


def view(
    *found: tuple[Transaction, int, int],
    now: int = START + 60,
    speech: str = "en",
    network: Network = Network.REGTEST,
    held: Any = (),
    marks: Any = (),
    **columns: Any,
) -> Checkout:
    made = row(**columns)
    stands = state(made, *found, now=now, held=held, marks=marks)
    return view_of(made, stands, language(speech), network=network, now=UnixTime(now))


def came(value: int = AMOUNT, *, depth: int = 0, at: int = START + 30, coin: int = 1) -> Any:
    return builders.pay(coin, value=value), depth, at


def handed_over() -> Any:
    return (builders.negotiated(builders.pay(1)),)


def mark(*, settled: bool) -> Any:
    return (Mark(number=1, settled=settled, by="alice", at=builders.CREATED),)


@pytest.mark.parametrize(
    ("stage", "found", "more"),
    [
        (Stage.WAITING, [], {}),
        (Stage.PARTIAL, [came(20_000)], {}),
        (Stage.SEEN, [came()], {}),
        (Stage.PAID, [came(depth=1)], {}),
        (Stage.PAID, [], {"marks": mark(settled=True)}),
        (Stage.COMPLETING, [], {"now": END, "held": handed_over()}),
        (Stage.HELD, [], {"now": END, "held": handed_over(), "broadcasts_fallback": False}),
        (Stage.EXPIRED, [], {"now": END}),
        (Stage.SHORT, [came(20_000)], {"now": END}),
        (Stage.LATE, [came(at=END + 5)], {"now": END + 10}),
        (Stage.INVALID, [came()], {"now": LAST}),
        (Stage.CLOSED, [came()], {"marks": mark(settled=False)}),
    ],
)
def test_each_state_of_an_invoice_has_its_stage_and_words(stage, found, more) -> None:
    shown = view(*found, **more)
    assert shown.stage is stage
    assert shown.title == WORDS[stage].title
    assert "%(" not in shown.text


def test_every_stage_has_words() -> None:
    assert set(WORDS) == set(Stage)


def test_money_is_asked_for_only_while_it_can_be_paid_in_time() -> None:
    assert view().uri == URI
    assert view(came(20_000)).uri is not None
    for found, now in (([came()], START + 60), ([], END), ([came(20_000)], END)):
        assert view(*found, now=now).uri is None


def test_the_rest_is_asked_for_at_the_same_address_without_payjoin() -> None:
    shown = view(came(20_000), label="Tea")
    asked = BitcoinUri.parse(shown.uri or "")
    assert (str(asked.address), asked.amount, asked.label) == (shown.address, 30_000, "Tea")
    assert asked.get("pj") is None
    assert (shown.bare, shown.sats, shown.whole) == (
        "0.00030000",
        "30,000\xa0sats",
        "50,000\xa0sats",
    )
    assert not shown.private


def test_a_rest_that_nodes_do_not_relay_is_rounded_up_to_what_they_do() -> None:
    asked = BitcoinUri.parse(view(came(AMOUNT - 5)).uri or "")
    assert asked.amount == PAYEE.dust_limit


def test_the_missing_amount_is_in_the_words() -> None:
    assert "20,000\xa0sats arrived" in view(came(20_000)).text
    assert "missing 30,000\xa0sats" in view(came(20_000)).text


def test_what_was_paid_too_much_is_told_once_enough_has_come() -> None:
    assert view(came(AMOUNT + 7)).over == "7\xa0sats"
    assert view(came(AMOUNT + 7, depth=1)).over == "7\xa0sats"
    assert view(came()).over is None
    assert view(came(AMOUNT + 7, at=END + 1), now=END + 2).over is None


def test_confirmations_are_counted_while_they_are_awaited() -> None:
    assert view(came(depth=1), depth=3).confirmations == (1, 3)
    assert view(came(depth=3), depth=3).confirmations is None
    assert view().confirmations is None


def test_the_payment_that_is_confirmed_least_counts() -> None:
    two = came(30_000, depth=2), came(20_000, depth=1, coin=2)
    assert view(*two, depth=3).confirmations == (1, 3)


def test_the_time_left_counts_down_and_stops_at_nothing() -> None:
    assert (view(now=START).seconds_left, view(now=START).clock) == (900, "15:00")
    assert view(now=END - 1).clock == "0:01"
    assert view(now=END).seconds_left == 0
    assert view(expires_at=UnixTime(START + 7_265), now=START).clock == "2:01:05"


def test_prices_and_rates_are_in_the_language() -> None:
    given: dict[str, Any] = {"price": "1234.50", "currency": "EUR", "rate": "55000.00"}
    english, german = view(**given), view(**given, speech="de")
    assert (english.price, english.rate) == ("1,234.50\xa0EUR", "55,000.00\xa0EUR")
    assert (german.price, german.rate) == ("1.234,50\xa0EUR", "55.000,00\xa0EUR")
    assert (english.btc, german.btc) == ("0.00050000\xa0BTC", "0,00050000\xa0BTC")
    assert (view().price, view().rate) == (None, None)


@pytest.mark.parametrize("found", [[came()], [came(depth=1)]])
def test_the_way_back_to_the_shop_opens_once_enough_has_come(found) -> None:
    assert view(*found, redirect_url="https://a.example/x").back == "https://a.example/x"
    assert view(redirect_url="https://a.example/x").back is None


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//a.example",
        "https:a.example",
        "https://[",
        "/x",
        "till:/x",
        "vbscript.:x",
        "",
        None,
    ],
)
def test_the_way_back_is_a_page_an_app_or_nothing(url) -> None:
    assert safe_url(url) is None
    assert linked("bitcoin:a?amount=1", url) == "bitcoin:a?amount=1"


def test_a_wallet_on_the_same_device_returns_to_the_shops_app() -> None:
    shown = view(redirect_url="org.example.till:/orders/7")
    assert shown.uri is not None
    assert "pop=" not in shown.uri
    assert shown.link == f"{shown.uri}&pop=org.example.till%3A%2Forders%2F7%3F"
    assert view(redirect_url="https://a.example/x").link == shown.uri  # a wallet opens no web page
    assert view(came(), redirect_url="org.example.till:/x").back == "org.example.till:/x"


@pytest.mark.parametrize(
    ("back", "begun"),
    [("org.example.till:", "?"), ("org.example.till:?order=7", "?order=7&")],
)
def test_what_a_wallet_appends_is_a_parameter_of_the_apps_address(back, begun) -> None:
    link = BitcoinUri.parse(linked(f"bitcoin:{row().address}", back))
    assert link.get("pop") == f"org.example.till:{begun}"


def test_a_test_network_is_named_and_the_real_one_is_not() -> None:
    assert view().test_network == "regtest"
    assert view(network=Network.MAINNET).test_network is None


def test_a_page_on_which_nothing_happens_any_more_is_left_alone() -> None:
    waits, paid, late = view(), view(came(depth=1)), view(now=LAST)
    assert (waits.follows, waits.refresh) == (True, 10)
    assert (view(now=END).follows, view(now=END).refresh) == (True, 60)
    assert (paid.follows, paid.refresh) == (False, None)
    assert (late.follows, late.refresh) == (False, None)


def test_the_version_differs_where_the_page_does() -> None:
    shown = (
        view(),
        view(came(20_000)),
        view(came(25_000)),
        view(came(), depth=2),
        view(came(depth=1), depth=2),
        view(came(depth=2), depth=2),
    )
    assert len({each.version for each in shown}) == len(shown)
    assert view(now=START + 60).version == view(now=START + 90).version


@pytest.mark.parametrize(
    ("tone", "found", "now"),
    [("open", [], START), ("good", [came()], START + 60), ("closed", [], END)],
)
def test_the_tone_is_that_of_the_stage(tone, found, now) -> None:
    assert view(*found, now=now).tone == tone


def test_the_view_shows_nothing_in_its_repr() -> None:
    assert repr(view(label="Secret")) == "<Checkout waiting>"
