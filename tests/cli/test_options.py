import click
import pytest

from dovetail.bitcoin import FeeRate
from dovetail.cli.option_types import Amount, Duration, Place, Rate, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90s", 90), ("10m", 600), ("24h", 86_400), ("7d", 604_800), ("1.5H", 5400)],
)
def test_a_duration_is_read_in_seconds(text, expected):
    assert seconds(text) == expected
    assert Duration().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "soon", "-5", "5 years", "1e9", "m", "٣s", "9" * 400])
def test_other_text_is_no_duration(text):
    assert seconds(text) is None
    with pytest.raises(click.BadParameter, match="such as 90s"):
        Duration().convert(text, None, None)


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("50_000", 50_000), (7, 7)])
def test_an_amount_is_read_in_satoshis(text, expected):
    assert Amount().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "0.5", "-1", "1e6", "1__0", "٣", "9" * 25, "half"])
def test_other_text_is_no_amount(text):
    with pytest.raises(click.BadParameter, match="whole sats"):
        Amount().convert(text, None, None)


def test_nobody_can_ask_for_nothing():
    with pytest.raises(click.BadParameter, match="at least 1"):
        Amount().convert("0", None, None)


def test_nobody_can_ask_for_more_than_there_is():
    with pytest.raises(click.BadParameter, match="21 million"):
        Amount().convert("2100000000000001", None, None)


@pytest.mark.parametrize("text", ["1", "2.5", "0.125"])
def test_a_fee_rate_is_plain_decimal(text):
    assert Rate().convert(text, None, None) == FeeRate.from_sat_per_vb(text)


@pytest.mark.parametrize("text", ["", "-1", "1e3", "1,5", "1.0001", "fast"])
def test_other_text_is_no_fee_rate(text):
    with pytest.raises(click.BadParameter, match="sat/vB"):
        Rate().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:3002", ("::1", 3002)),
    ],
)
def test_a_place_is_a_host_and_a_port(text, place):
    assert Place().convert(text, None, None) == place


@pytest.mark.parametrize("text", ["", "8080", ":8080", "host:", "host:http", "[]:1", "host:65536"])
def test_a_place_that_is_none_is_refused(text):
    with pytest.raises(click.UsageError, match="port"):
        Place().convert(text, None, None)
