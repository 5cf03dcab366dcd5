from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ideal_cache
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.stored import runs
from reports.theory import Caches
from reports.trial.misses import Beginning, explain, shared_calls
from scenarios.model import Variant
from scenarios.tried import as_tried
from simulation.engine import Contents


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
    assert found.avoided == 2


def test_whatever_is_no_hit_has_a_cause_and_the_shares_are_of_what_was_measured(sidecar: Any) -> None:
    found = explain(
        rows([
            (0.0, 0.2, "miss", 1, 0),  # before the warm-up has ended
            (0.1, 0.2, "delayed", 1, 0),  # waited for the first
            (1.0, 1.0, "hit", 1, 0),
            (4.0, 4.0, "stale", 1, 0),  # answered from what had expired
            (4.5, 4.5, "bypass", 1, 0),  # Redis did not answer
        ]),
        sidecar, fill_s=0.2, joined=True, measured=np.array([False, True, True, True, True]),
    )  # fmt: skip
    assert found.cold == 1
    nothing = dict.fromkeys(("cold", "evicted", "unstored", "lost"), 0)
    assert found.shares == nothing | {"concurrent": 0.25, "expired": 0.25, "other": 0.25}


@pytest.mark.parametrize(("evicted", "shares"), [(0, (0, 0.5)), (1, (0.25, 0.25)), (9, (0.5, 0))])
def test_what_was_lost_is_split_by_what_redis_evicted(
    sidecar: Any, evicted: int, shares: tuple[float, float]
) -> None:
    asked = rows([(at, at + 0.1, "miss", 1, 0) for at in (0.0, 1.0, 2.0)] + [(2.5, 2.5, "hit", 1, 0)])
    assert explain(asked, sidecar, 0.1, joined=True).shares["lost"] == 0.5
    found = explain(asked, sidecar, 0.1, joined=True, evicted=evicted).shares
    assert (found["evicted"], found["unstored"], found["lost"]) == (*shares, 0)


def test_lifetimes_that_differ_lose_no_copy(scenario_of: Any) -> None:
    variant = scenario_of(cache={"ttl": 3, "ttl_jitter": 0.2}).variants[0]
    asked = rows([(0.0, 0.2, "miss", 1, 0), (2.7, 2.9, "miss", 1, 0)])
    assert explain(asked, variant, 0.2, joined=True).lost == 0


def test_replicas_with_a_lease_make_one_call_in_a_shared_cache(scenario_of: Any) -> None:
    variant = scenario_of(cache={"ttl": 3, "lease": True}).variants[0]
    three = rows([(0.0, 0.2, "miss", 1, 0), (0.05, 0.2, "delayed", 1, 0), (0.1, 0.3, "miss", 1, 1)])
    assert explain(three, variant, 0.2, joined=True).shared == 1


def test_joined_misses_are_one_call_a_replica() -> None:
    three = rows([(0.0, 0.2, "miss", 1, 0), (0.05, 0.2, "delayed", 1, 0), (0.1, 0.3, "miss", 1, 1)])
    assert shared_calls(three, 3e6, 2e5, joined=True) == 2
    assert shared_calls(three, 3e6, 2e5, joined=False) == 3


def test_the_counterfactual_of_sidecars_is_what_the_separate_cache_did(quick_run: Path) -> None:
    """Both variants of a block meet the same requests, so the prediction can be held against the deed."""
    run = runs.read(quick_run)
    of = {(trial.record.block, trial.record.variant): trial for trial in run.trials}
    for block in range(1, 6):
        sidecar, separate = of[block, "sidecar"], of[block, "separate"]
        found = explain(sidecar.rows(), run.record.scenario.variant("sidecar"), 0.021, joined=False)
        assert found.shared == pytest.approx(separate.record.upstream.calls, rel=0.02)
        assert found.calls == sidecar.record.upstream.calls
        assert found.lost == 0


def test_one_replica_has_nothing_to_spare(made_up: Any) -> None:
    run = runs.read(made_up(replicas=1, schedule={"warmup": 0, "duration": 5, "blocks": 1}))
    trial = next(trial for trial in run.trials if trial.record.variant == "sidecar")
    found = explain(trial.rows(), run.record.scenario.variant("sidecar"), 0.021, joined=False)
    assert abs(found.avoided) <= 0.01 * found.calls


def contents(*held: tuple[int, int, float]) -> Contents:
    """Make contents of (cache, key, expires s)."""
    caches, keys, expires = zip(*held, strict=True)
    return Contents(np.array(caches), np.array(keys), (np.array(expires) * 1e6).astype(np.int64))


def test_from_a_steady_start_a_copy_that_is_not_there_has_expired(sidecar: Any) -> None:
    began = Beginning("steady", contents((0, 1, 2.0), (0, 3, 2.5)), contents((0, 1, 2.0), (0, 3, 2.5)))
    found = explain(
        rows([
            (0.0, 0.2, "miss", 2, 0),  # not there: it had expired before
            (0.5, 0.7, "miss", 1, 1),  # nor here; one shared cache would have had it
            (1.0, 1.0, "hit", 1, 0),
            (1.5, 1.7, "miss", 3, 0),  # it should have been there until 2.5
            (2.1, 2.3, "miss", 1, 0),  # it was there until 2.0
        ]),
        sidecar, fill_s=0.2, joined=True, began=began,
    )  # fmt: skip
    assert (found.cold, found.expired, found.lost) == (0, 3, 1)
    assert found.shared == 2


def test_where_the_contents_are_not_known_a_hit_tells_of_them(scenario_of: Any) -> None:
    """A log's keys may never have been asked for before; those that are hit first were there."""
    log = {"workload": {"log": "access.log", "rate": 5}}
    asked = rows([
        (0.0, 0.2, "miss", 2, 0), (1.0, 1.0, "hit", 1, 0), (2.1, 2.3, "miss", 1, 0),
    ])  # fmt: skip
    for fields, cold, expired in ((log, 1, 1), ({"upstream": {"missing_ratio": 0.1}}, 0, 2)):
        variant = scenario_of(**fields).variants[0]
        began = Beginning.of(variant, "steady", 3.0, seed=1)
        found = explain(asked, variant, 0.2, joined=True, began=began)
        assert (found.cold, found.expired, found.lost) == (cold, expired, 0)
        assert (found.shared, found.avoided, found.shared_share) == (None, None, None)


def test_from_a_steady_start_too_the_counterfactual_is_what_the_separate_cache_did(made_up: Any) -> None:
    run = runs.read(made_up(replicas=4, schedule={"start": "steady", "duration": 6, "blocks": 2}))
    of = {(trial.record.block, trial.record.variant): trial for trial in run.trials}
    for block in (1, 2):
        sidecar, separate = of[block, "sidecar"], of[block, "separate"]
        variant = run.record.scenario.variant("sidecar")
        began = Beginning.of(variant, "steady", 6.0, sidecar.record.seed)
        found = explain(sidecar.rows(), variant, 0.021, joined=False, began=began)
        assert found.cold == 0
        assert found.lost <= 0.01 * found.calls, "fills of these rows land a little sooner than their copies"
        assert found.shared == pytest.approx(separate.record.upstream.calls, rel=0.02)
        assert found.calls == sidecar.record.upstream.calls


@given(
    requests=st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40
    ),
    ttl=st.integers(1, 80), fill=st.integers(0, 30), joined=st.booleans(),
)  # fmt: skip
def test_a_shared_cache_makes_the_calls_of_an_ideal_one(
    requests: list[tuple[int, int, int]], ttl: int, fill: int, joined: bool
) -> None:
    """The ideal cache knows nothing of the engine. Times are in tenths of a second."""
    requests.sort(key=lambda request: request[0])
    asked = rows([(at / 10, at / 10, "miss", key, replica) for at, key, replica in requests])
    calls, _ = ideal_cache.asked(requests, Caches(ttl, 3, True, fill, joined))
    assert shared_calls(asked, ttl * 1e5, fill * 1e5, joined) == calls


def test_a_log_that_is_replayed_faster_expires_sooner_and_keeps_what_the_app_keeps() -> None:
    """A TTL of an hour at sixty times the log's speed is a minute of the trial; a 500 is not kept."""
    hour = Variant.model_validate({
        "id": "v", "levels": {}, "topology": "separate", "cache": {"ttl": 3600},
        "workload": {"arrivals": "log", "log": "access.log", "speedup": 60},
    })  # fmt: skip
    asked = rows([
        (0.0, 0.1, "miss", 1, 0), (59.0, 59.0, "hit", 1, 0), (61.0, 61.1, "miss", 1, 0),
        (62.0, 62.1, "miss", 2, 0), (63.0, 63.1, "miss", 2, 0),
    ])  # fmt: skip
    asked["status"] = [200, 200, 200, 500, 500]
    found = explain(asked, as_tried(hour), 0.1, joined=True)
    assert (found.expired, found.shared) == (1, 4)
