from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports import theory
from reports.analysis import attribution
from reports.analysis.attribution import HOP, LAG, MIX, QUEUEING, REST
from reports.analysis.run import analyse
from reports.render import evidence
from reports.render.page import page
from reports.trial.misses import explain


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
    assert abs(parts[QUEUEING].value) < 0.05, "requests of these rows do not wait for one another"


def test_where_the_apps_memory_answers_the_hop_is_part_of_the_rest(made_up: Any) -> None:
    run = made_up(cache={"ttl": 3, "l1": 0.5}, schedule={"warmup": 0, "duration": 3, "blocks": 2})
    analysis = analyse(run)
    found = analysis.attributions[0]
    assert HOP not in found.parts
    assert sum(part.value for part in found.parts.values()) == pytest.approx(found.total.value)
    hop = next(row for row in evidence.attribution(analysis).rows if "hop" in row[0].text)
    assert hop[1].text == "–"
    told = analysis.summary.attributions[0].mean_ms
    assert told is not None
    assert sorted(told.parts) == ["queueing", "rest", "send_lag", "upstream"]


@given(
    outcomes=st.lists(
        st.tuples(
            st.sampled_from(["hit", "miss", "delayed", "stale", "bypass", "error"]),
            st.integers(0, 3), st.integers(0, 1), st.floats(0, 5),
        ),
        min_size=1, max_size=40,
    ),
    evicted=st.none() | st.integers(0, 5),
)  # fmt: skip
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_causes_of_what_was_no_hit_add_up(scenario_of: Any, outcomes: Any, evicted: int | None) -> None:
    """So do the differences between two trials, whatever happened in them."""
    outcomes = sorted(outcomes, key=lambda request: request[3])
    words, keys, replicas, sent = zip(*outcomes, strict=True)
    sent_us = (np.array(sent) * 1e6).astype(np.int64)
    rows = pd.DataFrame({
        "sent_us": sent_us, "end_us": sent_us + 20_000, "outcome": words, "key": keys, "replica": replicas,
    })  # fmt: skip
    for variant in scenario_of(cache={"ttl": 1}).variants:
        shares = explain(rows, variant, 0.02, joined=True, evicted=evicted).shares
        assert sum(shares.values()) == pytest.approx(1 - words.count("hit") / len(words))
        assert min(shares.values()) >= 0


def test_the_parts_of_the_difference_in_hits_add_up_to_it(quick_run: Path) -> None:
    analysis = analyse(quick_run)
    found = analysis.hit_attributions[0]
    assert sum(part.value for part in found.parts.values()) == pytest.approx(found.total.value)
    hits = analysis.compared[0].of("hit_ratio")
    assert hits is not None
    assert found.total.value == pytest.approx(hits.difference)
    assert found.total.interval() == pytest.approx(hits.ci95)


def test_what_a_separate_redis_gains_in_hits_is_what_sharing_spares(quick_run: Path) -> None:
    """Paths new to a replica are not new to a cache that all share, and so with those that expired."""
    found = analyse(quick_run).hit_attributions[0]
    for cause in ("cold", "expired"):
        ends = found.parts[cause].interval()
        assert ends is not None
        assert ends[0] > 0
    assert found.parts["lost"].value == found.parts["other"].value == 0
    assert found.sharing is not None
    assert found.sharing.value == pytest.approx(found.total.value, rel=0.05)


def test_without_a_cache_there_are_no_hits_to_attribute(made_up: Any) -> None:
    run = made_up(topology=["none", "sidecar"], schedule={"warmup": 1, "duration": 3, "blocks": 2})
    assert analyse(run).hit_attributions == ()


def test_where_requests_failed_nothing_is_said_of_a_shared_cache(made_up: Any) -> None:
    run = made_up(schedule={"warmup": 0, "duration": 3, "blocks": 2})
    of = {trial.record.variant: trial for trial in analyse(run).measures}
    spoilt = [
        dataclasses.replace(
            trial, fills=dataclasses.replace(trial.fills, shares={**trial.fills.shares, "other": 0.05})
        )
        for trial in of.values()
    ]
    found = attribution.attribute_hits(analyse(run).compared[0].pair, spoilt)
    assert found is not None
    assert found.sharing is None


def test_a_trial_against_itself_differs_in_nothing(quick_run: Path) -> None:
    trial = analyse(quick_run).measures[0]
    assert set(attribution.split(trial, trial).values()) == {0.0}


def test_reasons_are_given_for_the_long_run_and_for_the_start_apart(made_up: Any) -> None:
    """In six seconds from empty caches most is cold; in the long run nothing is, and the difference stays."""
    run = made_up(replicas=6, cache={"ttl": 60}, schedule={"start": "cold", "duration": 6, "blocks": 3})
    analysis = analyse(run)
    (told,) = analysis.summary.attributions
    assert told.hit_ratio is not None
    assert told.hit_ratio.parts["cold"].value > 0.9 * told.hit_ratio.total.value
    steady = told.hit_ratio_long_run
    assert steady is not None
    assert steady.parts["expired"].value == pytest.approx(steady.total.value, rel=0.1)
    sidecar, separate = (theory.steady_of(variant) for variant in analysis.scenario.variants)
    assert sidecar is not None
    assert separate is not None
    assert steady.total.value == pytest.approx(separate.hit_ratio - sidecar.hit_ratio)
    html = page(analysis)
    assert html.index("Where the hits go in the long run") < html.index(
        "Where the hits go after a cold start"
    )


def test_from_a_steady_start_no_miss_is_cold(made_up: Any) -> None:
    schedule = {"start": "steady", "duration": 6, "blocks": 3}
    analysis = analyse(made_up(replicas=6, cache={"ttl": 60}, schedule=schedule))
    (told,) = analysis.summary.attributions
    assert told.hit_ratio is not None
    assert told.hit_ratio.parts["cold"].value == 0
    assert told.hit_ratio.parts["expired"].value == pytest.approx(told.hit_ratio.total.value, rel=0.05)
    assert told.hit_ratio_long_run is not None
    assert told.hit_ratio_long_run.total.value == pytest.approx(told.hit_ratio.total.value, abs=0.03)
    html = page(analysis)
    assert "Cold start" not in html
    assert "long-running service" in html
