from __future__ import annotations

from pathlib import Path

import pytest

from reports import attribution
from reports.analysis import analyse
from reports.attribution import HOP, LAG, MIX, REST


def test_the_parts_add_up_to_the_whole(quick_run: Path) -> None:
    analysis = analyse(quick_run)
    found = analysis.attributions[0]
    assert sum(part.value for part in found.parts.values()) == pytest.approx(found.total.value)
    mean = analysis.compared[0].of("mean_ms")
    assert mean is not None
    assert found.total.value == pytest.approx(mean.difference, abs=2e-3)


def test_what_was_put_in_is_found_in_its_place(quick_run: Path) -> None:
    parts = analyse(quick_run).attributions[0].parts
    # Hops of 0.30 against 0.03 ms, about 1.3 commands a request.
    assert parts[HOP].value == pytest.approx(0.27 * 1.3, rel=0.1)
    assert parts[MIX].value < -1
    assert abs(parts[LAG].value) < 0.01
    assert abs(parts[REST].value) < 0.2


def test_a_trial_against_itself_differs_in_nothing(quick_run: Path) -> None:
    trial = analyse(quick_run).measures[0]
    assert set(attribution.split(trial, trial).values()) == {0.0}
