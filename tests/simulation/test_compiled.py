"""Where compiled loops are kept."""

import pytest
from numba.core import caching

from simulation.compiled import compiled


def double(number: int) -> int:
    return 2 * number


def test_a_loop_runs_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled(double)(21) == 42
