from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports import stored
from reports.fills import explain, shared_calls


def rows(requests: Sequence[tuple[float, float, str, int, int]]) -> pd.DataFrame:
    """Make rows of (sent s, end s, outcome, key, replica)."""
    sent, end, outcome, key, replica = zip(*requests, strict=True)
    return pd.DataFrame({
        "sent_us": [int(at * 1e6) for at in sent], "end_us": [int(at * 1e6) for at in end],
        "outcome": outcome, "key": key, "replica": replica,
    })  # fmt: skip


@pytest.fixture
def sidecar(scenario_of: Any) -> Any:
    return scenario_of(cache={"ttl": 3}).variants[0]


def test_each_miss_has_one_cause(sidecar: Any) -> None:
    found = explain(
        rows([
            (0.0, 0.2, "miss", 1, 0),  # cold
            (0.1, 0.3, "miss", 1, 0),  # while the first is under way
            (0.5, 0.7, "miss", 1, 1),  # cold at the other replica; a shared cache would have had it
            (1.0, 1.0, "hit", 1, 0),
            (2.0, 2.2, "miss", 1, 0),  # it should have been there
            (5.5, 5.7, "miss", 1, 0),  # the copy of 2.2 has expired, that of a shared cache too
        ]),
        sidecar, fill_s=0.2, joined=False,
    )  # fmt: skip
    assert (found.cold, found.concurrent, found.lost, found.expired) == (2, 1, 1, 1)
    assert found.calls == 5
    assert found.shared == 3
    assert found.spared == 2


def test_joined_misses_are_one_call_a_replica() -> None:
    three = rows([(0.0, 0.2, "miss", 1, 0), (0.05, 0.2, "delayed", 1, 0), (0.1, 0.3, "miss", 1, 1)])
    assert shared_calls(three, 3e6, 2e5, joined=True) == 2
    assert shared_calls(three, 3e6, 2e5, joined=False) == 3


def test_the_counterfactual_of_sidecars_is_what_the_separate_cache_did(quick_run: Path) -> None:
    """Both variants of a block meet the same requests, so the prediction can be held against the deed."""
    run = stored.read(quick_run)
    of = {(trial.record.block, trial.record.variant): trial for trial in run.trials}
    for block in range(1, 6):
        sidecar, separate = of[block, "sidecar"], of[block, "separate"]
        found = explain(sidecar.rows(), run.record.scenario.variant("sidecar"), 0.021, joined=False)
        assert found.shared == pytest.approx(separate.record.upstream.calls, rel=0.02)
        assert found.calls == sidecar.record.upstream.calls
        assert found.lost == 0


def test_one_replica_has_nothing_to_spare(made_up: Any) -> None:
    run = stored.read(made_up(replicas=1, schedule={"warmup": 0, "duration": 5, "blocks": 1}))
    trial = next(trial for trial in run.trials if trial.record.variant == "sidecar")
    found = explain(trial.rows(), run.record.scenario.variant("sidecar"), 0.021, joined=False)
    assert abs(found.spared) <= 0.01 * found.calls
