from decimal import Decimal

import pytest

from dovetail.bitcoin.units import MAX_SATS, FeeRate, Sats, Weight
from dovetail.errors import InvalidAmount


def test_amounts_reach_from_nothing_to_21_million_bitcoins():
    assert Sats(0) == 0
    assert Sats(MAX_SATS).to_btc() == "21000000"


@pytest.mark.parametrize("value", [-1, MAX_SATS + 1])
def test_an_amount_out_of_range_is_refused(value):
    with pytest.raises(InvalidAmount):
        Sats(value)


@pytest.mark.parametrize("value", [1.5, "1"])
def test_an_amount_is_never_made_from_a_float_or_text(value):
    with pytest.raises(TypeError):
        Sats(value)


def test_sums_and_differences_of_amounts_stay_amounts():
    results = (Sats(5) + Sats(3), 5 + Sats(3), Sats(9) - 1, 9 - Sats(1), Sats.sum([Sats(3), 5]))
    assert results == (8, 8, 8, 8, 8)
    assert {type(result) for result in results} == {Sats}


def test_a_sum_or_difference_out_of_range_is_refused():
    with pytest.raises(InvalidAmount):
        Sats(3) - Sats(4)
    with pytest.raises(InvalidAmount):
        Sats(MAX_SATS) + 1
    with pytest.raises(InvalidAmount):
        Sats.sum([MAX_SATS, 1])


# The first three stand in BIP 321, "Transfer amount" and "Examples".
@pytest.mark.parametrize(
    ("text", "sats"),
    [
        ("50.00", 5_000_000_000),
        ("50", 5_000_000_000),
        ("20.3", 2_030_000_000),
        ("0.00000001", 1),
        (".5", 50_000_000),
        ("1.", 100_000_000),
        ("0.100000000000", 10_000_000),
        ("0", 0),
        (Decimal("0.001"), 100_000),
        (Decimal("1E-8"), 1),
        (Decimal("2.1E+7"), MAX_SATS),
    ],
)
def test_bitcoins_are_read_from_plain_decimals(text, sats):
    assert Sats.from_btc(text) == sats


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "50,000.00",  # BIP 321, "Transfer amount"
        "-1",
        "+1",
        "1e3",
        " 1",
        "1\n",
        "0x10",
        "1_000",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "0.000000001",
        "21000000.00000001",
        "1" * 65,
        "9" * 10_000,
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1E+999999"),
        Decimal("1E-999999"),
        Decimal("-0.5"),
    ],
)
def test_other_amounts_of_bitcoins_are_refused(text):
    with pytest.raises(InvalidAmount):
        Sats.from_btc(text)


@pytest.mark.parametrize(
    ("sats", "text"),
    [(0, "0"), (1, "0.00000001"), (100_000, "0.001"), (100_000_000, "1"), (10**12, "10000")],
)
def test_bitcoins_are_written_without_an_exponent_or_needless_zeros(sats, text):
    assert Sats(sats).to_btc() == text


def test_weights_add_up_and_their_virtual_size_is_rounded_up():
    assert Weight(4).vbytes == 1
    assert Weight(5).vbytes == 2
    assert (Weight(5) + Weight(4), 5 + Weight(4)) == (9, 9)
    assert type(sum([Weight(1), Weight(2)], start=Weight(0))) is Weight


def test_a_negative_weight_is_refused():
    with pytest.raises(InvalidAmount):
        Weight(-1)


@pytest.mark.parametrize(
    ("rate", "sat_per_kwu"),
    [
        (1, 250),
        (2.5, 625),
        ("2.5", 625),
        (Decimal("0.1"), 25),
        (0.1, 25),
        ("0.0001", 1),
        (1e-7, 1),
        (0, 0),
    ],
)
def test_fee_rates_are_read_exactly_and_rounded_up(rate, sat_per_kwu):
    assert FeeRate.from_sat_per_vb(rate).sat_per_kwu == sat_per_kwu


@pytest.mark.parametrize(
    "rate", [-1, -0.5, 10**30, float("nan"), float("inf"), 1e300, "1e3", "NaN", "", "+1"]
)
def test_other_fee_rates_are_refused(rate):
    with pytest.raises(InvalidAmount):
        FeeRate.from_sat_per_vb(rate)


def test_a_number_too_long_to_write_out_is_refused():
    with pytest.raises(InvalidAmount):
        FeeRate.from_sat_per_vb(10**5000)


def test_fee_rates_are_ordered_and_shown_in_sat_per_vb():
    assert FeeRate(250) < FeeRate(251)
    assert FeeRate(251).sat_per_vb == Decimal("1.004")
    assert [str(FeeRate(rate)) for rate in (0, 250, 625)] == ["0 sat/vB", "1 sat/vB", "2.5 sat/vB"]
    assert FeeRate.from_sat_per_vb(1) == FeeRate.BROADCAST_MIN


def test_a_fee_is_rounded_up_and_a_paid_rate_is_rounded_down():
    assert FeeRate(250).fee(Weight(561)) == 141
    assert FeeRate(250).fee(Weight(560)) == 140
    assert FeeRate.of(Sats(141), Weight(561)) == FeeRate(251)
    assert FeeRate.of(Sats(140), Weight(561)) == FeeRate(249)


def test_a_rate_without_weight_is_refused():
    with pytest.raises(InvalidAmount):
        FeeRate.of(Sats(1), Weight(0))


def test_a_fee_above_all_bitcoins_is_refused():
    with pytest.raises(InvalidAmount):
        FeeRate(2**64 - 1).fee(Weight(4_000_000))
