"""Gates for what should never be in a trial: a fault, and outcomes that its variant cannot have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.stored import runs
from reports.stored.records import Fault, TrialRecord
from reports.trial.gate import Gate
from reports.trial.validity import gates, reasons
from scenarios.metrics import KINDS
from scenarios.model import Variant


@pytest.fixture(scope="module")
def record(quick_run: Path) -> TrialRecord:
    found = next(trial for trial in runs.read(quick_run).trials if trial.record.id == "b01-separate")
    return found.record


def variant(topology: str = "sidecar", **cache: Any) -> Variant:
    return Variant(id=topology, levels={}, topology=topology, cache=cache)


def judged(record: TrialRecord, of: Variant, *, counted_by: str = "upstream", **outcomes: int) -> Gate:
    load = record.load.model_copy(update={"outcomes": outcomes})
    upstream = record.upstream.model_copy(update={"counted_by": counted_by})
    spoilt = record.model_copy(update={"load": load, "upstream": upstream, "app": None})
    return next(gate for gate in gates(spoilt, None, of) if gate.name == "possible outcomes")


@pytest.mark.parametrize("outcome", ["hit", "miss", "delayed", "stale"])
def test_without_a_cache_nothing_comes_out_of_one(record: TrialRecord, outcome: str) -> None:
    found = judged(record, variant("none"), bypass=100, **{outcome: 1})
    assert not found.passed
    assert found.protects == KINDS
    assert f"1 × {outcome}" in found.reason


def test_what_only_the_app_counted_is_seen_as_well(record: TrialRecord) -> None:
    assert record.app is not None
    assert record.app.outcomes["hit"] > 0
    load = record.load.model_copy(update={"outcomes": {"bypass": 10}})
    spoilt = record.model_copy(update={"load": load})
    assert "hit" in next(gate for gate in gates(spoilt, None, variant("none")) if not gate.passed).reason


@pytest.mark.parametrize(
    ("of", "outcomes", "possible"),
    [
        (variant("none"), {"bypass": 9, "error": 1}, True),
        (variant(), {"hit": 5, "miss": 5, "delayed": 1, "bypass": 1, "error": 1}, True),
        (variant(), {"stale": 1}, False),
        (variant(stale_while_revalidate=5), {"stale": 1}, True),
        (variant(stale_if_error=5), {"stale": 1}, True),
        (variant(revalidate=5), {"stale": 1}, True),
        (variant(single_flight=False), {"delayed": 1}, False),
        (variant(single_flight=False, lease=True), {"delayed": 1}, True),
    ],
)
def test_what_a_variant_can_have_follows_from_its_settings(
    record: TrialRecord, of: Variant, outcomes: dict[str, int], possible: bool
) -> None:
    assert judged(record, of, **outcomes).passed is possible


def test_of_a_target_the_settings_say_nothing(record: TrialRecord) -> None:
    assert judged(record, variant(), counted_by="headers", stale=1).passed
    assert not judged(record, variant("none"), counted_by="headers", hit=1).passed


def test_a_fault_is_the_one_reason_of_its_trial(record: TrialRecord) -> None:
    words = {"redis": "first\nout of memory", "app-1": ""}
    fault = Fault(stage="loading", reason="redis was killed (SIGKILL)", last_words=words)
    spoilt = record.model_copy(update={"fault": fault, "machine": record.machine.model_copy()})
    found = gates(spoilt, None, variant("none"))
    assert reasons(found) == ["while loading, redis was killed (SIGKILL) (last in its log: out of memory)"]
    assert all(gate.refuses(kind) for gate in found for kind in KINDS)
