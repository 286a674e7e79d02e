"""Payjoin URIs that confuse: each is an honest one with something in it."""

import re
from collections.abc import Callable

Spoil = Callable[[str], str]

MAINNET = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
THIEFS_KEY = "RK1QFUMUEN7L8WTHTZ45P3FTN58PVRS9XLUMVKUU2XET8EGZKCKLQTES"


def pj(url: str) -> Spoil:
    """The same URI, to another payjoin address."""
    return lambda link: f"{link.partition('&pj=')[0]}&pj={url}"


def adds(text: str) -> Spoil:
    return lambda link: link.replace("&pj=", f"&{text}&pj=")


def changes(pattern: str, new: str) -> Spoil:
    return lambda link: re.sub(pattern, new, link)


def amount(text: str) -> Spoil:
    return changes("amount=[^&]*", f"amount={text}")


LINKS: dict[str, Spoil] = {
    "names_two_receivers": adds("pj=https://evil.example/"),
    "names_another_in_capitals": adds("PJ=https://evil.example/"),
    "demands_another": adds("req-pj=https://evil.example/"),
    "has_a_name_before_the_host": pj("https://shop.example@evil.example/pj"),
    "has_credentials": pj("https://user:password@evil.example/pj"),
    "has_a_backslash": pj("https://evil.example%5C.shop.example/pj"),
    "has_a_foreign_letter": pj("https://sh%D0%BEp.example/pj"),
    "has_an_invisible_letter": lambda link: link.replace("&pj=", "&\u200bpj="),
    "paints_the_terminal": lambda link: f"{link}\x1b[2J\x07",
    "breaks_the_line": lambda link: f"{link}\nrm -rf x",
    "is_not_encrypted": pj("http://shop.example/pj"),
    "looks_like_this_machine": pj("http://127.0.0.1.evil.example/pj"),
    "looks_like_an_onion": pj("http://shop.onion.evil.example/pj"),
    "means_a_private_address": pj("http://192.168.1.1/apply.cgi"),
    "means_this_machine_in_another_spelling": pj("http://0x7f.1/"),
    "is_no_web_address": pj("file:///etc/passwd"),
    "has_a_port_beyond_all_ports": pj("https://shop.example:99999/"),
    "has_lost_its_keys": changes("%23.*", ""),
    "has_lost_one_key": changes("-RK1.*", ""),
    "has_another_key": changes("RK1[A-Z0-9]*", THIEFS_KEY),
    "has_a_key_off_the_curve": changes("RK1[A-Z0-9]*", "RK1" + "Q" * 53),
    "has_a_parameter_twice": changes("%23EX1", "%23EX1QQQQQQQ-EX1"),
    "has_a_parameter_without_end": lambda link: link + "Q" * 100_000,
    "mixes_its_separators": changes("-OH1", "%2BOH1"),
    "expired_in_1970": changes("EX1[A-Z0-9]*", "EX1QQQQQQQ"),
    "pays_on_another_network": changes("bitcoin:[^?]*", f"bitcoin:{MAINNET}"),
    "asks_for_more_than_there_is": amount("21000001"),
    "writes_an_amount_like_a_programmer": amount("5e-4"),
    "asks_for_a_gift": amount("-1"),
    "asks_for_half_a_satoshi": amount("0.000000005"),
    "writes_foreign_digits": amount("%EF%BC%95"),
    "asks_for_nothing": amount("0"),
    "asks_for_two_amounts": adds("AMOUNT=5"),
    "is_of_an_older_draft": pj("https://payjo.in/AzzKI8EZJ3WF14dwBZLGyRX5FJ-s84oNwmviJE-T3vj-"),
    "has_its_keys_beside_it": adds("ohttp=AQAgbLIT3-hgHP5dAGB574bdCyTeJvJR4n7hLJ4B8dxgYDMABAABAAM"),
    "names_a_directory_alone": pj("https://payjo.in/pay"),
    "hides_what_it_means": pj("https://shop.example/pay%23XX1QQ"),
    "requires_the_unknown": adds("req-refund=1"),
    "is_undecided_about_substitution": adds("pjos=2"),
    "says_both_about_substitution": adds("pjos=0&pjos=1"),
}
