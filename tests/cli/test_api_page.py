from importlib import import_module
from itertools import pairwise

import pytest

from dovetail.cli import api_page


@pytest.mark.parametrize("module", api_page.PUBLIC)
def test_each_public_name_says_what_it_is(module):
    home = import_module(module)
    for name in api_page.PUBLIC[module].split() or home.__all__:
        assert f"### `{name}" in api_page.page()
        assert getattr(home, name) is not None


def test_signatures_are_short_and_name_no_modules():
    signature = "`receive(amount: Sats | int | None=None, *, label: str | None=None"
    assert signature in api_page.page()
    assert "### `FallbackBroadcasted(txid: str" in api_page.page()
    assert "LiveSender`: Begin to pay `uri`" in api_page.page()
    assert not [line for line in api_page.page().split("\n") if "<" in line and "<!--" not in line]


def test_each_entry_has_words():
    lines = [line for line in api_page.page().split("\n") if line]
    for line, following in pairwise(lines):
        assert not (line.startswith("### ") and following.startswith("#")), line


def test_what_is_raised_is_told():
    assert "Raises `StoreUnavailable` and `ConfigurationError`." in api_page.page()
