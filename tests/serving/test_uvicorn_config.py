import pytest

from dovetail import open_files
from dovetail.serving.uvicorn_config import affordable, allow_many_files


@pytest.mark.parametrize(
    ("files", "beside", "connections"),
    [
        (None, 0, 10_000),
        (20_000, 0, 10_000),
        (8_000, 0, 7_744),
        (8_000, 2_624, 5_120),
        (8_000, 100_000, 4_000),  # never less than half
        (1, 0, 1),
    ],
)
def test_connections_are_let_in_as_files_allow(
    monkeypatch: pytest.MonkeyPatch, files: int | None, beside: int, connections: int
):
    monkeypatch.setattr(open_files, "current_limit", lambda: files)
    assert affordable(10_000, beside=beside) == connections


@pytest.mark.parametrize(
    ("files", "told"),
    [(20_000, []), (None, []), (1_000, ["Only 744 connections are accepted at once"])],
)
def test_an_operator_is_told_of_too_few_files(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    files: int | None,
    told: list[str],
):
    monkeypatch.setattr(open_files, "raise_limit", lambda: files)
    monkeypatch.setattr(open_files, "current_limit", lambda: files)
    allow_many_files(10_000)
    assert [message.split(":")[0] for message in caplog.messages] == told
