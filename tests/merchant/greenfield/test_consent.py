"""What software asks for when it sends a person to `/api-keys/authorize`."""

from urllib.parse import urlencode
from uuid import UUID

import pytest

from dovetail.merchant.api.problems import Refused
from dovetail.merchant.greenfield.access import PERMISSIONS
from dovetail.merchant.greenfield.consent import (
    NO_PERMISSION,
    NO_STORE,
    UNSAFE,
    consent_of,
    permissions_for,
)
from dovetail.merchant.messages import Scope

SEES = "btcpay.store.canviewinvoices"
MAKES = "btcpay.store.cancreateinvoice"
STORE = UUID(int=7)


def asked(*permissions: str, **more: str):
    pairs = [*(("permissions", each) for each in permissions), *more.items()]
    return consent_of(urlencode(pairs).encode())


def test_permissions_are_scopes_in_the_order_in_which_they_are_asked_for() -> None:
    found = asked(MAKES, SEES, MAKES, applicationName="Tea Press")
    assert (found.application, found.scopes) == (
        "Tea Press",
        (Scope.INVOICES_CREATE, Scope.INVOICES_READ),
    )
    assert (found.strict, found.one_store, found.redirect, found.unknown) == (
        True,
        False,
        None,
        (),
    )


def test_each_permission_has_its_scope_and_back() -> None:
    assert asked(*PERMISSIONS.values()).scopes == tuple(PERMISSIONS)
    assert permissions_for((Scope.INVOICES_CREATE,), None) == (MAKES,)
    assert permissions_for((Scope.INVOICES_READ,), STORE) == (f"{SEES}:{STORE}",)


def test_what_is_unknown_is_kept_apart() -> None:
    found = asked("btcpay.server.canmodifyserversettings", SEES, "unrestricted", "a\x00b")
    assert found.scopes == (Scope.INVOICES_READ,)
    assert found.unknown == (
        "btcpay.server.canmodifyserversettings",
        "unrestricted",
        "a\N{REPLACEMENT CHARACTER}b",
    )


def test_stores_that_are_named_are_the_only_ones() -> None:
    assert asked(f"{SEES}:{STORE}", MAKES).store_ids == {STORE}
    with pytest.raises(Refused, match=NO_STORE):
        asked(f"{SEES}:HMprBnL9BTXWuPvpoKBS6e")


@pytest.mark.parametrize(
    ("more", "strict", "one_store"),
    [
        ({"strict": "true", "selectiveStores": "true"}, True, True),
        ({"strict": "False", "selectiveStores": "True"}, False, True),
        ({"strict": "", "selectiveStores": ""}, True, False),
        ({"strict": "maybe", "selectiveStores": "1"}, False, False),
    ],
)
def test_what_may_be_chosen_is_asked_for_too(more, strict, one_store) -> None:
    found = asked(SEES, **more)
    assert (found.strict, found.one_store) == (strict, one_store)


@pytest.mark.parametrize("names", [(), ("unrestricted",), ("",), ("btcpay.store",)])
def test_software_that_asks_for_nothing_that_is_here_is_refused(names) -> None:
    with pytest.raises(Refused, match=NO_PERMISSION):
        asked(*names)


@pytest.mark.parametrize(
    "redirect",
    [
        "http://shop.example/back",
        "javascript:alert(1)",
        "//shop.example",
        "/x",
        "https://a/" + "x" * 2_000,
    ],
)
def test_a_key_is_sent_to_no_address_that_is_not_safe(redirect) -> None:
    with pytest.raises(Refused, match=UNSAFE):
        asked(SEES, redirect=redirect)


def test_an_address_keeps_its_query() -> None:
    found = asked(SEES, redirect="https://shop.example:8443/back?state=7&x=%20")
    assert found.redirect == "https://shop.example:8443/back?state=7&x=%20"
    assert found.origin == "https://shop.example:8443"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("", "Shop software"),
        ("\r\n\x1b", "Shop software"),
        ("  Tea\nPress ", "TeaPress"),
        ("x" * 101, "x" * 100),
    ],
)
def test_a_name_is_one_short_line(given, name) -> None:
    assert asked(SEES, applicationName=given).application == name


def test_a_query_that_no_form_sends_is_refused() -> None:
    for query in (b"permissions=\xff", b"&".join([b"permissions=a"] * 200)):
        with pytest.raises(Refused, match="query"):
            consent_of(query)
