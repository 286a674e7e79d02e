"""The page of the docs, which only a run in which everything passed may write."""

from tests.interop.matrix import PAIRINGS
from tests.interop.page import PAGE, page


def test_the_page_lists_the_matrix_as_it_is() -> None:
    assert PAGE.read_text() == page(PAIRINGS), "run `make interop INTEROP=--page`"


def test_no_two_pairings_are_alike() -> None:
    names = [
        (each.group, each.what, each.sender, each.receiver, each.directory, each.relay)
        for each in PAIRINGS
    ]
    assert len(set(names)) == len(names)
