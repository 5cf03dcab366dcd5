from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.analysis.attribution import QUEUEING, REST, TERMS
from reports.analysis.run import analyse
from reports.trial.queueing import LEAST_IDLE, wait_ms

HIT_S, BEGIN_CALL_S, END_CALL_S, UPSTREAM_S = 0.3e-3, 1.0e-3, 0.8e-3, 0.05


def served(rate: float, seconds: float, calls: float = 0.35, seed: int = 1) -> tuple[pd.DataFrame, float]:
    """Return the rows of one server that works in order of arrival, and how long hits waited for it (ms).

    A share of requests calls upstream: the server works on them twice, and they do not occupy it in between.
    """
    random = np.random.default_rng(seed)
    sent = np.sort(random.uniform(0, seconds, random.poisson(rate * seconds)))
    hit = random.random(len(sent)) >= calls
    jobs = [(float(at), number, False) for number, at in enumerate(sent)]
    heapq.heapify(jobs)
    end, free_s, waits = np.zeros(len(sent)), 0.0, []
    while jobs:
        at, number, answered = heapq.heappop(jobs)
        begun = max(at, free_s)
        work_s = HIT_S * random.lognormal(0, 0.2) if hit[number] else END_CALL_S if answered else BEGIN_CALL_S
        free_s = begun + work_s
        if hit[number]:
            waits.append(begun - at)
        if hit[number] or answered:
            end[number] = free_s
        else:
            heapq.heappush(jobs, (free_s + UPSTREAM_S, number, True))
    rows = pd.DataFrame({
        "sent_us": (sent * 1e6).astype(np.int64), "end_us": (end * 1e6).astype(np.int64),
        "outcome": np.where(hit, "hit", "miss"),
    })  # fmt: skip
    return rows, 1000 * float(np.mean(waits))


@pytest.mark.parametrize("rate", [50, 200, 600])
def test_what_hits_wait_for_a_server_is_found_from_the_rows_alone(rate: float) -> None:
    rows, true_ms = served(rate, seconds=36_000 / rate)
    found = wait_ms(rows, np.ones(len(rows), bool))
    assert found == pytest.approx(true_ms, rel=0.12, abs=0.005)


def test_requests_that_never_meet_wait_for_nothing() -> None:
    sent_us = np.arange(1, 101) * 100_000
    rows = pd.DataFrame({"sent_us": sent_us, "end_us": sent_us + 300, "outcome": ["hit"] * 100})
    assert wait_ms(rows, np.ones(100, bool)) == 0


def test_hits_of_the_warm_up_are_not_judged_but_met() -> None:
    sent_us = np.arange(1, 43) * 100_000
    took_us = np.full(42, 300)
    sent_us[-1], took_us[-2], took_us[-1] = sent_us[-2] + 1000, 50_000, 900  # the last meets the one before
    rows = pd.DataFrame({"sent_us": sent_us, "end_us": sent_us + took_us, "outcome": ["hit"] * 42})
    measured = np.ones(42, bool)
    measured[-2] = False
    assert wait_ms(rows, measured) == pytest.approx((0.9 - 0.3) / 41)


@pytest.mark.parametrize("outcome", ["hit", "bypass"])
def test_where_hardly_a_hit_found_the_stack_idle_nothing_is_said(outcome: str) -> None:
    sent_us = np.arange(LEAST_IDLE - 1) * 100_000
    rows = pd.DataFrame({"sent_us": sent_us, "end_us": sent_us + 300, "outcome": [outcome] * len(sent_us)})
    assert wait_ms(rows, np.ones(len(rows), bool)) is None


def test_with_hits_on_both_sides_it_is_a_part_of_its_own(made_up: Any) -> None:
    told = analyse(made_up(schedule={"warmup": 0, "duration": 3, "blocks": 2})).attributions[0]
    assert set(told.parts) == set(TERMS)


def test_without_hits_on_one_side_queueing_is_part_of_the_rest(made_up: Any) -> None:
    run = made_up(topology=["none", "sidecar"], schedule={"warmup": 1, "duration": 3, "blocks": 2})
    found = analyse(run).attributions[0]
    assert QUEUEING not in found.parts
    assert REST in found.parts
    assert sum(part.value for part in found.parts.values()) == pytest.approx(found.total.value)
