import pytest

from dovetail.bitcoin.script import Address, Network
from dovetail.bitcoin.units import Sats
from dovetail.bitcoin.uri import BitcoinUri, amount_due
from dovetail.errors import InvalidAddress, InvalidAmount, InvalidUri, UsageError

# The examples of BIP 21 and BIP 321 name an address that is invalid on purpose; this one is valid.
BIP_ADDRESS = "175tWpb8K1S7NmH4Zx6rewF9WQrcZv245W"
ADDRESS = "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i"

# BIP 77, "Payjoin URI".
PAYJOIN = (
    "bitcoin:tb1q6q6de88mj8qkg0q5lupmpfexwnqjsr4d2gvx2p?amount=0.00666666&pjos=0"
    "&pj=HTTPS://PAYJO.IN/TXJCGKTKXLUUZ%23EX1WKV8CEC-OH1QYPM59NK2LXXS4890SUAXXYT25Z2VAPHP0X7YEY"
    "CJXGWAG6UG9ZU6NQ-RK1Q0DJS3VVDXWQQTLQ8022QGXSX7ML9PHZ6EDSF6AKEWQG758JPS2EV"
)

# BIP 321, "URIs" (the first four and the two before the last also in BIP 21), and what they say:
# amount in satoshis, label, message, other parameters.
VALID = {
    f"bitcoin:{ADDRESS}": (None, None, None, ()),
    f"bitcoin:{ADDRESS}?label=Luke-Jr": (None, "Luke-Jr", None, ()),
    f"bitcoin:{ADDRESS}?amount=20.3&label=Luke-Jr": (2_030_000_000, "Luke-Jr", None, ()),
    f"bitcoin:{ADDRESS}?amount=50&label=Luke-Jr&message=Donation%20for%20project%20xyz": (
        5_000_000_000,
        "Luke-Jr",
        "Donation for project xyz",
        (),
    ),
    f"bitcoin:{ADDRESS}?lightning=lnbc420bogusinvoice": (
        None,
        None,
        None,
        (("lightning", "lnbc420bogusinvoice"),),
    ),
    "bitcoin:?lightning=lnbc420bogusinvoice": (
        None,
        None,
        None,
        (("lightning", "lnbc420bogusinvoice"),),
    ),
    "bitcoin:?lno=lno1bogusoffer&sp=sp1qsilentpayment": (
        None,
        None,
        None,
        (("lno", "lno1bogusoffer"), ("sp", "sp1qsilentpayment")),
    ),
    f"bitcoin:{ADDRESS}?somethingyoudontunderstand=50&somethingelseyoudontget=999": (
        None,
        None,
        None,
        (("somethingyoudontunderstand", "50"), ("somethingelseyoudontget", "999")),
    ),
    "bitcoin:?tb=tb1qghfhmd4zh7ncpmxl3qzhmq566jk8ckq4gafnmq": (
        None,
        None,
        None,
        (("tb", "tb1qghfhmd4zh7ncpmxl3qzhmq566jk8ckq4gafnmq"),),
    ),
}

# BIP 321, "Invalid URIs", and "Examples" for what else it rules out.
INVALID = {
    "label twice": f"bitcoin:{ADDRESS}?label=Luke-Jr&label=Matt",
    "message twice": f"bitcoin:{ADDRESS}?message=a&MESSAGE=b",
    "amount twice": f"bitcoin:{ADDRESS}?amount=42&amount=10",
    "amount twice the same": f"bitcoin:{ADDRESS}?amount=42&Amount=42",
    "pop twice": f"bitcoin:{ADDRESS}?pop=callback%3a&req-pop=callback%3a",
    "tb address under bc": "bitcoin:?bc=tb1qghfhmd4zh7ncpmxl3qzhmq566jk8ckq4gafnmq",
    "regtest address under bc": "bitcoin:?bc=bcrt1pfeesnyr2tx",
    "nothing to pay": "bitcoin:",
    "nothing to pay but an amount": "bitcoin:?amount=1",
    "a comma in the amount": f"bitcoin:{ADDRESS}?amount=50,000.00",
    "no amount": f"bitcoin:{ADDRESS}?amount=",
    "a negative amount": f"bitcoin:{ADDRESS}?amount=-1",
    "too large an amount": f"bitcoin:{ADDRESS}?amount=21000001",
    "the invalid address of the BIP": f"bitcoin:{BIP_ADDRESS}",
    "two slashes without an address": "bitcoin://",
    "three slashes": f"bitcoin:///{ADDRESS}",
    "a path": f"bitcoin:{ADDRESS}/pay",
    "no scheme": ADDRESS,
    "another scheme": f"litecoin:{ADDRESS}",
    "text before": f"x bitcoin:{ADDRESS}",
    "text behind": f"bitcoin:{ADDRESS}\nx",
    "a space": f"bitcoin:{ADDRESS}?label=Luke Jr",
    "a letter not encoded": f"bitcoin:{ADDRESS}?label=Zo\xeb",
    "a fragment": f"bitcoin:{ADDRESS}?pj=https://example.com/#EX1",
    "a parameter without a name": f"bitcoin:{ADDRESS}?=1",
    "a cut escape": f"bitcoin:{ADDRESS}?label=%4",
    "an escape that is not hex": f"bitcoin:{ADDRESS}?label=%+4",
    "an escape that is not UTF-8": f"bitcoin:{ADDRESS}?label=%ff",
    "half a surrogate pair": f"bitcoin:{ADDRESS}?label=%ed%a0%80",
}


@pytest.mark.parametrize("text", VALID)
def test_a_published_uri_says_what_its_bip_says(text):
    uri = BitcoinUri.parse(text)
    amount, label, message, params = VALID[text]
    assert uri.address == (None if text.startswith("bitcoin:?") else Address.parse(ADDRESS))
    assert (uri.amount, uri.label, uri.message, uri.params) == (amount, label, message, params)
    assert uri.unknown_required == ()
    assert uri.serialize() == text


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
def test_what_the_bips_rule_out_is_refused(text):
    with pytest.raises(InvalidUri):
        BitcoinUri.parse(text)


def test_the_cause_of_a_refusal_is_kept():
    with pytest.raises(InvalidUri) as refusal:
        BitcoinUri.parse(f"bitcoin:{BIP_ADDRESS}")
    assert isinstance(refusal.value.__cause__, InvalidAddress)
    with pytest.raises(InvalidUri) as refusal:
        BitcoinUri.parse(f"bitcoin:{ADDRESS}?amount=1e3")
    assert isinstance(refusal.value.__cause__, InvalidAmount)


def test_a_payjoin_uri_is_written_as_it_was_read_with_pj_last():
    uri = BitcoinUri.parse(PAYJOIN)
    assert uri.amount == 666_666
    assert [key for key, _ in uri.params] == ["pjos", "pj"]
    assert (uri.get("pj") or "").startswith("HTTPS://PAYJO.IN/TXJCGKTKXLUUZ#EX1WKV8CEC-OH1Q")
    assert uri.serialize() == PAYJOIN


# BIP 321, "URIs": what QR codes hold, with a valid address of BIP 173 in the body.
SEGWIT_URI = (
    "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    "?bc=bc1p5swkugezn97763tl0yty6556856uug0q6jflljvep9m4p7339x5qzyrh4q"
)


@pytest.mark.parametrize("text", [SEGWIT_URI, SEGWIT_URI.upper()])
def test_scheme_address_and_keys_may_be_in_upper_case(text):
    uri = BitcoinUri.parse(text)
    assert str(uri.address) == "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    found = uri.get("bc")
    assert found is not None
    assert found.lower() == "bc1p5swkugezn97763tl0yty6556856uug0q6jflljvep9m4p7339x5qzyrh4q"


def test_all_parameters_of_one_name_are_found_in_order_and_keys_keep_their_case():
    text = f"bitcoin:{ADDRESS}?PJ=one&x=&pj=two"
    uri = BitcoinUri.parse(text)
    assert uri.all("pj") == ("one", "two")
    assert uri.get("Pj") == "one"
    assert uri.get("x") == ""
    assert uri.get("y") is None
    assert uri.serialize() == text


def test_the_names_of_own_parameters_may_be_in_any_case():
    uri = BitcoinUri.parse(f"bitcoin:{ADDRESS}?AMOUNT=1&Label=a&mEssage=b")
    assert (uri.amount, uri.label, uri.message) == (100_000_000, "a", "b")


def test_a_foreign_letter_never_turns_into_one_of_a_known_key():
    uri = BitcoinUri.parse(f"bitcoin:{ADDRESS}?%E2%84%AAey=1")
    assert uri.get("key") is None
    assert uri.get("\N{KELVIN SIGN}ey") == "1"


def test_empty_parts_and_a_missing_value_are_let_through():
    uri = BitcoinUri.parse(f"bitcoin:{ADDRESS}?&&flag&")
    assert uri.params == (("flag", ""),)
    assert BitcoinUri.parse(f"bitcoin:{ADDRESS}?").params == ()


def test_required_parameters_are_listed_for_whoever_understands_them():
    text = f"bitcoin:{ADDRESS}?req-somethingyoudontunderstand=50&REQ-pj=https://example.com"
    assert BitcoinUri.parse(text).unknown_required == ("req-somethingyoudontunderstand", "req-pj")


def test_values_are_decoded_once_and_a_plus_stays_a_plus():
    uri = BitcoinUri.parse(f"bitcoin:{ADDRESS}?label=a%2520b&message=a+b&pj=https://e.x/?a=b%26c")
    assert uri.label == "a%20b"
    assert uri.message == "a+b"
    assert uri.get("pj") == "https://e.x/?a=b&c"
    assert BitcoinUri.parse(uri.serialize()) == uri


def test_whatever_could_end_a_value_is_encoded():
    uri = BitcoinUri(Address.parse(ADDRESS), label="a&b=c#d+e'\"<\N{SNOWMAN}>%")
    text = uri.serialize()
    assert text.endswith("label=a%26b%3Dc%23d%2Be%27%22%3C%E2%98%83%3E%25")
    assert BitcoinUri.parse(text) == uri


def test_a_uri_with_everything_comes_back_the_same():
    uri = BitcoinUri(
        Address.parse(ADDRESS), Sats(0), "", "thanks", (("pjos", "0"), ("pj", "https://e.x/#EX1"))
    )
    assert BitcoinUri.parse(uri.serialize()) == uri


@pytest.mark.parametrize("params", [(("amount", "1"),), (("LABEL", "x"),), (("", "x"),)])
def test_own_parameters_are_not_smuggled_in_among_the_others(params):
    with pytest.raises(InvalidUri):
        BitcoinUri(Address.parse(ADDRESS), params=params)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_text_that_cannot_be_encoded_is_refused(text):
    with pytest.raises(InvalidUri):
        BitcoinUri(Address.parse(ADDRESS), label=text)


def test_a_uri_shows_nothing_of_itself_in_a_repr():
    assert repr(BitcoinUri.parse(PAYJOIN)) == "<BitcoinUri>"


@pytest.mark.parametrize(
    "text",
    [
        f"bitcoin://{ADDRESS}?amount=0.1",
        f"BITCOIN://{ADDRESS}/?amount=0.1",
        f"bitcoin:{ADDRESS}/?amount=0.1",
        f"  bitcoin:{ADDRESS}?amount=0.1\r\n",
        f"\t\u00a0bitcoin:{ADDRESS}?amount=0.1 ",
    ],
)
def test_slashes_and_blanks_that_change_nothing_are_let_pass(text):
    assert BitcoinUri.parse(text) == BitcoinUri.parse(f"bitcoin:{ADDRESS}?amount=0.1")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ADDRESS, "does not begin with bitcoin:"),
        (f"lightning:{ADDRESS}", "does not begin with bitcoin:"),
        (f"bitcoin:{ADDRESS}?pj=https://e.x/#EX1", "needs %23"),
        (f"bitcoin:{ADDRESS}?label=Luke Jr", "plain characters"),
    ],
)
def test_what_is_wrong_is_named(text, sentence):
    with pytest.raises(InvalidUri, match=sentence):
        BitcoinUri.parse(text)


REGTEST = "bitcoin:bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


@pytest.mark.parametrize("query", ["", "?req-pj=https://example.org", "?unknown=1"])
def test_the_payee_is_the_address_of_the_payers_network(query):
    uri = BitcoinUri.parse(REGTEST + query)
    assert uri.payee(Network.REGTEST) == uri.address
    with pytest.raises(UsageError, match="not for mainnet"):
        uri.payee(Network.MAINNET)


def test_a_uri_that_nobody_here_may_pay_has_no_payee():
    with pytest.raises(UsageError, match="requires a feature"):
        BitcoinUri.parse(f"{REGTEST}?req-else=1").payee(Network.REGTEST)
    with pytest.raises(UsageError, match="no address"):
        BitcoinUri(None, params=(("lightning", "x"),)).payee(Network.REGTEST)


@pytest.mark.parametrize(
    ("asked", "given", "due"),
    [(Sats(5), None, 5), (Sats(5), Sats(5), 5), (None, Sats(7), 7)],
)
def test_the_amount_due_is_the_uris_or_else_the_payers(asked, given, due):
    assert amount_due(asked, given) == due


@pytest.mark.parametrize(
    ("asked", "given", "sentence"),
    [
        (None, None, "names no amount"),
        (None, Sats(0), "names no amount"),
        (Sats(0), None, "asks for 0 sats"),
        (Sats(0), Sats(5), "asks for 0 sats"),
        (Sats(50_000), Sats(5), "already asks for 50,000 sats"),
    ],
)
def test_an_amount_that_is_missing_or_differs_is_refused(asked, given, sentence):
    with pytest.raises(UsageError, match=sentence):
        amount_due(asked, given)
