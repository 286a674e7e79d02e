import sys

import pytest
from tests.cli.in_process import Terminal

from dovetail.cli.output import Screen, countdown, sats, span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0s"), (59.9, "59s"), (61, "1m 01s"), (3660, "1h 01m"), (86_400, "24h 00m")],
)
def test_a_span_is_told_in_two_units(seconds, words):
    assert span(seconds) == words


def test_a_long_span_is_told_in_days():
    assert span(3 * 86_400 + 7200) == "3d 2h"


def test_a_countdown_goes_to_the_second():
    assert countdown(86_399.9) == "23:59:59"
    assert countdown(-1) == "0:00:00"


def test_amounts_are_told_in_satoshis():
    assert sats(1) == "1 sat"
    assert sats(50_000) == "50,000 sats"
    assert sats(None) == "any amount"


def test_results_and_talk_go_apart(capsys):
    screen = Screen()
    screen.say("talk", fg="red")
    screen.result("result")
    screen.emit({"key": "a meaning"}, {"key": 1})
    screen.tick("nobody sees this in a pipe")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("result\n", "talk\n")


def test_json_is_one_object_with_the_documented_keys(capsys):
    screen = Screen(as_json=True)
    screen.result("result")
    screen.emit({"key": "a meaning"}, {"key": 1, "other": 2})
    assert capsys.readouterr().out == '{"key": 1}\n'


def test_a_key_that_is_documented_must_be_there():
    with pytest.raises(KeyError):
        Screen(as_json=True).emit({"key": "a meaning"}, {})


def test_a_terminal_gets_a_line_that_is_written_over_and_colours(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    screen.tick("waiting")
    screen.say("done", bold=True)
    assert terminal.getvalue() == "\r\x1b[Kwaiting\r\x1b[K\x1b[1mdone\x1b[0m\n"


def test_no_color_is_honoured(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    Screen().say("done", bold=True)
    assert terminal.getvalue() == "done\n"
