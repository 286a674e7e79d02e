"""The table `[merchant]`: every key has a field, a meaning, and an example that can be read."""

import tomllib
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest

from dovetail.cli import merchant_settings
from dovetail.cli.config.template import entry
from dovetail.cli.merchant_settings import KEYS, MerchantSettings, read
from dovetail.errors import ConfigurationError


def test_the_keys_are_the_fields_and_each_has_a_meaning() -> None:
    assert [key.name for key in KEYS] == [each.name for each in fields(MerchantSettings)]
    for key in KEYS:
        assert key.words.endswith(".")
        assert key.default_words


def test_what_a_new_file_shows_is_the_default_or_an_example_and_can_be_read() -> None:
    text = "".join(entry(key, {}) for key in KEYS)
    awake = "\n".join(line[1:] for line in text.splitlines() if line[1:2].isalpha())
    shown = tomllib.loads(awake)
    assert shown.keys() == {key.name for key in KEYS}
    known, usual = read(shown), MerchantSettings()
    for key in KEYS:
        if key.example is None:
            assert getattr(known, key.name) == getattr(usual, key.name), key.name


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("rates", "kraken", "must be a list"),
        ("rates_apart", 0, "a number of per cent, more than 0 and at most 50"),
        ("rates_apart", 51, "a number of per cent"),
        ("rates_apart", True, "a number of per cent"),
        ("rates_apart", "5", "a number of per cent"),
        ("metrics", "9100", "give a host and a port"),
        ("drain", "1h", "must be a duration"),
        ("private_webhooks", 1, "must be true or false"),
        ("cold", "", "must be text"),
        ("public_url", "pay.example", "must be a site's address"),
        ("public_url", "", "must be text"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_key(key: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"`merchant\.{key}`.*{words}"):
        read({key: value})


def test_per_cent_are_read_exactly() -> None:
    assert read({"rates_apart": 2.5}).rates_apart == Decimal("0.025")
    assert merchant_settings.read({}).rates_apart == Decimal("0.05")


def test_an_unknown_key_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match="no key `rate_sources`"):
        read({"rate_sources": []})
    with pytest.raises(ConfigurationError, match="no key `colt`: did you mean `cold`"):
        read({"colt": "x"})
