"""Any bytes as an export: what comes in replays, and all else is refused by name."""

import io
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.eventlogs.logs import NAMES
from tests.stores.kept_logs import keep

from dovetail.errors import DovetailError
from dovetail.stores.integrity import load_session
from dovetail.stores.memory import MemoryStore
from dovetail.stores.transfer import every_session, export_sessions, import_sessions

pytestmark = pytest.mark.property


def export(name: str) -> bytes:
    there = MemoryStore()
    keep(there, name)
    return b"".join(export_sessions(there, every_session(there), secrets=True))


FILES = [export(name) for name in NAMES]


def take_in(parts: Iterable[bytes]) -> None:
    here = MemoryStore()
    try:
        for _ in import_sessions(here, io.BytesIO(b"".join(parts))):
            pass
    except DovetailError:
        pass
    for session_id in every_session(here):
        assert load_session(here, session_id).seq == here.row(session_id).next_seq


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(FILES), st.data())
def test_a_changed_export_comes_in_whole_or_not_at_all(file: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(file)))
    end = data.draw(st.integers(start, min(len(file), start + 40)))
    take_in([file[:start], data.draw(st.binary(max_size=8)), file[end:]])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_after_the_header_are_refused_by_name(junk: bytes) -> None:
    take_in([b'{"dovetail_sessions":1,"count":1,"secrets":true}\n', junk])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_refused_by_name(junk: bytes) -> None:
    take_in([junk])
