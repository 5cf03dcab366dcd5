"""Which path each request asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scenarios.contract import OURS
from scenarios.model import Keys, Workload
from traffic.keys import draw, history, path_of, requests
from traffic.logs import LogError


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0, 1.5])
def test_zipf_keys_come_as_often_as_their_weight_says(exponent: float) -> None:
    keys = draw(Keys(count=50, exponent=exponent), 100_000, seed=5)
    weights = np.arange(1, 51) ** -exponent
    expected = 100_000 * weights / weights.sum()
    assert stats.chisquare(np.bincount(keys, minlength=50), expected).pvalue > 0.001


def test_uniform_keys_come_equally_often() -> None:
    keys = draw(Keys(distribution="uniform", count=50), 100_000, seed=5)
    assert stats.chisquare(np.bincount(keys, minlength=50)).pvalue > 0.001


@given(st.sampled_from(["zipf", "uniform"]), st.integers(1, 1000), st.floats(0, 5), st.integers(0, 2**32 - 1))
def test_every_key_is_one_of_them(distribution, count, exponent, seed) -> None:
    keys = draw(Keys(distribution=distribution, count=count, exponent=exponent), 500, seed)
    assert keys.dtype == np.int32
    assert keys.min() >= 0
    assert keys.max() < count


def test_the_same_seed_gives_the_same_requests_however_many_replicas_there_are() -> None:
    one, four = requests(Workload(), 1, 5.0, seed=9), requests(Workload(), 4, 5.0, seed=9)
    assert np.array_equal(one.at_us, four.at_us)
    assert np.array_equal(one.keys, four.keys)
    assert one.paths == four.paths
    assert np.array_equal(four.replicas, requests(Workload(), 4, 5.0, seed=9).replicas)
    assert not np.array_equal(one.keys[:100], requests(Workload(), 1, 5.0, seed=10).keys[:100])


def test_replicas_are_asked_at_random_and_alike() -> None:
    replicas = requests(Workload(rate=5000), 4, 10.0, seed=1).replicas
    assert stats.chisquare(np.bincount(replicas, minlength=4)).pvalue > 0.001
    # No round robin: whom the next request goes to does not depend on the last.
    pairs = np.bincount(replicas[:-1] * 4 + replicas[1:], minlength=16)
    assert stats.chisquare(pairs).pvalue > 0.001


def test_each_key_has_a_path_of_its_own() -> None:
    assert len({path_of(key) for key in range(2000)}) == 2000


def log_of(tmp_path: Path, *seconds_and_paths: tuple[int, str]) -> Path:
    path = tmp_path / "access.log"
    path.write_text(
        "".join(
            f'1.2.3.4 - - [17/May/2015:10:05:{second:02d} +0000] "GET /{name} HTTP/1.1" 200 10 "-" "-"\n'
            for second, name in seconds_and_paths
        )
    )
    return path


def asked(laid_out) -> list[str]:
    return [laid_out.paths[key].removeprefix("/") for key in laid_out.keys.tolist()]


def test_a_log_is_replayed_in_its_order_at_its_times(tmp_path: Path) -> None:
    log = log_of(tmp_path, (0, "a"), (1, "b"), (1, "a"), (4, "c"))
    laid_out = requests(Workload(arrivals="log", log=log, speedup=2), 1, 60.0, seed=1)
    assert asked(laid_out) == ["a", "b", "a", "c"]
    assert laid_out.at_us.tolist() == [0, 500_000, 750_000, 2_000_000]
    assert laid_out.span_s == pytest.approx(2.5), "the trial ends with the log's last second"


def test_a_trial_begins_where_it_is_told_to_and_the_rest_is_history(tmp_path: Path) -> None:
    log = log_of(tmp_path, (0, "a"), (1, "b"), (1, "a"), (4, "c"), (9, "b"))
    workload = Workload.model_validate({"arrivals": "log", "log": log, "speedup": 2, "from": "4s"})
    laid_out, before = requests(workload, 2, 1.0, seed=1), history(workload, 2, seed=1)
    assert asked(laid_out) == ["c"]
    assert laid_out.at_us.tolist() == [0]
    assert asked(before) == ["a", "b", "a"]
    assert before.at_us.tolist() == [-2_000_000, -1_500_000, -1_250_000]
    whole = requests(workload.model_copy(update={"from_": 0.0}), 2, 60.0, seed=1)
    assert whole.keys[:3].tolist() == before.keys.tolist(), "keys have the same numbers"
    assert history(workload.model_copy(update={"from_": 0.0}), 2, seed=1).keys.size == 0
    assert history(Workload(), 2, seed=1).keys.size == 0


def test_an_empty_window_is_refused_with_its_cause(tmp_path: Path) -> None:
    log = log_of(tmp_path, (0, "a"), (50, "b"))
    for start, cause in ((10, "no request is in the trial's window"), (51, "the log ends 51 s after")):
        workload = Workload.model_validate({"arrivals": "log", "log": log, "from": start})
        with pytest.raises(LogError, match=cause):
            requests(workload, 1, 5.0, seed=1)
    with pytest.raises(LogError, match=r"lower workload\.speedup: 5\.1 makes a trial of 10 s"):
        requests(Workload(arrivals="log", log=log, speedup=1000), 1, 10.0, seed=1)


def test_a_service_s_own_log_is_given_no_second_prefix(tmp_path: Path) -> None:
    log = log_of(tmp_path, (0, "content/a"), (1, "content//b?c"), (2, "healthz"), (3, "content/content/a"))
    laid_out = requests(Workload(arrivals="log", log=log), 1, 60.0, seed=1)
    sent = [OURS.path_of(laid_out.paths[key]) for key in laid_out.keys.tolist()]
    assert sent == ["/content/a", "/content//b?c", "/content/content/a"]
    other = log_of(tmp_path, (0, "content/a"), (1, "b"), (2, "//c"))
    laid_out = requests(Workload(arrivals="log", log=other), 1, 60.0, seed=1)
    sent = [OURS.path_of(laid_out.paths[key]) for key in laid_out.keys.tolist()]
    assert sent == ["/content/content/a", "/content/b", "/content///c"]


def test_a_trial_ends_before_a_log_that_is_longer(tmp_path: Path) -> None:
    log = log_of(tmp_path, (0, "a"), (1, "b"), (9, "c"))
    laid_out = requests(Workload(arrivals="log", log=log), 1, 5.0, seed=1)
    assert asked(laid_out) == ["a", "b"]
    assert laid_out.span_s == 5.0


def test_a_log_at_the_scenario_s_own_rate_begins_anew_when_it_is_over(tmp_path: Path) -> None:
    log = log_of(tmp_path, (0, "a"), (1, "b"), (9, "c"))
    laid_out = requests(Workload(arrivals="constant", rate=8, log=log), 1, 1.0, seed=1)
    assert asked(laid_out) == ["a", "b", "c", "a", "b", "c", "a", "b"]
