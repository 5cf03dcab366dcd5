from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports import pilot
from reports.analysis import analyse


def test_the_spread_between_and_within_blocks_is_told_apart() -> None:
    random = np.random.default_rng(1)
    found = np.array([
        pilot.components(10 + random.normal(0, 3, (6, 1)) + np.array([0, 5]) + random.normal(0, 1, (6, 2)))
        for _ in range(2000)
    ])  # fmt: skip
    between, within = np.sqrt((found**2).mean(axis=0))
    assert between == pytest.approx(3, rel=0.05)
    assert within == pytest.approx(1, rel=0.05)


def test_a_run_says_how_many_blocks_its_margin_takes(quick_run: Path) -> None:
    spreads = {spread.metric: spread for spread in analyse(quick_run).spreads}
    assert set(spreads) == {"p50_ms", "p99_ms", "hit_ratio"}
    assert spreads["hit_ratio"].wanted == pytest.approx(0.01)
    assert spreads["hit_ratio"].sampling is None
    assert spreads["p50_ms"].sampling == pytest.approx(0.02, rel=0.5)
    for spread in spreads.values():
        assert spread.blocks_wanted is not None
        assert spread.blocks_wanted >= 2
