"""How a log's requests are spread."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from access_logs import line, written
from hypothesis import given
from hypothesis import strategies as st

from traffic.logs import read
from traffic.logs.shape import figures, shape, zipf_exponent


@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 5)), min_size=1, max_size=60))
def test_hours_and_their_working_sets_are_counted(
    tmp_path_factory: pytest.TempPathFactory, requests: list[tuple[int, int]]
) -> None:
    lines = [line(f"/{key}", at_s, size=10 * key) for at_s, key in requests]
    log = read([written(tmp_path_factory.mktemp("log"), *lines)])
    found = shape(log)
    first = min(at_s for at_s, _ in requests) // 3600
    hours = Counter(at_s // 3600 - first for at_s, _ in requests)
    assert found.hourly.tolist() == [hours[hour] for hour in range(max(hours) + 1)]
    different = Counter(hour for hour, _ in {(at_s // 3600 - first, key) for at_s, key in requests})
    assert found.hourly_resources.tolist() == [different[hour] for hour in range(max(hours) + 1)]
    assert found.resource_bytes == sum(10 * key for key in {key for _, key in requests})
    assert found.begins(found.busiest)[11:13] == f"{9 + first + found.busiest:02d}"


@pytest.mark.parametrize("exponent", [0.3, 0.6, 0.9, 1.2])
def test_the_exponent_that_keys_were_drawn_with_is_found(exponent: float) -> None:
    weights = np.arange(1, 501, dtype=np.float64) ** -exponent
    counts = np.random.default_rng(7).multinomial(400_000, weights / weights.sum())
    assert zipf_exponent(counts) == pytest.approx(exponent, abs=0.03)


def test_ranks_by_the_counts_themselves_make_equal_keys_a_little_unequal() -> None:
    counts = np.random.default_rng(7).multinomial(400_000, np.full(500, 1 / 500))
    assert zipf_exponent(counts) == pytest.approx(0.0, abs=0.05)


def test_there_is_no_exponent_where_there_is_nothing_to_fit_it_to() -> None:
    assert zipf_exponent(np.array([5, 4, 3])) is None
    assert zipf_exponent(np.ones(500, np.int64)) is None


def test_hours_without_requests_are_listed_and_no_part_of_the_mean(tmp_path: Path) -> None:
    log = read([written(tmp_path, line("/a", 0), line("/b", 5), line("/a", 7300, size="-"))])
    found = figures(log)
    assert [hour["requests"] for hour in found["requests_per_hour"]] == [2, 0, 1]
    assert found["working_set"] == {
        "resources": 2, "bytes": 2000, "resources_with_size": 2,
        "resources_per_hour": {"mean": 1.5, "most": 2},
    }  # fmt: skip
