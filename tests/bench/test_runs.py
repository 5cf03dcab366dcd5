"""The list of stored runs: what each compares, how far it came, its verdict; a damaged one hides no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from commands import sidecar_bench

from bench import runs
from scenarios.reading import document


def stored(root: Path, name: str, *, ended: bool = True, summary: dict[str, Any] | None = None) -> Path:
    folder = root / name
    scenario = document.load("quick", {"cache.ttl": [5, 60]})
    (folder / "trials" / "b01-sidecar").mkdir(parents=True)
    (folder / "trials" / "b01-sidecar-attempt2").mkdir()
    for trial in (folder / "trials").iterdir():
        (trial / "trial.json").write_text("{}")
    record = {"run_id": name, "scenario": scenario.model_dump(mode="json"), "stack": {"name": "processes"}}
    (folder / "run.json").write_text(json.dumps(record))
    if ended:
        (folder / "end.json").write_text("{}")
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


SUMMARY = {"verdict": "A separate Redis makes fewer calls.", "trials": [{"valid": True}, {"valid": False}]}


def test_an_overview_has_parameters_counts_and_verdict(tmp_path: Path) -> None:
    seen = runs.overview(stored(tmp_path, "a", summary=SUMMARY))
    assert seen.state == "processes, 1 of 2 trials valid"
    assert seen.verdict == "A separate Redis makes fewer calls."
    assert seen.compared == (
        "topology sidecar, separate; cache.ttl 5.0, 60.0; replicas 2; workload.rate 250/s"
    )


def test_attempts_at_one_trial_are_one_trial(tmp_path: Path) -> None:
    seen = runs.overview(stored(tmp_path, "a", ended=False))
    assert seen.state == "processes, 1 trials of 20 planned, not finished"


def test_a_damaged_run_is_a_line_among_the_others(tmp_path: Path) -> None:
    results = tmp_path / "results"
    stored(results, "20260101-000000-good", summary=SUMMARY)
    for number, text in enumerate(("", "[]", "{}", '{"scenario": 1}', '{"scenario": {}}', "\0")):
        (stored(results, f"20260101-00000{number}-bad") / "run.json").write_text(text)
    ended = sidecar_bench("list", cwd=tmp_path)
    assert ended.returncode == 0
    assert ended.stdout.count("cannot be read") == 6
    assert "A separate Redis makes fewer calls." in ended.stdout
