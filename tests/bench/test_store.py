"""Runs on disk: what is whole, what is half written, and what is said of it."""

import contextlib
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.store import RunFolder, new_run_id, runs
from reports.records import (
    AppFacts,
    LoadFacts,
    MachineFacts,
    RunRecord,
    StackChoice,
    TrialRecord,
    UpstreamFacts,
)
from scenarios import document

RUN = RunRecord(
    run_id="20260131-154500-quick",
    scenario=document.load("quick"),
    command=["sidecar-bench", "run", "quick"],
    started="2026-01-31T15:45:00+00:00",
    stack=StackChoice(name="processes", reason="a test"),
    environment={},
)


def trial(trial_id: str) -> TrialRecord:
    return TrialRecord(
        id=trial_id, variant="sidecar", block=1, seed=1, started="2026-01-31T15:45:00+00:00",
        up_s=1, down_s=0.1, link=None,
        load=LoadFacts(
            offered=10, requests=10, outcomes={"hit": 6, "miss": 4}, warmup_s=0, duration_s=1, most_users=2,
            cpu_ratio=0.1,
        ),
        app=AppFacts(outcomes={"hit": 6, "miss": 4}, upstream_calls=4),
        upstream=UpstreamFacts(calls=4, by_status={"200": 4}),
        machine=MachineFacts(stolen_ratio=0, busy_ratio=0.3, load_average=0.5, clock_step_s=0),
    )  # fmt: skip


def fill(path: Path) -> None:
    """Take all the space that is left."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_a_run_is_named_by_when_it_began_and_what_it_compares(tmp_path: Path) -> None:
    began = datetime(2026, 1, 31, 15, 45, tzinfo=UTC)
    assert new_run_id(tmp_path, "quick", began) == "20260131-154500-quick"


def test_runs_of_the_same_second_have_names_of_their_own(tmp_path: Path) -> None:
    began = datetime(2026, 1, 31, 15, 45, tzinfo=UTC)
    for name in ("20260131-154500-quick", "20260131-154500-quick-2"):
        assert new_run_id(tmp_path, "quick", began) == name
        (tmp_path / name).mkdir()


def test_what_is_stored_is_read_back(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RUN)
    run.begin_trial("b01-sidecar")
    run.end_trial(trial("b01-sidecar"))
    found = RunFolder.find(tmp_path, RUN.run_id)
    assert found.record() == RUN
    assert found.ended() == {("b01-sidecar", 1): trial("b01-sidecar")}
    assert RunFolder.find(tmp_path, "last").path == RunFolder.find(tmp_path, str(run.path)).path == run.path
    assert [stored.path for stored in runs(tmp_path)] == [run.path]


def test_a_trial_that_was_cut_short_does_not_count_and_leaves_nothing_to_its_successor(
    tmp_path: Path,
) -> None:
    run = RunFolder.create(tmp_path, RUN)
    (run.begin_trial("b01-sidecar") / "requests.parquet").write_bytes(b"half")
    assert run.ended() == {}
    assert [path.name for path in run.begin_trial("b01-sidecar").iterdir()] == ["logs"]


@pytest.mark.parametrize("content", ["", "{", '{"run_id": 1}', "\x00"])
def test_a_damaged_run_is_named(tmp_path: Path, content: str) -> None:
    run = RunFolder.create(tmp_path, RUN)
    (run.path / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json: is damaged"):
        run.record()


def test_a_damaged_trial_is_named_with_the_remedy(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RUN)
    (run.begin_trial("b01-sidecar") / "trial.json").write_text("{")
    with pytest.raises(
        UserError, match=r"trial\.json: is damaged; remove the folder .*b01-sidecar and go on"
    ):
        run.ended()


def test_a_folder_that_is_no_run_is_told_apart_from_none(tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    with pytest.raises(UserError, match=r"holds no run\.json"):
        RunFolder.find(tmp_path, "begun")
    with pytest.raises(UserError, match="no such run"):
        RunFolder.find(tmp_path, "never")
    with pytest.raises(UserError, match="no run is stored here yet"):
        RunFolder.find(tmp_path, "last")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount the small disk that this test fills")
def test_a_full_disk_is_said_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)], check=True)
    try:
        run = RunFolder.create(tmp_path, RUN)
        run.begin_trial("b01-sidecar")
        fill(tmp_path / "filler")
        with pytest.raises(UserError, match="the disk is full"):
            run.end_trial(trial("b01-sidecar"))
        assert list(run.trial_folder("b01-sidecar").glob("*.tmp")) == []
        assert run.ended() == {}
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="--results"):
        RunFolder.create(tmp_path / "results", RUN)
