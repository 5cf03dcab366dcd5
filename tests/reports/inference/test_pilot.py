from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.analysis.run import analyse
from reports.inference import pilot
from reports.statistics import estimates


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


def test_the_length_of_trial_that_is_promised_makes_the_interval_that_is_wanted() -> None:
    """Simulated: requests leave 2.0 open in trials of 10 s, the machine 0.5 whatever their length."""
    random = np.random.default_rng(1)

    def half_widths(duration_s: float) -> np.ndarray[Any, Any]:
        sampling = 2.0 * np.sqrt(10 / duration_s)
        differences = random.normal(0, np.hypot(0.5, np.sqrt(2) * sampling), (20_000, 8))
        return np.array([estimates.half_width(1.0, 8)]) * differences.std(axis=1, ddof=1)

    spread = float(np.hypot(0.5, np.sqrt(2) * 2.0))
    length_s = pilot.duration_for(1.0, spread, 2.0, blocks=8, duration_s=10)
    assert 50 < length_s < 100
    assert np.sqrt((half_widths(length_s) ** 2).mean()) == pytest.approx(1.0, rel=0.02)


def test_where_the_machine_alone_scatters_too_much_no_length_will_do() -> None:
    assert pilot.duration_for(0.1, 1.0, 0.2, blocks=5, duration_s=10) == float("inf")
    assert pilot.duration_for(10.0, 1.0, 0.2, blocks=5, duration_s=10) < 10
