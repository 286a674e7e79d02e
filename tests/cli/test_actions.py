import pytest

from dovetail.actions import Action
from dovetail.cli.actions import commands, sentences
from dovetail.cli.app import ENTRIES
from dovetail.cli.hints import repeating


@pytest.mark.parametrize("action", Action)
def test_each_action_is_a_command_that_is_there(action: Action):
    (command,) = commands({action}, 3)
    assert command.split()[0] in ENTRIES


def test_actions_are_told_in_their_order_with_the_options_of_this_command_line():
    with repeating(("--data-dir", "shop", "show", "3")):
        assert sentences({Action.RELEASE, Action.FALLBACK}, 3) == (
            "For the ordinary payment: `dovetail --data-dir shop fallback 3`."
            " To decline it: `dovetail --data-dir shop release 3`."
        )


def test_nothing_to_do_is_no_sentence():
    assert sentences((), 3) == ""
