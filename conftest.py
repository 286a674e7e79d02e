"""The Python in README and docs runs, each page in one namespace from top to bottom."""

import logging
from collections.abc import Iterator

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()], patterns=["README.md", "docs/**/*.md", "docs/*.md"]
).pytest()


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """What a command that runs within a test makes of the log ends with that test."""
    logger = logging.getLogger("dovetail")
    level, handlers, propagate = logger.level, list(logger.handlers), logger.propagate
    yield
    logger.setLevel(level)
    logger.handlers, logger.propagate = handlers, propagate
