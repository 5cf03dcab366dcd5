"""Runs of an earlier version: still read, and summed up with the same numbers (golden_runs/README.md)."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports import ResultsError, summarize
from reports.stored import runs

GOLDEN = Path(__file__).parent / "golden_runs"
KINDS = ("cases", "containers", "embedded", "log", "targets", "workers")
# Text for people, which may be said better. Everything else is for scripts, and stays.
SENTENCES = re.compile(r"\.(verdict|reason|notes\[\d+\])$")
# Text that states figures: the words may change, the figures may not.
STATED = re.compile(r"\.(undecided\[\d+\]|gates\[\d+\]\.(name|figure|bound))$")


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{place}.{name}")
    elif isinstance(value, list):
        yield f"{place}.length", len(value)
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{place}[{number}]")
    else:
        yield place, value


def same(place: str, before: Any, now: Any) -> bool:
    if isinstance(before, float) and isinstance(now, int | float):
        return math.isclose(before, now, rel_tol=1e-9, abs_tol=1e-12)
    if STATED.search(place):
        return figures(before) == figures(now)
    return type(before) is type(now) and before == now


def figures(text: str) -> list[str]:
    return re.findall(r"\d[\d.,]*", text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_run_is_summed_up_as_before(kind: str) -> None:
    before = dict(leaves(json.loads((GOLDEN / kind / "summary.json").read_text())))
    now = dict(leaves(json.loads(summarize(GOLDEN / kind).model_dump_json())))
    differ = {
        place: (value, now.get(place, "missing"))
        for place, value in before.items()
        if not SENTENCES.search(place) and not (place in now and same(place, value, now[place]))
    }
    assert differ == {}


def test_the_golden_runs_cover_what_they_say() -> None:
    read = {kind: runs.read(GOLDEN / kind) for kind in KINDS}
    summaries = {kind: json.loads((GOLDEN / kind / "summary.json").read_text()) for kind in KINDS}
    for kind, summary in summaries.items():
        assert all(trial["valid"] for trial in summary["trials"]), kind
    assert {kind: run.record.stack.name for kind, run in read.items()} == {
        "cases": "processes", "containers": "docker", "embedded": "processes", "log": "processes",
        "targets": "targets", "workers": "processes",
    }  # fmt: skip
    assert read["cases"].record.scenario.cases
    assert all(variant.workload.log for variant in read["log"].record.scenario.variants)
    assert "--workers" in read["workers"].record.command
    assert {trial.record.start for trial in read["targets"].trials} == {"unknown"}


def test_what_a_newer_version_added_to_a_record_is_refused(tmp_path: Path) -> None:
    run = shutil.copytree(GOLDEN / "embedded", tmp_path / "embedded")
    path = run / "trials" / "b01-sidecar" / "trial.json"
    record = json.loads(path.read_text())
    record["load"]["fetched"] = 3
    path.write_text(json.dumps(record))
    with pytest.raises(ResultsError, match=r"load\.fetched.*newer"):
        summarize(run)
