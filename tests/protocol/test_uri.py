from dataclasses import replace

import pytest
from tests.protocol.examples import (
    ADDRESS,
    BIP77_URI,
    ENDPOINT,
    EX,
    EXPIRES_AT,
    MAILBOX,
    OH,
    OHTTP_KEYS,
    RECEIVER_KEY,
    RK,
)

from dovetail.actions import Action
from dovetail.bitcoin.script import Address, Network
from dovetail.bitcoin.units import Sats, UnixTime
from dovetail.crypto.ohttp import KeyConfig
from dovetail.errors import InvalidUri, UsageError
from dovetail.protocol.uri import (
    PayjoinUri,
    V1Endpoint,
    V2Endpoint,
    is_on_this_machine,
    normalised_url,
    parse_directory,
    parse_endpoint,
)

MAINNET = "bitcoin:12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX"
DRAFT_OHTTP = "AQAgbLIT3-hgHP5dAGB574bdCyTeJvJR4n7hLJ4B8dxgYDMABAABAAM"
DRAFT_KEY = "AzzKI8EZJ3WF14dwBZLGyRX5FJ-s84oNwmviJE-T3vj-"
ONION = "http://vjdpwgybvubne5hda6v4c5iaeeevhge6jvo3w2cl6eocbwwvwxp7b7qd.onion"


def pj(url: str, rest: str = "") -> PayjoinUri:
    return PayjoinUri.parse(f"{MAINNET}?pj={url.replace('#', '%23')}{rest}")


def test_the_uri_of_bip_77_is_read() -> None:
    uri = PayjoinUri.parse(BIP77_URI)
    assert uri.address == Address.parse(ADDRESS)
    assert uri.amount == Sats(666_666)
    assert not uri.output_substitution
    assert uri.endpoint == ENDPOINT
    assert ENDPOINT.short_id == "TXJCGKTKXLUUZ"
    assert ENDPOINT.mailbox_url == "https://payjo.in/TXJCGKTKXLUUZ"


def test_the_same_text_is_read_once_and_refused_each_time() -> None:
    assert PayjoinUri.parse(BIP77_URI) is PayjoinUri.parse(BIP77_URI)
    for _ in range(2):
        with pytest.raises(InvalidUri, match="does not offer payjoin"):
            PayjoinUri.parse(MAINNET)


def test_the_uri_of_bip_77_is_written_byte_for_byte() -> None:
    assert PayjoinUri.parse(BIP77_URI).serialize() == BIP77_URI


def test_a_uri_all_in_upper_case_as_in_a_qr_code_is_the_same() -> None:
    assert PayjoinUri.parse(BIP77_URI.upper()) == PayjoinUri.parse(BIP77_URI)


# Source: rust-payjoin, core/uri/v2.rs, test_ohttp_get_set and test_exp_get_set.
def test_fragment_parameters_are_written_as_other_implementations_write_them() -> None:
    gateway = parse_endpoint(
        f"{MAILBOX}#{EX}-OH1QYPM5JXYNS754Y4R45QWE336QFX6ZR8DQGVQCULVZTV20TFVEYDMFQC-{RK}"
    )
    assert isinstance(gateway, V2Endpoint)
    key = "03ba48c49c3d4a92a3ad00ecc63a024da10ced02180c73ec12d8a7ad2cc91bb483"
    assert gateway.ohttp_keys.key_id == 1
    assert gateway.ohttp_keys.public_key.compressed.hex() == key
    later = V2Endpoint("https://payjo.in", RECEIVER_KEY, OHTTP_KEYS, UnixTime(1720547781))
    assert later.serialize() == f"{MAILBOX}#EX1C4UC6ES-{OH}-{RK}"


# Source: rust-payjoin, core/uri/v2.rs, test_valid_v2_url_fragment_on_bip21.
def test_reordered_parameters_are_written_in_order() -> None:
    endpoint = f"{MAILBOX}%23EX1C4UC6ES-{OH}-{RK}"
    uri = PayjoinUri.parse(f"{MAINNET}?amount=0.01&pj={endpoint}&pjos=0")
    assert uri.serialize() == f"{MAINNET}?amount=0.01&pjos=0&pj={endpoint}"


def test_label_and_message_are_kept() -> None:
    uri = pj("https://example.com/pj?id=1&a", "&label=Caf%C3%A9&message=two%20cups")
    assert (uri.label, uri.message) == ("Café", "two cups")
    assert PayjoinUri.parse(uri.serialize()) == uri
    assert uri.serialize().endswith("pj=https://example.com/pj?id%3D1")


def test_output_substitution_is_allowed_unless_the_uri_forbids_it() -> None:
    assert pj("https://example.com").output_substitution
    assert pj("https://example.com", "&pjos=1").output_substitution
    assert not pj("https://example.com", "&pjos=0").output_substitution
    assert "pjos" not in pj("https://example.com", "&pjos=1").serialize()


def test_a_required_endpoint_is_read_and_written_as_an_ordinary_one() -> None:
    uri = PayjoinUri.parse(f"{MAINNET}?REQ-PJ=https://example.com")
    assert uri.serialize() == f"{MAINNET}?pj=https://example.com"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "does not offer payjoin"),
        ("?pjos=0", "does not offer payjoin"),
        ("?pj=https://a.com&req-else=1", "requires a feature that Dovetail does not know"),
        ("?pj=https://a.com&pj=https://a.com", "twice"),
        ("?pj=https://a.com&req-pj=https://a.com", "twice"),
        ("?pj=https://a.com&pjos=1&pjos=1", "twice"),
        ("?pj=https://a.com&pjos=", "neither 0 nor 1"),
        ("?pj=https://a.com&pjos=no", "neither 0 nor 1"),
        ("?pj=this_is_NOT_a_validURL", "not an http or https URL"),
        ("?pj=", "not an http or https URL"),
        ("?pj=https://", "not an http or https URL"),
        ("?pj=ftp://foo.onion", "not an http or https URL"),
        ("?pj=https://me@example.com", "not an http or https URL"),
        ("?pj=https://example.com/%20", "not an http or https URL"),
        ("?pj=https://example.com/%0A", "not an http or https URL"),
        ("?pj=https://example.com/%C3%A9", "not an http or https URL"),
        ("?pj=https://example.com:65536/", "no valid port"),
        ("?pj=http://example.com", "not encrypted"),
        ("?pj=http://127.0.0.1.example.com", "not encrypted"),
        ("?pj=http://localhost.example.com", "not encrypted"),
    ],
)
def test_a_uri_without_a_usable_endpoint_is_refused(query: str, sentence: str) -> None:
    with pytest.raises(InvalidUri, match=sentence):
        PayjoinUri.parse(MAINNET + query)


def test_a_uri_without_an_address_is_refused() -> None:
    with pytest.raises(InvalidUri, match="no address"):
        PayjoinUri.parse("bitcoin:?pj=https://example.com")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "HTTPS://EXAMPLE.COM:8443/BTC/pj?invoice=1",
        ONION,
        "http://localhost:3000/pj",
        "http://LOCALHOST",
        "http://pay.localhost/",
        "http://127.0.0.1:3000",
        "http://[::1]:3000/pj",
        # Names that look like keys and are none: another first byte, another length.
        f"https://shop.example/{'a' * 44}",
        f"https://shop.example/A{'g' * 42}",
        f"https://shop.example/04{'a' * 64}",
        f"https://shop.example/02{'g' * 64}",
        f"https://shop.example/{'q' * 53}",
        f"https://shop.example/{'o' * 53}",
        f"https://shop.example/pay/{DRAFT_KEY}",
        "https://payjo.in.example/pay",
        "https://shop.example/pay?id=ohttp",
    ],
)
def test_other_urls_are_v1_endpoints_and_kept_as_they_are(url: str) -> None:
    assert pj(url).endpoint == V1Endpoint(url)


# Source of the first: a link of a BIP 77 draft, the key in the path and `ohttp` beside `pj`.
@pytest.mark.parametrize(
    "query",
    [
        f"amount=0.001&pj=https://payjo.in/{DRAFT_KEY}&pjos=0&ohttp={DRAFT_OHTTP}",
        "pj=https://shop.example/pay&OHTTP=AQ",
        "ohttp=&req-pj=https://shop.example/pay",
        f"pj=https://payjo.in/{DRAFT_KEY}",
        f"pj=https://directory.example/{DRAFT_KEY}",
        f"pj=https://directory.example/{DRAFT_KEY}/",
        f"pj=https://directory.example/{DRAFT_KEY}%3D",
        "pj=https://payjo.in/",
        "pj=https://a.payjo.in:443/pay/1",
        "pj=https://PAYJO.IN/BTC/pj",
        f"pj=https://directory.example/03{'ab' * 32}",
        f"pj=https://directory.example/RK1{RK[3:]}",
        f"pj=https://directory.example/{RK[3:].lower()}",
        "pj=https://directory.example/pay?ohttp=AQ",
        "pj=https://directory.example/pay?id=1%26OHTTP=AQ",
        "pj=https://shop.example/pay?invoice=1%23anchor",
        "pj=https://shop.example/pay%23ohttp=AQ",
        "pj=https://shop.example/%23XX1QQ",
    ],
)
def test_what_shows_that_encryption_was_meant_is_never_a_v1_endpoint(query: str) -> None:
    """P4: nothing of it is posted in plaintext; the address can still be paid."""
    with pytest.raises(InvalidUri, match="ask for a new one"):
        PayjoinUri.parse(f"bitcoin:{ADDRESS}?{query}")


# Source of the first two: rust-payjoin, core/uri/v1.rs, test_v1_failed_url_fragment.
@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("HTTPS://EXAMPLE.COM/#OH1QYPM5JXYNS754Y4R45QWE336QFX6ZR8DQGVQCULVZTV20TFVEYDMFQC", "lack"),
        (
            "HTTPS://EXAMPLE.COM/short_id#oh1qypm5jxyns754y4r45qwe336qfx6zr8dqgvqculvzt",
            "misspelled",
        ),
        (f"{MAILBOX}/", "lacks"),
        (f"https://shop.example/pay#{EX}", "lacks"),
    ],
)
def test_one_parameter_of_a_mailbox_is_enough_to_want_them_all(url: str, sentence: str) -> None:
    with pytest.raises(InvalidUri, match=sentence):
        parse_endpoint(url)


def test_a_mailbox_with_a_slash_behind_it_is_the_same() -> None:
    assert parse_endpoint(f"{MAILBOX}/#{EX}-{OH}-{RK}") == ENDPOINT


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTPS://SHOP.example", "https://shop.example/"),
        ("https://shop.example:443/?", "https://shop.example/"),
        ("https://shop.example./pay", "https://shop.example/pay"),
        ("https://shop.example:8443/Pay?A=b#x", "https://shop.example:8443/Pay?A=b"),
        (
            "https://shop.example/%7e%41%2f%c3%a4%20?%61=%3D",
            "https://shop.example/~A%2F%C3%A4%20?a=%3D",
        ),
        ("http://localhost:80/pj", "http://localhost/pj"),
        ("http://localhost:443/pj", "http://localhost:443/pj"),
        ("http://[::1]:80/pj", "http://[::1]/pj"),
    ],
)
def test_an_endpoint_has_one_spelling(url: str, normal: str) -> None:
    assert normalised_url(url) == normal
    assert normalised_url(normal) == normal


@pytest.mark.parametrize(
    "fragment",
    [f"{EX}+{OH}+{RK}", f"{RK}-{OH}-{EX}", f"{OH}+{RK}+{EX}", f"AB1QQ-{EX}--{OH}-{RK}-ZZ"],
)
def test_older_separators_other_orders_and_unknown_parameters_are_read(fragment: str) -> None:
    endpoint = parse_endpoint(f"{MAILBOX}#{fragment}")
    assert endpoint == ENDPOINT
    assert ENDPOINT.serialize() == f"{MAILBOX}#{EX}-{OH}-{RK}"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (MAILBOX, "lacks a payjoin parameter"),
        (MAILBOX.lower(), "lacks a payjoin parameter"),
        (f"{MAILBOX}#{EX}-{OH}", "lacks a payjoin parameter"),
        (f"{MAILBOX}#{EX}-{RK}", "lacks a payjoin parameter"),
        (f"{MAILBOX}#{OH}-{RK}", "lacks a payjoin parameter"),
        (f"{MAILBOX}#{EX}-{OH}+{RK}", "misspelled"),
        (f"{MAILBOX}#{EX}-{OH}-{RK}".lower(), "misspelled"),
        (f"{MAILBOX}#{EX}-{OH}-{RK[:-1]}v", "misspelled"),
        (f"{MAILBOX}#{EX}-{OH}-{RK}-a", "misspelled"),
        (f"{MAILBOX}#{EX}-{EX}-{OH}-{RK}", "twice"),
        (f"{MAILBOX}#EX10-{OH}-{RK}", "wrong length"),
        (f"{MAILBOX}#EX1WKV8CE-{OH}-{RK}", "wrong length"),
        (f"{MAILBOX}#{EX}-{OH}C-{RK}", "wrong length"),
        (f"{MAILBOX}#{EX}-{OH}-{RK}Q", "wrong length"),
        (f"{MAILBOX}#EX1BBBBBBB-{OH}-{RK}", "bech32 lacks"),
        (f"{MAILBOX}#EX1WKV8CEL-{OH}-{RK}", "stray bits"),
        (f"{MAILBOX}#{EX}-{OH}-RK1{'Q' * 53}", "key in the URI"),
        (f"{MAILBOX}#{EX}-OH1{'Q' * 55}-{RK}", "key in the URI"),
        (f"{MAILBOX[:-1]}Q#{EX}-{OH}-{RK}", "does not match its key"),
        (f"HTTPS://PAYJO.IN#{EX}-{OH}-{RK}", "does not match its key"),
        (f"HTTPS://PAYJO.IN/A/TXJCGKTKXLUUZ#{EX}-{OH}-{RK}", "does not match its key"),
        (f"HTTP://PAYJO.IN/TXJCGKTKXLUUZ#{EX}-{OH}-{RK}", "not encrypted"),
    ],
)
def test_a_damaged_mailbox_url_is_never_taken_for_a_v1_endpoint(url: str, sentence: str) -> None:
    with pytest.raises(InvalidUri, match=sentence):
        parse_endpoint(url)


def test_a_directory_is_its_origin_in_any_spelling() -> None:
    assert parse_directory("HTTPS://PayJo.in/") == "https://payjo.in"
    assert parse_directory("http://[::1]:8080") == "http://[::1]:8080"
    local = V2Endpoint("HTTP://Localhost:8080/", RECEIVER_KEY, OHTTP_KEYS, EXPIRES_AT)
    assert local.directory == "http://localhost:8080"
    assert parse_endpoint(local.serialize()) == local


@pytest.mark.parametrize("text", ["https://a.com/b", "https://a.com?", "https://a.com/#", "a.com"])
def test_a_directory_with_more_or_less_than_an_origin_is_refused(text: str) -> None:
    with pytest.raises(InvalidUri):
        parse_directory(text)


@pytest.mark.parametrize("expires_at", [-1, 2**32])
def test_an_expiration_must_fit_four_bytes(expires_at: int) -> None:
    with pytest.raises(InvalidUri, match="between 1970 and 2106"):
        V2Endpoint("https://payjo.in", RECEIVER_KEY, OHTTP_KEYS, UnixTime(expires_at))


def test_the_extremes_of_expiration_and_key_id_are_written_and_read() -> None:
    for expires_at, key_id in ((0, 0), (2**32 - 1, 255)):
        keys = KeyConfig(key_id, OHTTP_KEYS.public_key)
        endpoint = V2Endpoint("https://payjo.in", RECEIVER_KEY, keys, UnixTime(expires_at))
        assert parse_endpoint(endpoint.serialize()) == endpoint


def test_reprs_show_nothing_of_the_payment() -> None:
    uri = PayjoinUri.parse(BIP77_URI)
    assert repr(uri) == "<PayjoinUri>"
    assert repr(uri.endpoint) == "<V2Endpoint>"
    assert repr(V1Endpoint("https://example.com/invoice")) == "<V1Endpoint>"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8332/wallet", True),
        ("http://[::1]/", True),
        ("HTTP://SHOP.LOCALHOST/pay", True),
        ("http://shop.onion/pay", False),
        ("https://localhost/pay", False),
        ("https://127.0.0.1.example/pay", False),
    ],
)
def test_an_endpoint_on_the_payers_own_machine_is_told(url: str, *, local: bool) -> None:
    assert is_on_this_machine(V1Endpoint(url)) is local


def test_a_directory_on_the_payers_own_machine_is_told() -> None:
    assert not is_on_this_machine(ENDPOINT)
    assert is_on_this_machine(replace(ENDPOINT, directory="http://127.0.0.1:8080"))


def test_an_address_that_can_be_paid_without_payjoin_is_told_as_an_action() -> None:
    for query in ("", "?pjos=0", "?pj=http://example.com", "?pj=https://a.com&ohttp=1"):
        with pytest.raises(InvalidUri) as refused:
            PayjoinUri.parse(MAINNET + query)
        assert refused.value.actions == {Action.PAY}
    for text in (
        "bitcoin:?pj=https://a.com",
        f"{MAINNET}?req-else=1",
        "bitcoin:x?pj=https://a.com",
    ):
        with pytest.raises(InvalidUri) as refused:
            PayjoinUri.parse(text)
        assert not refused.value.actions


def test_a_sound_uri_tells_the_amount_to_pay() -> None:
    uri, free = PayjoinUri.parse(BIP77_URI), pj("https://example.com")
    before = UnixTime(EXPIRES_AT - 1)
    assert uri.check(network=Network.SIGNET, now=before) == 666_666
    assert uri.check(network=Network.SIGNET, now=before, amount=Sats(666_666)) == 666_666
    assert free.check(network=Network.MAINNET, now=EXPIRES_AT, amount=Sats(5)) == 5
    with pytest.raises(UsageError, match="names no amount"):
        free.check(network=Network.MAINNET, now=before)
    with pytest.raises(UsageError, match="already asks for"):
        uri.check(network=Network.SIGNET, now=before, amount=Sats(5))


def test_a_uri_of_another_network_is_refused_and_its_address_not_to_be_paid() -> None:
    with pytest.raises(UsageError, match="not for regtest") as refused:
        PayjoinUri.parse(BIP77_URI).check(network=Network.REGTEST, now=UnixTime(0))
    assert not refused.value.actions


def test_the_address_of_an_expired_uri_can_still_be_paid() -> None:
    with pytest.raises(UsageError, match="has expired") as refused:
        PayjoinUri.parse(BIP77_URI).check(network=Network.SIGNET, now=EXPIRES_AT)
    assert refused.value.actions == {Action.PAY}


def test_on_mainnet_no_receiver_is_on_the_payers_own_machine() -> None:
    uri = pj("http://127.0.0.1:8332")
    with pytest.raises(UsageError, match="your own machine") as refused:
        uri.check(network=Network.MAINNET, now=UnixTime(0), amount=Sats(5))
    assert refused.value.actions == {Action.PAY}
    trial = replace(uri, address=Address.parse("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"))
    assert trial.check(network=Network.REGTEST, now=UnixTime(0), amount=Sats(5)) == 5
