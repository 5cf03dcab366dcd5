from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import reports
from reports.render import evidence, junit, markdown
from reports.summary.model import Refused, Summary, ThresholdResult


@pytest.fixture(scope="module")
def summary(quick_run: Path) -> Summary:
    return reports.summarize(quick_run)


def with_thresholds(summary: Summary, *outcomes: Any) -> Summary:
    results = [
        ThresholdResult(
            text=f"p99_ms <= {n}",
            variant="sidecar",
            outcome=outcome,
            value=20.0,
            interval=(19.0, 21.0),
            bound=n,
        )
        for n, outcome in enumerate(outcomes)
    ]
    return summary.model_copy(update={"thresholds": results})


def invalid(summary: Summary) -> Summary:
    """Return a summary of which nothing can be believed."""
    changed = {"valid": False, "counts_valid": False, "times_valid": False, "reasons": ["too <slow>"]}
    trials = [trial.model_copy(update=changed) for trial in summary.trials]
    names = [trial.id for trial in trials]
    refused = Refused(kinds=["counts", "times"], gate="rows", trials=names, reason="too <slow>", remedy="")
    return summary.model_copy(update={"trials": trials, "refused": [refused]})


def test_markdown_holds_the_verdict_and_a_whole_table(summary: Summary) -> None:
    text = markdown.render(with_thresholds(summary, "fail"))
    assert summary.verdict in text.replace("\\", "")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines[:12]} == {5}
    assert "❌ violated" in text
    assert "**better**" in text


def test_markdown_of_many_variants_has_a_row_each(made_up: Any) -> None:
    run = made_up(cache={"ttl": [2, 8]}, schedule={"warmup": 0, "duration": 2, "blocks": 2})
    text = markdown.render(reports.summarize(run))
    assert text.count("separate-ttl2 compared with sidecar-ttl2") == 1
    assert text.count("\n| sidecar-ttl8 |") == 1


def test_markdown_says_what_was_left_out_and_escapes_it(summary: Summary) -> None:
    text = markdown.render(invalid(summary))
    assert "Excluded: 10 trials (b01-" in text
    assert text.count("too \\<slow\\>") == 1, "the reason is told once, not once a trial"


def test_junit_counts_what_it_holds(summary: Summary) -> None:
    root = ET.fromstring(junit.render(with_thresholds(summary, "pass", "fail", "undecided")))
    kept, valid = root.findall("testsuite")
    assert (kept.get("tests"), kept.get("failures"), kept.get("skipped")) == ("3", "1", "1")
    assert (valid.get("tests"), valid.get("errors"), valid.get("skipped")) == ("10", "0", "0")
    failure = kept.find("testcase/failure")
    assert failure is not None
    assert "19 to 21" in (failure.get("message") or "")


def test_an_undecided_threshold_says_how_far_in_every_form(summary: Summary) -> None:
    found = with_thresholds(summary, "undecided")
    (result,) = found.thresholds
    found = found.model_copy(update={"thresholds": [result.model_copy(update={"more_blocks": 12})]})
    assert "❔ undecided (about 12 more blocks to decide)" in markdown.render(found)
    assert "about 12 more blocks to decide" in junit.render(found)
    assert evidence.thresholds(found.thresholds).rows[0][-1].under == "about 12 more blocks"


def test_of_a_threshold_that_was_not_measured_no_number_of_blocks_is_told(summary: Summary) -> None:
    found = with_thresholds(summary, "undecided")
    (result,) = found.thresholds
    found = found.model_copy(update={"thresholds": [result.model_copy(update={"value": None})]})
    assert "❔ undecided |" in markdown.render(found)


def test_junit_of_a_run_without_a_valid_trial_is_an_error(summary: Summary) -> None:
    valid = ET.fromstring(junit.render(invalid(summary))).findall("testsuite")[1]
    assert (valid.get("errors"), valid.get("skipped")) == ("1", "10")


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [((), 0), (("pass",), 0), (("pass", "fail", "undecided"), 1), (("pass", "undecided"), 3)],
)
def test_the_exit_code_is_that_of_the_thresholds(
    summary: Summary, outcomes: tuple[str, ...], code: int
) -> None:
    assert reports.exit_code(with_thresholds(summary, *outcomes)) == code
    assert reports.exit_code(invalid(with_thresholds(summary))) == 3


def test_a_run_that_decided_nothing_says_so_by_its_exit_code(summary: Summary) -> None:
    def with_decisions(**decisions: str) -> Summary:
        told = [
            one.model_copy(update={"decision": decisions.get(one.metric, "undecided")})
            for one in summary.comparisons
        ]
        return with_thresholds(summary).model_copy(update={"comparisons": told})

    assert reports.exit_code(with_decisions()) == 3
    assert reports.exit_code(with_decisions(mean_ms="worse")) == 3
    assert reports.exit_code(with_decisions(p50_ms="worse")) == 0
    assert reports.exit_code(with_decisions(hit_ratio="equivalent")) == 0
    assert reports.exit_code(with_thresholds(with_decisions(), "pass")) == 0
