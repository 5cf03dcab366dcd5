from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.stored import runs
from reports.stored.records import TrialRecord
from reports.trial.validity import gates, reasons
from scenarios.facts import FailedPath, UsageFacts


@pytest.fixture(scope="module")
def trial(quick_run: Path) -> runs.StoredTrial:
    return next(trial for trial in runs.read(quick_run).trials if trial.record.id == "b01-separate")


def changed(record: TrialRecord, part: str, **fields: Any) -> TrialRecord:
    return record.model_copy(update={part: getattr(record, part).model_copy(update=fields)})


def throttled(usage: UsageFacts) -> UsageFacts:
    return usage.model_copy(update={"throttled_s": 1.0})


def test_an_undisturbed_trial_passes_every_gate(trial: runs.StoredTrial) -> None:
    judged = gates(trial.record, trial.rows())
    assert all(gate.passed for gate in judged)
    assert reasons(judged) == []
    assert len({gate.name for gate in judged}) == len(judged) >= 10


@pytest.mark.parametrize(
    ("gate", "spoil"),
    [
        ("counts: responses", lambda r: changed(r, "app", outcomes={**r.app.outcomes, "hit": 1})),
        ("counts: upstream calls", lambda r: changed(r, "upstream", calls=r.upstream.calls + 1)),
        ("counts: responses and calls", lambda r: changed(r, "upstream", calls=r.upstream.calls - 1)),
        ("errors", lambda r: changed(r, "load", outcomes={**r.load.outcomes, "error": 9})),
        ("requests sent", lambda r: changed(r, "load", offered=r.load.requests * 2)),
        ("generator CPU", lambda r: changed(r, "load", cpu_ratio=0.97)),
        ("stolen CPU", lambda r: changed(r, "machine", stolen_ratio=0.11)),
        ("CPU in use", lambda r: changed(r, "machine", busy_ratio=0.99)),
        ("throttled CPU", lambda r: r.model_copy(update={"usage": [throttled(r.usage[0])]})),
        ("waiting for a CPU", lambda r: changed(r, "machine", waiting_ratio=0.6)),
        ("generator throttled", lambda r: changed(r, "machine", throttled_ratio=0.02)),
        ("clock step", lambda r: changed(r, "machine", clock_step_s=-1.0)),
        ("RTT drift", lambda r: changed(r, "link", after_ms=r.link.achieved_ms * 2)),
        ("rows", lambda r: changed(r, "load", requests=r.load.requests + 1, offered=r.load.requests + 1)),
    ],
)  # fmt: skip
def test_each_gate_stops_what_it_is_there_for(
    trial: runs.StoredTrial, gate: str, spoil: Callable[[TrialRecord], TrialRecord]
) -> None:
    judged = {found.name: found for found in gates(spoil(trial.record), trial.rows())}
    assert not judged[gate].passed
    assert judged[gate].reason in reasons(list(judged.values()))
    assert judged[gate].figure
    assert judged[gate].bound
    for found in judged.values():
        assert found.strain is None or (found.strain <= 1) is found.passed, found.name


def test_late_sends_are_seen_in_the_rows(trial: runs.StoredTrial) -> None:
    rows = trial.rows()
    late = rows.assign(sent_us=rows["sent_us"] + 30_000, end_us=rows["end_us"] + 3_000)
    record = changed(trial.record, "load", under_way=None)
    failed = {gate.name for gate in gates(record, late) if not gate.passed}
    assert failed == {"send lag, p99"}


@pytest.mark.parametrize(
    ("lag_us", "median_us", "passes"),
    [
        (800, 600, True),  # the latest sends of a calm machine
        (1_400, 600, True),
        (1_600, 600, False),
        (1_600, 4_000, True),  # where latency is long, a lag of less than half of it is let pass
        (2_100, 4_000, False),
    ],
)
def test_how_late_a_request_may_be_goes_by_how_long_requests_take(
    trial: runs.StoredTrial, lag_us: int, median_us: int, passes: bool
) -> None:
    due_us = trial.rows()["intended_us"]
    rows = trial.rows().assign(sent_us=due_us + lag_us, end_us=due_us + max(median_us, lag_us))
    rows.loc[: len(rows) * 0.6, ["sent_us", "end_us"]] = pd.DataFrame(
        {"sent_us": due_us, "end_us": due_us + median_us}
    )
    (gate,) = [gate for gate in gates(trial.record, rows) if gate.name == "send lag, p99"]
    assert gate.passed is passes


@pytest.mark.parametrize(
    ("means", "before_ms", "after_ms", "passes"),
    [
        ("loopback", 0.020, 0.030, True),  # what other work on the machine makes of it
        ("loopback", 0.020, 0.060, False),
        ("relay", 0.335, 0.295, True),  # what a relay's own clock makes of it
        ("relay", 0.110, 0.150, True),
        ("relay", 0.300, 0.400, False),
        ("network", 1.0, 1.2, True),
        ("network", 1.0, 1.3, False),
    ],
)
def test_a_link_may_drift_by_what_its_measure_scatters(
    trial: runs.StoredTrial, means: str, before_ms: float, after_ms: float, passes: bool
) -> None:
    record = changed(trial.record, "link", means=means, achieved_ms=before_ms, after_ms=after_ms)
    (gate,) = [gate for gate in gates(record) if gate.name == "RTT drift"]
    assert gate.passed is passes


def test_a_backlog_at_the_end_is_a_rate_that_was_not_achieved(trial: runs.StoredTrial) -> None:
    rows = trial.rows()
    behind = rows.assign(sent_us=(rows["sent_us"] * 1.1).astype("int64"))
    assert "achieved rate" in {gate.name for gate in gates(trial.record, behind) if not gate.passed}


def test_a_growing_backlog_breaks_littles_law(trial: runs.StoredTrial) -> None:
    rows = trial.rows()
    growing = rows.assign(end_us=rows["end_us"] + rows["intended_us"] // 2)
    assert "Little's law" in {gate.name for gate in gates(trial.record, growing) if not gate.passed}


def test_an_older_trial_is_held_against_littles_law_by_its_rows_alone(trial: runs.StoredTrial) -> None:
    record, rows = changed(trial.record, "load", under_way=None), trial.rows()
    judged = {gate.name: gate for gate in gates(record, rows)}
    assert not judged["time in flight"].applicable
    assert judged["Little's law"].passed
    growing = rows.assign(end_us=rows["end_us"] + rows["intended_us"] // 2)
    assert "Little's law" in {gate.name for gate in gates(record, growing) if not gate.passed}


def test_the_same_error_in_every_row_is_found_by_the_generators_own_count(trial: runs.StoredTrial) -> None:
    rows = trial.rows()
    wrong = rows.assign(end_us=rows["end_us"] + 100)  # a tenth of a millisecond: the size of the effect
    (said,) = reasons(gates(trial.record, wrong))
    assert "the times in the rows are wrong" in said


def test_a_throttle_that_the_scenario_asks_for_is_no_fault(trial: runs.StoredTrial, scenario_of: Any) -> None:
    record = trial.record.model_copy(update={"usage": [throttled(trial.record.usage[0])]})
    limited = scenario_of(resources={"cpus": 0.5}).variants[0]
    (gate,) = [gate for gate in gates(record, variant=limited) if gate.name == "throttled CPU"]
    assert not gate.applicable
    assert gate.passed
    assert "active for 14.3% of the time" in gate.figure


def test_what_nobody_could_read_is_not_said_to_be_zero(trial: runs.StoredTrial) -> None:
    unread = [used.model_copy(update={"throttled_s": None}) for used in trial.record.usage]
    record = trial.record.model_copy(update={"usage": unread})
    record = changed(record, "machine", waiting_ratio=None, throttled_ratio=None)
    judged = {gate.name: gate for gate in gates(record)}
    for name in ("throttled CPU", "waiting for a CPU", "generator throttled"):
        assert judged[name].figure.startswith("not applicable, because ")
        assert judged[name].passed


def using(record: TrialRecord, share: float) -> TrialRecord:
    """The trial, had its processes used this share of a core."""
    seconds = share * (record.load.warmup_s + record.load.duration_s) / len(record.usage)
    usage = [used.model_copy(update={"cpu_s": seconds}) for used in record.usage]
    return changed(record.model_copy(update={"usage": usage}), "load", cpu_ratio=0.0)


@pytest.mark.parametrize(
    ("used", "waited", "passes"),
    [
        (0.10, 0.02, True),  # 60 requests/s, and nothing else on the machine
        (0.10, 0.13, False),  # the same, beside other work
        (0.25, 0.07, True),  # 250/s
        (0.25, 0.22, False),  # the same, beside two busy processes
        (0.60, 0.38, True),  # 1,000/s: the trial's own processes wait for one another
        (0.90, 0.64, False),  # 3,000/s: too much for the core
    ],
)
def test_waiting_for_a_cpu_is_held_against_what_the_trial_itself_used(
    trial: runs.StoredTrial, used: float, waited: float, passes: bool
) -> None:
    record = changed(using(trial.record, used), "machine", waiting_ratio=waited)
    (gate,) = [gate for gate in gates(record) if gate.name == "waiting for a CPU"]
    assert gate.passed is passes


def test_held_back_by_the_limit_that_the_scenario_sets_is_not_waiting(
    trial: runs.StoredTrial, scenario_of: Any
) -> None:
    record = changed(trial.record, "machine", waiting_ratio=0.66)
    limited = scenario_of(resources={"cpus": 0.2}).variants[0]
    (gate,) = [gate for gate in gates(record, variant=limited) if gate.name == "waiting for a CPU"]
    assert not gate.applicable
    assert "66%" in gate.figure


def test_with_targets_only_a_machine_that_is_overloaded_waits_too_much(trial: runs.StoredTrial) -> None:
    for waited, passes in ((0.45, True), (0.55, False)):
        record = changed(on_target(trial.record, "app"), "machine", waiting_ratio=waited)
        assert all(gate.passed for gate in gates(record)) is passes


def test_a_cache_that_was_hardly_asked_is_not_compared(trial: runs.StoredTrial, scenario_of: Any) -> None:
    requests = trial.record.load.requests
    spoilt = changed(
        trial.record, "load", outcomes={"hit": requests - requests // 4, "bypass": requests // 4}
    )
    (cached,) = scenario_of(topology="separate").variants
    (uncached,) = scenario_of(topology="none").variants
    by_name = {gate.name: gate for gate in gates(spoilt, trial.rows(), cached)}
    assert not by_name["Redis answered"].passed
    assert "Redis answered" not in {gate.name for gate in gates(spoilt, trial.rows(), uncached)}


def test_errors_that_the_scenario_asks_for_are_no_fault(trial: runs.StoredTrial, scenario_of: Any) -> None:
    outcomes = {**trial.record.load.outcomes, "error": 20}
    record = changed(changed(trial.record, "load", outcomes=outcomes), "app", outcomes=outcomes)
    flaky = scenario_of(upstream={"error_ratio": 0.05}).variants[0]
    assert "errors" in {gate.name for gate in gates(record) if not gate.passed}
    assert "errors" not in {gate.name for gate in gates(record, variant=flaky) if not gate.passed}


def on_target(record: TrialRecord, counted_by: str) -> TrialRecord:
    record = changed(record, "upstream", counted_by=counted_by)
    record = record.model_copy(update={"usage": [], "link": None})
    return record.model_copy(update={"app": None}) if counted_by == "headers" else record


def test_the_counts_of_a_target_are_the_load_sides_and_the_apps(trial: runs.StoredTrial) -> None:
    judged = {gate.name: gate for gate in gates(on_target(trial.record, "app"), trial.rows())}
    assert judged["counts: responses"].applicable
    assert judged["counts: responses and calls"].applicable
    assert judged["counts: upstream calls"].figure.startswith("not applicable, because a target has no stub")
    assert judged["throttled CPU"].figure.startswith(
        "not applicable, because the CPU time of a target's processes"
    )
    assert all(gate.passed for gate in judged.values())
    spoilt = changed(on_target(trial.record, "app"), "upstream", calls=trial.record.upstream.calls + 1)
    assert [gate.name for gate in gates(spoilt) if not gate.passed] == ["counts: responses and calls"]


def test_traffic_of_others_on_a_target_makes_a_trial_invalid_and_is_named(trial: runs.StoredTrial) -> None:
    record = on_target(trial.record, "app")
    others = {**trial.record.load.outcomes, "hit": trial.record.load.outcomes["hit"] + 1}
    (said,) = reasons(gates(changed(record, "app", outcomes=others)))
    assert "someone else used it, or it was restarted" in said


def test_counts_that_nobody_else_has_are_not_applicable(trial: runs.StoredTrial) -> None:
    judged = [gate for gate in gates(on_target(trial.record, "headers")) if gate.name.startswith("counts:")]
    assert len(judged) == 3
    for gate in judged:
        assert not gate.applicable
        assert gate.figure.startswith("not applicable, because ")
    assert reasons(judged) == []


def test_errors_that_had_to_come_are_no_fault_and_others_are_named_by_their_paths(
    trial: runs.StoredTrial,
) -> None:
    failing = {**trial.record.load.outcomes, "error": 9}
    due = changed(trial.record, "load", outcomes=failing, expected_errors=9)
    assert "errors" not in {gate.name for gate in gates(due) if not gate.passed}
    paths = [FailedPath(path="/a/b", status=500, requests=5), FailedPath(path="/c", status=0, requests=4)]
    others = changed(trial.record, "load", outcomes=failing, failed_paths=paths)
    (gate,) = (gate for gate in gates(others) if gate.name == "errors")
    assert not gate.passed
    assert "5 × /a/b" in gate.reason
