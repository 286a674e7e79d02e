"""The Python in README and docs runs, each page in one namespace from top to bottom."""

import logging
from collections.abc import Iterator

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()], patterns=["README.md", "docs/**/*.md", "docs/*.md"]
).pytest()


_LOG = logging.getLogger("dovetail")
_AS_IT_WAS = (_LOG.level, tuple(_LOG.handlers), _LOG.propagate)


def _reset() -> None:
    level, handlers, _LOG.propagate = _AS_IT_WAS
    _LOG.setLevel(level)
    _LOG.handlers = list(handlers)


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """What a command makes of the log ends with its test, or with the fixture that it ran for."""
    _reset()
    yield
    _reset()
