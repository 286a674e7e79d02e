import sys

import pytest

from dovetail import open_files

resource = pytest.importorskip("resource")
ANY = resource.RLIM_INFINITY


class System:
    """Limits that are set and read, `most` being what it takes."""

    def __init__(self, soft: int, hard: int, most: int) -> None:
        self.limits, self.most = (soft, hard), most

    def get(self, _kind: int) -> tuple[int, int]:
        return self.limits

    def set(self, _kind: int, limits: tuple[int, int]) -> None:
        if limits[0] == ANY or limits[0] > self.most:
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


@pytest.mark.parametrize(
    ("soft", "hard", "most", "after"),
    [
        (1_024, 20_000, 20_000, 20_000),
        (20_000, 20_000, 20_000, 20_000),
        (256, ANY, 10_240, 10_240),  # macOS
        (12_000, ANY, 10_240, 12_000),
        (1_024, 20_000, 1_024, 1_024),  # a container that allows no change
        (ANY, ANY, 20_000, None),
    ],
)
def test_the_limit_is_raised_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, most: int, after: int | None
):
    system = System(soft, hard, most)
    monkeypatch.setattr(resource, "getrlimit", system.get)
    monkeypatch.setattr(resource, "setrlimit", system.set)
    assert open_files.raise_limit() == after
    assert system.limits[1] == hard


def test_windows_has_no_such_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert (open_files.raise_limit(), open_files.current_limit()) == (None, None)
