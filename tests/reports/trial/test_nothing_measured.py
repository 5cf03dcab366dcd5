"""Runs that have measured nothing, or only failures: a sentence is due, from every command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import sidecar_bench

import reports
from reports.render import junit, markdown

RARE = {"workload": {"rate": 0.001, "keys": {"count": 400}}}
SHORT = {"schedule": {"warmup": 1, "duration": 0.001, "blocks": 3}, "workload": {"rate": 50}}
ALONE = {**RARE, "topology": "none"}


def failed(record: Any) -> Any:
    """Return a trial all of whose requests failed, as the generator tells it."""
    count = record.load.requests
    load = record.load.model_copy(
        update={"outcomes": {"error": count}, "failures": {"503": count - 1, "connection refused": 1}}
    )
    return record.model_copy(update={"load": load})


@pytest.mark.parametrize("fields", [RARE, SHORT, ALONE], ids=["rare", "short", "alone"])
def test_a_run_without_a_request_says_so_wherever_it_is_shown(made_up: Any, fields: dict[str, Any]) -> None:
    run: Path = made_up(**fields)
    summary = reports.write(run)
    unmeasured = [trial for trial in summary.trials if trial.reasons]
    assert len(summary.trials) == len(list(run.glob("trials/*"))), "none is passed over"
    assert unmeasured
    for trial in unmeasured:
        (reason,) = (one for one in trial.reasons if "measured" in one)
        assert reason.startswith("nothing was measured: no request was sent in the")
    assert reports.exit_code(summary) == 3
    if fields is not SHORT:
        assert summary.verdict.startswith(f"No result: none of the {len(summary.trials)} trials is")
    page = (run / "report.html").read_text()
    assert "nothing was measured" in page
    assert "nothing was measured" in markdown.render(summary)
    assert "nothing was measured" in junit.render(summary)
    for text in (page, markdown.render(summary), junit.render(summary)):
        assert "nan" not in text.lower().replace("finance", "")
        assert "of 0 trials" not in text


@pytest.mark.parametrize("fields", [RARE, SHORT, ALONE], ids=["rare", "short", "alone"])
def test_no_command_ends_in_a_division(made_up: Any, tmp_path: Path, fields: dict[str, Any]) -> None:
    name = made_up(**fields).name
    for command in (["show", name], ["report", name], ["cost", "--run", name], ["list"]):
        ended = sidecar_bench(*command, "--results", str(tmp_path), cwd=tmp_path)
        assert "Traceback" not in ended.stderr
        assert ended.returncode in ((0, 2) if "cost" in command else (0,)), (command, ended.stderr)
    assert "has no valid trial" in sidecar_bench(
        "cost", "--run", name, "--results", str(tmp_path), cwd=tmp_path
    ).stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rate", "0.001"], "measures 0.0045 requests on average, too few for any result"),
        (["--duration", "1ms"], "a trial of 0.001 s measures 0.25 requests on average"),
    ],
)
def test_too_few_requests_are_said_before_anything_is_deployed(tmp_path, options, said) -> None:
    ended = sidecar_bench("check", "quick", *options, cwd=tmp_path)
    assert ended.returncode == 0
    assert said in " ".join(ended.stdout.split())


def test_a_run_of_which_every_request_failed_says_by_what(made_up: Any) -> None:
    summary = reports.write(made_up(failed, schedule={"warmup": 1, "duration": 6, "blocks": 3}))
    for trial in summary.trials:
        count = trial.requests
        said = f"{count} of {count} requests failed (100.0%): {count - 1:,} × 503, 1 × connection refused"
        assert any(reason.startswith(said) for reason in trial.reasons)
