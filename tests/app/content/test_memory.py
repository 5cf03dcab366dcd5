"""What the process remembers lasts as long as it should, whatever happens to the clock."""

from __future__ import annotations

import time

import pytest

from app.content.memory import Memory
from app.store.envelope import Envelope

NOW_S = 1_800_000_000.0


def envelope(fresh_s: float) -> Envelope:
    return Envelope(200, NOW_S, NOW_S, NOW_S + fresh_s, b"", b"")


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: found[0])
    return found


def test_nothing_is_kept_longer_because_the_clock_was_set_back(ticks: list[float]) -> None:
    memory = Memory(1.0)
    memory.put(b"a", envelope(60), NOW_S)
    assert memory.get(b"a", NOW_S - 3600) is not None
    ticks[0] += 1
    assert memory.get(b"a", NOW_S - 3600) is None


def test_nothing_is_kept_longer_than_it_is_fresh(ticks: list[float]) -> None:
    memory = Memory(60.0)
    memory.put(b"a", envelope(1), NOW_S)
    ticks[0] += 1
    assert memory.get(b"a", NOW_S - 3600) is None
    memory.put(b"a", envelope(1), NOW_S)
    assert memory.get(b"a", NOW_S + 1) is None
