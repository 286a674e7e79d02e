"""The terms of an invoice: what is enough, how deep, and which terms contradict each other."""

import pytest
from tests.merchant.builders import CREATED, EXPIRES, invoice, mark
from tests.protocol.builders import PAYEE

from dovetail.bitcoin import Sats, UnixTime
from dovetail.errors import ConfigurationError
from dovetail.merchant.invoices.invoice import (
    Confirmations,
    InvoiceException,
    InvoiceStatus,
    Permille,
    last_mark,
)

TIERS = Confirmations(((Sats(0), 1), (Sats(100_000), 3), (Sats(1_000_000), 6)))


def test_an_invoice_asks_for_its_amount_at_its_script():
    terms = invoice()
    assert terms.script == PAYEE
    assert (terms.enough, terms.depth) == (50_000, 1)


def test_a_repr_tells_no_address():
    assert repr(invoice()) == "<Invoice 00000000-0000-0000-0000-000000000007>"


@pytest.mark.parametrize(
    ("amount", "depth"),
    [(1, 1), (99_999, 1), (100_000, 3), (999_999, 3), (1_000_000, 6), (10**15, 6)],
)
def test_larger_amounts_need_more_confirmations(amount: int, depth: int):
    assert TIERS.of(Sats(amount)) == depth
    assert invoice(amount=Sats(amount), confirmations=TIERS).depth == depth


@pytest.mark.parametrize(
    ("tolerance", "enough"),
    [
        (Sats(0), 50_000),
        (Sats(300), 49_700),
        (Permille(0), 50_000),
        (Permille(5), 49_750),
        (Permille(999), 50),
    ],
)
def test_a_tolerance_is_in_satoshis_or_in_permille(tolerance: Sats | Permille, enough: int):
    assert invoice(tolerance=tolerance).enough == enough


def test_a_share_is_rounded_down():
    assert Permille(5).of(Sats(399)) == 1


@pytest.mark.parametrize("value", [-1, 1000])
def test_a_share_is_a_part_of_the_amount(value: int):
    with pytest.raises(ConfigurationError, match="0 to 999 permille"):
        Permille(value)


@pytest.mark.parametrize(
    "tiers",
    [
        (),
        ((Sats(1), 1),),
        ((Sats(0), 1), (Sats(0), 2)),
        ((Sats(0), 1), (Sats(9), 2), (Sats(5), 3)),
    ],
)
def test_confirmations_cover_every_amount_once(tiers: tuple[tuple[Sats, int], ...]):
    with pytest.raises(ConfigurationError, match="begin with 0 and rise"):
        Confirmations(tiers)


def test_confirmations_are_not_negative():
    with pytest.raises(ConfigurationError, match="cannot be negative"):
        Confirmations(((Sats(0), -1),), accept_unconfirmed=True)


def test_nothing_settles_unconfirmed_by_mistake():
    tiers = ((Sats(0), 0), (Sats(100_000), 1))
    with pytest.raises(ConfigurationError, match="`accept_unconfirmed`"):
        Confirmations(tiers)
    assert Confirmations(tiers, accept_unconfirmed=True).of(Sats(99_999)) == 0


@pytest.mark.parametrize(
    "times",
    [
        {"expires_at": CREATED},
        {"monitored_until": UnixTime(EXPIRES - 1)},
    ],
)
def test_an_invoice_expires_after_its_creation_and_is_monitored_until_then(times):
    with pytest.raises(ConfigurationError, match="must expire after its creation"):
        invoice(**times)


@pytest.mark.parametrize("terms", [{"amount": Sats(0)}, {"tolerance": Sats(50_000)}])
def test_an_invoice_asks_for_something(terms):
    with pytest.raises(ConfigurationError, match="more than its tolerance"):
        invoice(**terms)


def test_the_last_mark_holds():
    first, second = mark(1), mark(2, settled=False)
    assert last_mark([]) is None
    assert last_mark([second, first]) == second
    assert (first.status, second.status) == (InvoiceStatus.SETTLED, InvoiceStatus.INVALID)


def test_the_codes_are_stable():
    assert [*InvoiceStatus] == ["new", "processing", "settled", "expired", "invalid"]
    assert [*InvoiceException] == ["none", "paid-partially", "late", "over", "marked"]
