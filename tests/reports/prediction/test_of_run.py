"""Reports of stored runs have the explorer, too, with what was measured drawn into its curves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import browsing
import pytest

import reports
from bench.predicting import of_run
from reports.analysis.run import analyse
from reports.theory import Caches, expected
from traffic.demand import Demand

STEADY = {"schedule": {"start": "steady", "warmup": 0, "duration": 20, "blocks": 3}, "cache": {"ttl": 60}}


@pytest.fixture
def browser() -> Any:
    yield from browsing.launched()


def given(html: str) -> dict[str, Any]:
    found = re.search(r'id="explorer-data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_a_report_has_an_explorer_of_its_own_traffic(made_up: Any) -> None:
    run = made_up(**STEADY)
    reports.write(run, of_run.explorer)
    html = (run / "report.html").read_text(encoding="utf-8")
    grid, scenario = given(html), analyse(run).scenario
    variant = next(one for one in scenario.variants if one.topology == "sidecar")
    row, column = grid["ttl_s"].index(60.0), grid["replicas"].index(variant.replicas)
    caches = Caches(60.0, variant.replicas, shared=False, fill_s=0.0, joined=variant.cache.single_flight)
    hour = expected(Demand.of(variant.workload.keys, variant.workload.rate), caches, (0.0, 3600.0), "steady")
    sidecar = next(one for one in grid["series"] if one["topology"] == "sidecar")
    assert sidecar["busiest"][row][column] == pytest.approx(hour.calls, rel=0.02)


def test_what_trials_measured_is_among_what_the_script_draws(made_up: Any) -> None:
    run = made_up(**STEADY)
    summary = reports.write(run, of_run.explorer)
    measured = {
        one["topology"]: one for one in given((run / "report.html").read_text(encoding="utf-8"))["measured"]
    }
    for variant in summary.variants:
        assert variant.metrics.hit_ratio is not None
        assert variant.metrics.mean_ms is not None
        assert measured[variant.topology]["hits"] == variant.metrics.hit_ratio.value
        assert measured[variant.topology]["mean"] == variant.metrics.mean_ms.value
        assert measured[variant.topology]["ttl_s"] == 60


def test_of_a_cold_start_nothing_is_drawn(made_up: Any) -> None:
    run = made_up(schedule={"start": "cold", "warmup": 0, "duration": 20, "blocks": 3})
    reports.write(run, of_run.explorer)
    html = (run / "report.html").read_text(encoding="utf-8")
    assert given(html)["measured"] == []
    assert "Crosses" not in html


def test_where_no_formula_computes_the_long_run_there_is_none(made_up: Any) -> None:
    run = made_up(cache={"ttl": 60, "ttl_jitter": 0.2}, schedule={"warmup": 0, "duration": 5, "blocks": 2})
    reports.write(run, of_run.explorer)
    assert "<script" not in (run / "report.html").read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.slow
def test_the_crosses_are_in_the_curves(browser: Any, made_up: Any) -> None:
    run: Path = made_up(**STEADY)
    reports.write(run, of_run.explorer)
    browsing.look(browser, run / "report.html")
    page = browser.new_page()
    page.goto((run / "report.html").as_uri())
    crosses = page.locator("#explorer .measured")
    assert crosses.count() >= 4, "hit ratios and means of two topologies"
    assert "sidecar, measured" in page.locator("#explorer .measured title").all_text_contents()
    page.locator("#slide-rtt").evaluate("one => { one.value = 0; one.dispatchEvent(new Event('input')); }")
    assert page.locator('[data-curve="mean"] .measured').count() == 0
    assert page.locator('[data-curve="hits"] .measured').count() == 2
