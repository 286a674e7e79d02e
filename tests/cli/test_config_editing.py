"""A configuration file is changed in the keys that are meant, and in nothing else."""

import tomllib
from typing import Any

import pytest

from dovetail.cli.config import template
from dovetail.cli.config.editing import edited
from dovetail.errors import ConfigurationError

TOP: dict[str, Any] = {"network": "signet", "relays": ["https://a.example", "https://b.example"]}


def changed(text: str, inside: dict[str, Any] | None = None, /, **values: Any) -> str:
    return edited(text, values, table="merchant", inside=inside or {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only words\n",
        'network = "regtest"\n',
        'relays = [\n  "https://old.example", # mine\n  # [not a table]\n]\ndepth = 3\n',
        "[mailroom]\nmax_bytes = 5\n",
        "[merchant]\n[mailroom]\nnetwork = 5\n",
        '"network" = "regtest"\n[ merchant ] # mine\ndrain = 5\n[mailroom]\ndrain = 6\n',
        "depth = 3",
    ],
)
def test_the_values_hold_and_all_others_stay(text: str) -> None:
    before = tomllib.loads(text)
    told = tomllib.loads(changed(text, {"cold": "wpkh(x)", "drain": None}, **TOP))
    inside = {key: each for key, each in before.get("merchant", {}).items() if key != "drain"}
    assert told == before | TOP | {"merchant": inside | {"cold": "wpkh(x)"}}


def test_comments_and_order_stay() -> None:
    text = '# first\nnetwork = "regtest" # which\n\n# last\ndepth = 3\n\n[merchant]\n# mine\n'
    assert changed(text, {"cold": "x"}, network="signet") == (
        '# first\nnetwork = "signet"\n\n# last\ndepth = 3\n\n[merchant]\n# mine\ncold = "x"\n'
    )


def test_a_key_that_is_commented_out_is_put_into_force_where_it_stands() -> None:
    told = changed(template({}), {}, **TOP)
    assert "#network =" not in told
    before, _, after = told.partition('network = "signet"')
    assert "regtest. A new wallet needs one by name." in before
    assert "The kind of wallet" in after


def test_no_value_removes_a_key_and_leaves_its_comment() -> None:
    assert changed("[merchant]\n# why\ncold = 'x'\n", {"cold": None}) == "[merchant]\n# why\n"
    assert changed("#cold = 'x'\n[merchant]\n", {"cold": None}) == "#cold = 'x'\n[merchant]\n"


def test_a_value_with_every_letter_is_read_back() -> None:
    value = 'a"b\\c\tümlaut'
    assert tomllib.loads(changed("", {"cold": value}))["merchant"]["cold"] == value


@pytest.mark.parametrize(
    "text", ["merchant = { cold = 'x' }\n", "merchant.cold = 'x'\n", '"ne\\u0074work" = "x"\n']
)
def test_a_file_that_cannot_be_followed_is_left_to_its_owner(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"set `network`, `merchant\.cold` in it by hand"):
        changed(text, {"cold": "y"}, network="signet")
