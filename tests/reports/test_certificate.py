"""The validity certificate: of the run, of each trial, and for scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import reports
from reports.analysis.run import Analysis, analyse
from reports.render import evidence
from reports.render.cells import Cell
from reports.render.page import page
from reports.stored.records import TrialRecord
from reports.trial.gate import WHY
from scenarios.model import Scenario


def with_cpu(ratios: dict[str, float]) -> Callable[[TrialRecord], TrialRecord]:
    """Set how much of a core the generator used in some trials."""

    def change(record: TrialRecord) -> TrialRecord:
        ratio = ratios.get(record.id, record.load.cpu_ratio)
        return record.model_copy(update={"load": record.load.model_copy(update={"cpu_ratio": ratio})})

    return change


def by_name(analysis: Analysis) -> dict[str, list[Cell]]:
    return {row[0].text: row for row in evidence.gates(analysis).rows}


@pytest.fixture(scope="module")
def golden(quick_run: Path) -> Analysis:
    return analyse(quick_run)


def test_each_gate_says_why_it_matters(golden: Analysis, scenario_of: Callable[..., Scenario]) -> None:
    names = {gate.name for trial in golden.measures for gate in trial.gates}
    assert names <= set(WHY)
    assert all(WHY[name].endswith(".") and len(WHY[name]) < 120 for name in names)
    shown = [row[0].under for row in evidence.gates(golden).rows]
    assert sorted(shown) == sorted(WHY[name] for name in names)
    written = page(golden)
    assert written.count("Redis expires keys by the wall clock, so the clock must not be changed.") == 1, (
        "once on the page, not once a trial"
    )


def test_the_worst_figure_of_the_valid_trials_is_shown_beside_its_bound(
    made_up: Callable[..., Path],
) -> None:
    run = made_up(with_cpu({"b01-sidecar": 0.99, "b02-separate": 0.62, "b03-sidecar": 0.31}))
    _, bound, passed, worst = by_name(analyse(run))["Generator CPU"]
    assert (bound.text, worst.text, worst.under) == ("≤ 90%", "62% of a core", "b02-separate")
    assert passed.text == "9 of 10"
    assert "b01-sidecar: 99% of a core" in passed.under


def test_a_bound_that_each_trial_has_for_itself_is_shown_with_the_worst(golden: Analysis) -> None:
    _, bound, _, worst = by_name(golden)["RTT drift"]
    assert bound.text == "by trial"
    trial, _, said = worst.under.partition(", where ")
    assert trial.endswith("-separate")
    assert said.startswith("≤ 0.0")


def test_books_have_no_worst(golden: Analysis) -> None:
    assert by_name(golden)["Counts: responses"][3].text == "equal in all trials"


def test_what_could_nowhere_be_judged_has_neither_bound_nor_worst(golden: Analysis) -> None:
    _, bound, passed, worst = by_name(golden)["Throttled CPU"]
    assert (bound.text, passed.text, worst.text) == ("–", "–", "–")
    assert passed.under.startswith("not applicable, because ")


def test_scripts_find_the_certificate_of_each_trial(made_up: Callable[..., Path]) -> None:
    summary = reports.summarize(made_up(with_cpu({"b01-sidecar": 0.99})))
    for trial in summary.trials:
        outcomes = {gate.name: gate.outcome for gate in trial.gates}
        assert ("failed" in outcomes.values()) is not trial.valid
        assert outcomes["throttled CPU"] == "not applicable"
    (spoilt,) = [trial for trial in summary.trials if trial.id == "b01-sidecar"]
    (failed,) = [gate for gate in spoilt.gates if gate.outcome == "failed"]
    assert (failed.name, failed.figure, failed.bound) == ("generator CPU", "99% of a core", "≤ 90%")
