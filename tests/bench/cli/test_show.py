"""The results of a run, as a terminal shows it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from bench.cli import show
from reports.summary.model import (
    Comparison,
    Metrics,
    MetricValue,
    Stopping,
    Summary,
    ThresholdResult,
    VariantSummary,
)
from scenarios.metrics import METRICS

PLAIN, STALE = "separate-stale_if_error0", "separate-stale_if_error60"


def variant(name: str, error_ratio: float) -> VariantSummary:
    values = {metric.name: MetricValue(value=0.5, ci95=(0.4, 0.6)) for metric in METRICS}
    values["error_ratio"] = MetricValue(value=error_ratio, ci95=(error_ratio, error_ratio))
    return VariantSummary(
        id=name, topology="separate", ttl_s=1, replicas=2, rtt_ms=0.3, rtt_achieved_ms=0.3, levels={},
        valid_trials=5, metrics=Metrics(**values), theory=None, fills=None,
    )  # fmt: skip


def of_errors(a: str, b: str, difference: float) -> Comparison:
    return Comparison(
        metric="error_ratio", a=a, b=b, difference=difference, ci95=(difference, difference),
        decision_ci=None, better=None, decision="better" if difference else "equivalent",
        reference=0.0, margin=0.001, blocks=5, more_blocks=None, detectable=None,
    )  # fmt: skip


def shown(*variants: VariantSummary, columns: int = 80, thresholds: Sequence[ThresholdResult] = ()) -> str:
    difference = variants[-1].metrics.error_ratio.value - variants[0].metrics.error_ratio.value  # type: ignore[union-attr]
    summary = Summary(
        schema="sidecar-bench/summary/1", run_id="20260131-154500-outage", scenario="outage", verdict="…",
        stack="processes", started="2026-01-31T15:45:00+00:00", command=[], reduction_baseline="requests",
        blocks=5, stopping=Stopping(stop=True, reason="done", undecided=[], more_blocks=None),
        variants=list(variants), comparisons=[of_errors(variants[0].id, variants[-1].id, difference)],
        thresholds=list(thresholds), trials=[], notes=[],
    )  # fmt: skip
    console = Console(file=io.StringIO(), width=columns)
    show.found(console, summary)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_long_names_of_variants_are_never_cut_short(columns: int) -> None:
    told = shown(variant(PLAIN, 0.0), variant(STALE, 0.0), columns=columns)
    assert "…" not in told.replace("…\n", "", 1)
    assert max(map(len, told.splitlines())) <= columns


def test_an_interval_stays_on_one_line() -> None:
    told = shown(variant("sidecar", 0.076), variant("separate", 0.0))
    [row] = [line for line in told.splitlines() if "errors" in line]
    assert "[−7.60, −7.60]" in row


@pytest.mark.parametrize("columns", [80, 120])
def test_many_variants_are_shown_without_cutting_a_word_short(columns: int) -> None:
    names = [PLAIN, STALE, "separate-stale_if_error120", "separate-stale_if_error600", "separate-nothing"]
    told = shown(*(variant(name, 0.01) for name in names), columns=columns)
    assert "…" not in told.replace("…\n", "", 1)
    assert max(map(len, told.splitlines())) <= columns
    assert "equivalent" in told
    assert told.count("errors") == 2


def test_names_of_a_sweep_are_not_broken() -> None:
    names = [f"{topology}-ttl{ttl_s}" for topology in ("sidecar", "separate") for ttl_s in (1, 5, 20)]
    told = shown(*(variant(name, 0.0) for name in names)).replace("\n", " ").split()
    assert set(names) <= set(told)


def test_an_undecided_threshold_says_how_many_blocks_would_decide_it() -> None:
    open_ = ThresholdResult(
        text="p99_ms <= 20", variant="sidecar", outcome="undecided", value=20.5, interval=(19.0, 22.0),
        bound=20.0, more_blocks=12,
    )  # fmt: skip
    told = shown(variant("sidecar", 0.0), variant("separate", 0.0), thresholds=[open_])
    assert "undecided p99_ms <= 20 (sidecar): about 12 more blocks to decide" in told


def test_failed_requests_have_a_row_where_there_are_any() -> None:
    assert "errors" not in shown(variant(PLAIN, 0.0), variant(STALE, 0.0))
    [row] = [
        line for line in shown(variant(PLAIN, 0.076), variant(STALE, 0.0)).splitlines() if "errors" in line
    ]
    assert "7.60" in row
    assert "better" in row
