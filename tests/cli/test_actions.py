"""What the library names as an action or a parameter, the command line names as its own."""

import pytest
from tools.docs.commands import walk

from dovetail.actions import Action
from dovetail.cli.actions import OPTIONS, about, commands, error_words, sentence
from dovetail.cli.app import ENTRIES, app
from dovetail.cli.hints import repeating
from dovetail.errors import DuplicateSession, UsageError


@pytest.mark.parametrize("action", Action)
def test_each_action_is_a_command_that_is_there(action: Action):
    (command,) = commands({action}, 3)
    assert command.split()[0] in ENTRIES


def test_actions_are_told_in_their_order_with_the_options_of_this_command_line():
    with repeating(("--data-dir", "shop", "show", "3")):
        assert sentence({Action.RELEASE, Action.FALLBACK}, 3) == (
            "`dovetail --data-dir shop fallback 3` makes the ordinary payment,"
            " `dovetail --data-dir shop release 3` declines it."
        )


def test_nothing_to_do_is_no_sentence():
    assert sentence((), 3) == ""


def options() -> set[str]:
    return {
        option
        for _, command in walk(app, ("dovetail",))
        for parameter in command.params
        for option in parameter.opts
    }


@pytest.mark.parametrize(("parameter", "option"), OPTIONS.items())
def test_each_parameter_is_an_option_that_is_there(parameter: str, option: str):
    assert option in options()
    error = UsageError(f"Choose another `{parameter}`, and see `tor`.")
    assert error_words(error) == f"Choose another `{option}`, and see `tor`."


def test_an_error_tells_its_actions_as_commands_for_the_session_it_is_about():
    error = DuplicateSession("Session 7 pays it.", actions=(Action.SHOW,), session=7)
    assert error_words(error, 3) == "Session 7 pays it. `dovetail show 7` shows it."
    unknown = UsageError("It waits.", actions=(Action.RELEASE, Action.LIST))
    assert error_words(unknown) == "It waits. `dovetail history` lists the sessions."
    with pytest.raises(UsageError) as raised, about(3):
        raise unknown
    assert error_words(raised.value).endswith("sessions, `dovetail release 3` declines it.")
    with pytest.raises(DuplicateSession), about(3):
        raise error
    assert error.session == 7
