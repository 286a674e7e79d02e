"""Payjoin URIs that confuse: each is an honest one with something in it."""

import re
from collections.abc import Callable

from tests.hostile.payment import Ends
from tests.hostile.record import Link, Peer

from dovetail.protocol.uri import OLDER_DRAFT

Spoil = Callable[[str], str]

MAINNET = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
BIP77, BIP78, BIP321 = "BIP 77, Payjoin URI", "BIP 78, BIP21 payjoin parameters", "BIP 321"
NOT_A_URL = "The payjoin address is not an http or https URL; ask for another one."
NOT_HIDDEN = "The payjoin address is not encrypted; ask for one that uses https."
NOT_PLAIN = "The text is not a bitcoin: URI in plain characters; copy it again."
NOT_IN_PLAINTEXT = "P4: nothing leaves in plaintext where encryption was meant"
TWICE = "The URI has a payjoin parameter twice; ask for another one."
BAD_AMOUNT = (
    "The URI's amount is no plain number of bitcoins, from 0 to 21 million with at most 8 decimals;"
    " ask for another one."
)
EXPIRED = "EX1" + "Q" * 7


def pj(url: str) -> Spoil:
    """The same URI, to another payjoin address."""
    return lambda link: f"{link.partition('&pj=')[0]}&pj={url}"


def adds(text: str) -> Spoil:
    return lambda link: link.replace("&pj=", f"&{text}&pj=")


def amount(text: str) -> Spoil:
    return lambda link: re.sub("amount=[^&]*", f"amount={text}", link)


def fragment(pattern: str, new: str) -> Spoil:
    """Change the part behind the mailbox."""
    return lambda link: re.sub(pattern, new, link)


def another_address(link: str) -> str:
    return re.sub("bitcoin:[^?]*", f"bitcoin:{MAINNET}", link)


def another_key(link: str) -> str:
    """A receiver key of the thief's, in the URI to the receiver's mailbox."""
    generator = "RK1QFUMUEN7L8WTHTZ45P3FTN58PVRS9XLUMVKUU2XET8EGZKCKLQTESU5AE46"
    return re.sub("RK1[A-Z0-9]*", generator[:56], link)


def a_key_off_the_curve(link: str) -> str:
    return re.sub("RK1[A-Z0-9]*", "RK1" + "Q" * 53, link)


def link_of(name: str, trick: str, rule: str, told: str, spoil: Spoil) -> Link:
    return Link(
        peer=Peer.LINK,
        name=name,
        trick=trick,
        we="Refuses the URI.",
        rule=rule,
        told=told,
        ends=Ends.UNPAID,
        spoil=spoil,
    )


LINKS: tuple[Link, ...] = (
    link_of(
        "names two receivers",
        "Has `pj` twice: one for the eye, one for the wallet.",
        BIP78,
        TWICE,
        adds("pj=https://evil.example/"),
    ),
    link_of(
        "names another in capitals",
        "Has `pj` and `PJ`, as keys may be in any case.",
        BIP321,
        TWICE,
        adds("PJ=https://evil.example/"),
    ),
    link_of(
        "demands another",
        "Has `pj` and `req-pj`.",
        BIP321,
        TWICE,
        adds("req-pj=https://evil.example/"),
    ),
    link_of(
        "has a name before the host",
        "Writes `https://shop.example@evil.example/`, which leads to the second.",
        "An endpoint has no credentials",
        NOT_A_URL,
        pj("https://shop.example@evil.example/pj"),
    ),
    link_of(
        "has credentials",
        "Writes a user and a password into the address.",
        "An endpoint has no credentials",
        NOT_A_URL,
        pj("https://user:password@evil.example/pj"),
    ),
    link_of(
        "has a backslash",
        "Writes a backslash, which some take for a slash.",
        "RFC 3986",
        NOT_A_URL,
        pj("https://evil.example%5C.shop.example/pj"),
    ),
    link_of(
        "has a foreign letter",
        "Writes a Cyrillic letter that looks like a Latin one into the host.",
        "A host is ASCII; in punycode it shows what it is",
        NOT_A_URL,
        pj("https://sh%D0%BEp.example/pj"),
    ),
    link_of(
        "has an invisible letter",
        "Hides a zero-width space in the URI.",
        BIP321,
        NOT_PLAIN,
        lambda link: link.replace("&pj=", "&\u200bpj="),
    ),
    link_of(
        "paints the terminal",
        "Has escape sequences in it, to be pasted.",
        BIP321,
        NOT_PLAIN,
        lambda link: f"{link}\x1b[2J\x07",
    ),
    link_of(
        "breaks the line",
        "Has a second line, for a terminal to run when it is pasted.",
        BIP321,
        NOT_PLAIN,
        lambda link: f"{link}\nrm -rf x",
    ),
    link_of(
        "is not encrypted",
        "Names a server on plain http.",
        f"{BIP78}: https, or http to an onion address",
        NOT_HIDDEN,
        pj("http://shop.example/pj"),
    ),
    link_of(
        "looks like this machine",
        "Names `127.0.0.1.evil.example`, plain http being allowed to this machine.",
        f"{BIP78}: the whole host is compared",
        NOT_HIDDEN,
        pj("http://127.0.0.1.evil.example/pj"),
    ),
    link_of(
        "looks like an onion",
        "Names `shop.onion.evil.example`, plain http being allowed to onions.",
        f"{BIP78}: the whole host is compared",
        NOT_HIDDEN,
        pj("http://shop.onion.evil.example/pj"),
    ),
    link_of(
        "means a private address",
        "Names a router or a database in the payer's network by plain http.",
        f"{BIP78}: https, or http to an onion address",
        NOT_HIDDEN,
        pj("http://192.168.1.1/apply.cgi"),
    ),
    link_of(
        "means this machine in another spelling",
        "Names this machine as `0x7f.1`, `127.1` or by a number.",
        f"{BIP78}: only the usual spellings are local",
        NOT_HIDDEN,
        pj("http://0x7f.1/"),
    ),
    link_of(
        "is no web address",
        "Names a file.",
        BIP78,
        NOT_A_URL,
        pj("file:///etc/passwd"),
    ),
    link_of(
        "has a port beyond all ports",
        "Names port 99999.",
        BIP78,
        "The payjoin address has no valid port; ask for another one.",
        pj("https://shop.example:99999/"),
    ),
    link_of(
        "has lost its keys",
        "Keeps the mailbox and drops the keys, for the Original to go there in plaintext.",
        BIP77,
        "The URI lacks a payjoin parameter; copy all of it, to the end.",
        fragment("%23.*", ""),
    ),
    link_of(
        "has lost one key",
        "Drops the receiver key alone.",
        BIP77,
        "The URI lacks a payjoin parameter; copy all of it, to the end.",
        fragment("-RK1.*", ""),
    ),
    link_of(
        "has another key",
        "Puts a thief's receiver key into the URI to the receiver's mailbox.",
        f"{BIP77}: the mailbox's name is the hash of the key",
        "The URI's mailbox does not match its key; ask for another one.",
        another_key,
    ),
    link_of(
        "has a key off the curve",
        "Has a receiver key that is no point of the curve.",
        BIP77,
        "A key in the URI is not a valid payjoin key; ask for another one.",
        a_key_off_the_curve,
    ),
    link_of(
        "has a parameter twice",
        "Has two expirations.",
        BIP77,
        "A payjoin parameter occurs twice; ask for another URI.",
        fragment("%23EX1", "%23EX1QQQQQQQ-EX1"),
    ),
    link_of(
        "has a parameter without end",
        "Has a key of a hundred thousand letters, to keep the processor busy.",
        BIP77,
        "A payjoin parameter has a wrong length; copy the URI again.",
        lambda link: link + "Q" * 100_000,
    ),
    link_of(
        "mixes its separators",
        "Separates the parameters by `+` and by `-`.",
        BIP77,
        "The payjoin parameters are misspelled; copy the URI again.",
        fragment("-OH1", "%2BOH1"),
    ),
    link_of(
        "expired in 1970",
        "Has an expiration of long ago.",
        BIP77,
        "ask the receiver for a new one.",
        fragment("EX1[A-Z0-9]*", EXPIRED),
    ),
    link_of(
        "pays on another network",
        "Has an address of another network.",
        "The wallet's network is the URI's",
        "The URI is not for regtest, which this wallet is on: ask the receiver for one that is, or"
        " choose another wallet with `--network`.",
        another_address,
    ),
    link_of(
        "asks for more than there is",
        "Asks for 21 million bitcoins and one.",
        BIP321,
        BAD_AMOUNT,
        amount("21000001"),
    ),
    link_of(
        "writes an amount like a programmer",
        "Asks for `5e-4` bitcoins.",
        BIP321,
        BAD_AMOUNT,
        amount("5e-4"),
    ),
    link_of("asks for a gift", "Asks for less than nothing.", BIP321, BAD_AMOUNT, amount("-1")),
    link_of(
        "asks for half a satoshi",
        "Asks for more decimals than there are.",
        BIP321,
        BAD_AMOUNT,
        amount("0.000000005"),
    ),
    link_of(
        "writes foreign digits",
        "Asks for an amount in full-width digits.",
        BIP321,
        BAD_AMOUNT,
        amount("%EF%BC%95"),
    ),
    link_of(
        "asks for nothing",
        "Asks for 0 bitcoins.",
        BIP321,
        "The URI asks for 0 sats: ask the receiver for another one.",
        amount("0"),
    ),
    link_of(
        "asks for two amounts",
        "Has `amount` twice: one for the eye, one for the wallet.",
        BIP321,
        "The URI repeats a parameter or has one without a name; get another.",
        adds("AMOUNT=5"),
    ),
    link_of(
        "is of an older draft",
        "Has the mailbox's key in its path, as BIP 77's drafts had.",
        NOT_IN_PLAINTEXT,
        OLDER_DRAFT,
        pj("https://payjo.in/AzzKI8EZJ3WF14dwBZLGyRX5FJ-s84oNwmviJE-T3vj-"),
    ),
    link_of(
        "has its keys beside it",
        "Has the gateway's keys as `ohttp`, beside a `pj` that is a plain URL.",
        NOT_IN_PLAINTEXT,
        OLDER_DRAFT,
        adds("ohttp=AQAgbLIT3-hgHP5dAGB574bdCyTeJvJR4n7hLJ4B8dxgYDMABAABAAM"),
    ),
    link_of(
        "names a directory alone",
        "Leads to a directory of BIP 77, with nothing that could encrypt.",
        NOT_IN_PLAINTEXT,
        OLDER_DRAFT,
        pj("https://payjo.in/pay"),
    ),
    link_of(
        "hides what it means",
        "Has a fragment that nobody knows.",
        NOT_IN_PLAINTEXT,
        OLDER_DRAFT,
        pj("https://shop.example/pay%23XX1QQ"),
    ),
    link_of(
        "requires the unknown",
        "Requires what no wallet knows, to be paid by those who do not look.",
        f"{BIP321}: `req-`",
        "The URI requires a feature that Dovetail does not know; ask for another one.",
        adds("req-refund=1"),
    ),
    link_of(
        "is undecided about substitution",
        "Says `pjos=2`.",
        BIP78,
        "The URI's pjos is neither 0 nor 1; ask for another one.",
        adds("pjos=2"),
    ),
    link_of(
        "says both about substitution",
        "Says `pjos=0` and `pjos=1`.",
        BIP78,
        TWICE,
        adds("pjos=0&pjos=1"),
    ),
)
