"""A run whose hits follow the app's rules agrees with its prediction; one that was tampered with does not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.prediction.check import check


def test_a_run_by_the_rules_agrees(quick_run: Path) -> None:
    found = check(quick_run)
    assert len(found.trials) == 10
    assert not found.left_out
    assert found.agrees
    for trial in found.trials:
        assert trial.predicted_hit_ratio == pytest.approx(trial.hit_ratio, abs=0.005)
        assert trial.mean_ms is not None
        assert trial.predicted_mean_ms == pytest.approx(trial.mean_ms, rel=0.05)


def test_hits_that_no_rule_explains_are_told(quick_run: Path, tmp_path: Path) -> None:
    """Every twentieth miss is passed off as a hit: about two points of all requests."""
    run = tmp_path / "run"
    shutil.copytree(quick_run, run)
    path = run / "trials" / "b02-sidecar" / "requests.parquet"
    rows = pd.read_parquet(path)
    missed = rows.index[rows["outcome"] == "miss"][::12]
    rows["outcome"] = rows["outcome"].astype(str)
    rows.loc[missed, "outcome"] = "hit"
    rows.to_parquet(path, index=False)
    found = {trial.trial: trial for trial in check(run).trials}
    assert found["b02-sidecar"].hit_ratio > found["b02-sidecar"].predicted_hit_ratio + 0.01
    assert not found["b02-sidecar"].agrees
    assert found["b01-sidecar"].agrees


def test_what_is_not_simulated_is_named(made_up: Any) -> None:
    run = made_up(topology=["sidecar", "none"], schedule={"warmup": 1, "duration": 3, "blocks": 2})
    found = check(run)
    assert [trial.variant for trial in found.trials] == ["sidecar", "sidecar"]
    assert any("none" in reason for reason in found.left_out)
