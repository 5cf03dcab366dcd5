"""Upstream calls per hour of a run: from the long run alone, whatever its trials began with."""

from __future__ import annotations

from typing import Any

import pytest

import reports
from reports import theory
from reports.analysis.run import analyse
from reports.calls import sentences
from reports.render import calls
from reports.stored.records import TrialRecord
from reports.summary.calls import CallsPerHour, MeasuredCalls
from reports.summary.model import VariantSummary

STEADY = {"start": "steady", "warmup": 0, "duration": 6, "blocks": 3}
COLD = STEADY | {"start": "cold"}


def variants(run: Any) -> list[VariantSummary]:
    return reports.summarize(run).variants


def test_a_steady_start_is_measured_and_agrees_with_what_is_computed(made_up: Any) -> None:
    run = made_up(cache={"ttl": 600}, replicas=6, schedule=STEADY)
    for found in variants(run):
        hourly = found.upstream_calls_per_hour
        assert found.start == "steady"
        assert hourly is not None
        assert hourly.basis == "computed"
        assert hourly.measured is not None
        assert hourly.measured.ci95[0] <= hourly.value <= hourly.measured.ci95[1]
        assert hourly.z is not None
        assert abs(hourly.z) < 3
        assert "computed and measured agree" in sentences.of_variant(found)


def test_a_cold_start_is_never_multiplied_up_to_an_hour(made_up: Any) -> None:
    """Six seconds of a TTL of ten minutes: four hundred calls, which are no 240,000 an hour."""
    run = made_up(cache={"ttl": 600}, replicas=6, schedule=COLD)
    analysis = analyse(run)
    for found, variant in zip(analysis.summary.variants, analysis.scenario.variants, strict=True):
        hourly, steady = found.upstream_calls_per_hour, theory.steady_of(variant)
        assert hourly is not None
        assert steady is not None
        assert (hourly.basis, hourly.measured, hourly.z) == ("computed", None, None)
        assert hourly.value == pytest.approx(3600 * steady.calls)
        assert sentences.COLD in sentences.of_variant(found)
    assert "cold start, not the long run" in analysis.summary.verdict
    shown = " ".join(cell.text for row in calls.quotas(analysis).rows for cell in row)
    assert "met" in shown
    measured = calls.hourly(analysis).rows[0][2]
    assert measured.text.endswith(" in 6 s")
    assert measured.under == sentences.COLD


def test_what_nothing_computes_is_measured_from_a_steady_start_alone(made_up: Any) -> None:
    upstream = {"latency_ms": 20, "error_ratio": 0.0005}
    for found in variants(made_up(upstream=upstream, schedule=STEADY)):
        hourly = found.upstream_calls_per_hour
        assert hourly is not None
        assert hourly.measured is not None
        assert (hourly.basis, hourly.value, hourly.z) == ("measured", hourly.measured.value, None)
        assert "measured" in sentences.of_variant(found)


def test_of_a_cold_start_that_nothing_computes_nothing_is_said(made_up: Any) -> None:
    run = made_up(upstream={"latency_ms": 20, "error_ratio": 0.0005}, schedule=COLD)
    analysis = analyse(run)
    for found in analysis.summary.variants:
        assert found.upstream_calls_per_hour is None
        assert "schedule.start: steady" in sentences.of_variant(found)
    assert calls.quotas(analysis).rows == []
    assert [cell.under for cell in calls.hourly(analysis).rows[0][1:3]] == ["not known", sentences.COLD]


def test_without_a_cache_every_request_is_a_call(made_up: Any) -> None:
    run = made_up(topology=["none", "sidecar"], schedule=COLD)
    none = variants(run)[0].upstream_calls_per_hour
    assert none is not None
    assert none.value == pytest.approx(200 * 3600)
    assert none.measured is not None
    assert none.measured.ci95[0] < 200 * 3600 < none.measured.ci95[1]


def test_nothing_is_extrapolated_from_services_that_ran_already(made_up: Any) -> None:
    def as_target(record: TrialRecord) -> TrialRecord:
        return record.model_copy(
            update={
                "upstream": record.upstream.model_copy(update={"counted_by": "app"}),
                "start": "unknown",
            }
        )

    for found in variants(made_up(as_target, schedule=COLD)):
        assert (found.start, found.upstream_calls_per_hour) == ("unknown", None)


@pytest.mark.parametrize(
    ("z", "ends", "same"),
    [(0.4, (300, 500), True), (-3.4, (300, 500), False), (None, (300, 500), True), (None, (500, 700), False)],
)
def test_computed_and_measured_agree_by_z_or_else_by_the_interval(
    z: float | None, ends: tuple[float, float], same: bool
) -> None:
    measured = MeasuredCalls(value=450, ci95=ends, ci95_from="blocks")
    assert sentences.agree(CallsPerHour(value=400, basis="computed", measured=measured, z=z)) is same


def test_a_run_says_that_computed_and_measured_do_not_agree(made_up: Any) -> None:
    """The scenario's rate is not that which was sent: the counts tell."""

    def fewer(record: TrialRecord) -> TrialRecord:
        load = record.load.model_copy(update={"duration_s": record.load.duration_s / 3})
        return record.model_copy(update={"load": load})

    summary = reports.summarize(made_up(fewer, cache={"ttl": 2}, schedule=STEADY))
    assert "do not agree" in sentences.of_all(summary.variants)
