import pytest

from dovetail.bitcoin.units import FeeRate, Sats
from dovetail.errors import InvalidMessage, UnsupportedVersion
from dovetail.protocol.params import FeeContribution, SenderParams

CONTRIBUTION = FeeContribution(Sats(182), 0)


def parse(query: str) -> SenderParams:
    return SenderParams.parse(query, default_version=2)


# Source: rust-payjoin, core/receive/optional_parameters.rs, test_parse_params, on BIP 78's vector.
def test_a_query_as_other_wallets_write_it_is_read() -> None:
    params = SenderParams.parse(
        "&maxadditionalfeecontribution=182&additionalfeeoutputindex=0&minfeerate=2"
        "&disableoutputsubstitution=true&optimisticmerge=true",
        default_version=1,
    )
    assert params == SenderParams(
        version=1,
        min_fee_rate=FeeRate(500),
        fee_contribution=CONTRIBUTION,
        output_substitution=False,
    )


# Source: rust-payjoin, core/send/mod.rs, the tests of the query parameters.
@pytest.mark.parametrize(
    ("params", "query"),
    [
        (SenderParams(), "v=2"),
        (SenderParams(output_substitution=False), "v=2&disableoutputsubstitution=true"),
        (SenderParams(min_fee_rate=FeeRate.from_sat_per_vb(10)), "v=2&minfeerate=10"),
        (
            SenderParams(fee_contribution=FeeContribution(Sats(1000), 0)),
            "v=2&additionalfeeoutputindex=0&maxadditionalfeecontribution=1000",
        ),
        (SenderParams(min_fee_rate=FeeRate(253)), "v=2&minfeerate=1.012"),
        (
            SenderParams(1, FeeRate(1), CONTRIBUTION, output_substitution=False),
            (
                "v=1&disableoutputsubstitution=true&additionalfeeoutputindex=0"
                "&maxadditionalfeecontribution=182&minfeerate=0.004"
            ),
        ),
    ],
)
def test_parameters_are_written_as_other_implementations_write_them(
    params: SenderParams, query: str
) -> None:
    assert params.serialize() == query
    assert parse(query) == params


def test_an_absent_version_means_the_version_of_the_channel() -> None:
    assert parse("") == SenderParams()
    assert SenderParams.parse("", default_version=1) == SenderParams(version=1)


def test_an_encrypted_message_may_say_version_1_but_plaintext_may_not_say_2() -> None:
    assert parse("v=1").version == 1
    with pytest.raises(UnsupportedVersion) as caught:
        SenderParams.parse("v=2", default_version=1)
    assert caught.value.supported == (1,)


@pytest.mark.parametrize("query", ["v=3", "v=888", "v=", "v", "v=one", "v=02", "v=1&v=%32%33"])
def test_other_versions_are_refused_with_those_supported(query: str) -> None:
    with pytest.raises(UnsupportedVersion) as caught:
        parse(query)
    assert caught.value.supported == (1, 2)


def test_parameters_of_another_version_cannot_be_made() -> None:
    with pytest.raises(UnsupportedVersion):
        SenderParams(version=3)


@pytest.mark.parametrize(
    "query",
    [
        "additionalfeeoutputindex=0",
        "maxadditionalfeecontribution=182",
        "additionalfeeoutputindex=&maxadditionalfeecontribution=182",
        "additionalfeeoutputindex=4294967296&maxadditionalfeecontribution=182",
        "additionalfeeoutputindex=9999999999999999&maxadditionalfeecontribution=182",
        "additionalfeeoutputindex=-1&maxadditionalfeecontribution=182",
        "additionalfeeoutputindex=0.0&maxadditionalfeecontribution=182",
        "additionalfeeoutputindex=%D9%A0&maxadditionalfeecontribution=182",
        "additionalfeeoutputindex=0&maxadditionalfeecontribution=-1",
        "additionalfeeoutputindex=0&maxadditionalfeecontribution=1.5",
        "additionalfeeoutputindex=0&maxadditionalfeecontribution=2100000000000001",
        f"additionalfeeoutputindex=0&maxadditionalfeecontribution={'9' * 7000}",
    ],
)
def test_a_fee_contribution_that_is_not_whole_is_ignored(query: str) -> None:
    assert parse(query).fee_contribution is None


@pytest.mark.parametrize("value", ["", "-1", "two", "1e3", "NaN", "inf", "1,5", "9" * 60])
def test_a_minimum_fee_rate_that_cannot_be_read_is_refused(value: str) -> None:
    with pytest.raises(InvalidMessage, match="minimum fee rate"):
        parse(f"minfeerate={value}")


def test_a_minimum_fee_rate_is_rounded_up() -> None:
    assert parse("minfeerate=1.0001").min_fee_rate == FeeRate(251)
    assert parse("minfeerate=1").min_fee_rate == FeeRate(250)


@pytest.mark.parametrize("value", ["false", "False", "0"])
def test_a_plain_no_allows_output_substitution(value: str) -> None:
    assert parse(f"disableoutputsubstitution={value}").output_substitution


@pytest.mark.parametrize("value", ["true", "True", "1", "", "maybe"])
def test_whatever_is_no_plain_no_forbids_output_substitution(value: str) -> None:
    assert not parse(f"disableoutputsubstitution={value}").output_substitution


def test_of_repeated_parameters_the_last_one_counts() -> None:
    assert parse("minfeerate=1&minfeerate=2").min_fee_rate == FeeRate(500)
