"""Runs on disk: what is whole, what is half written, and what is said of it."""

import contextlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.store import RunFolder, new_run_id, runs
from reports.errors import ResultsError
from reports.stored import sessions
from reports.stored.records import RunEnd, RunRecord, StackChoice, TrialRecord
from scenarios.facts import AppFacts, LoadFacts, MachineFacts, UpstreamFacts
from scenarios.reading import document

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
    with pytest.raises(ResultsError, match=r"run\.json: is damaged"):
        run.record()


def test_a_damaged_trial_is_named_with_the_remedy(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RUN)
    (run.begin_trial("b01-sidecar") / "trial.json").write_text("{")
    with pytest.raises(
        ResultsError, match=r"trial\.json: is damaged .*; remove the folder .*b01-sidecar and continue"
    ):
        run.ended()


def test_a_folder_that_is_no_run_is_told_apart_from_none(tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    with pytest.raises(UserError, match=r"holds no run\.json"):
        RunFolder.find(tmp_path, "begun")
    with pytest.raises(UserError, match="no such run"):
        RunFolder.find(tmp_path, "never")
    with pytest.raises(UserError, match="has no runs yet"):
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


def crafted(run: RunFolder, trial_id: str) -> None:
    """Make a trial's record claim another id."""
    folder = run.begin_trial("b01-sidecar")
    record = trial("b01-sidecar").model_dump() | {"id": trial_id}
    (folder / "trial.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    "name", ["../victim", "/tmp/victim", "a/../../victim", "..", ".", "", "a/b", "b01\x00", "\n"]
)
def test_no_name_leads_out_of_a_run(tmp_path: Path, name: str) -> None:
    run = RunFolder.create(tmp_path / "results", RUN)
    victim = tmp_path / "results" / "victim"
    (victim / "logs").mkdir(parents=True)
    (victim / "precious").touch()
    crafted(run, name)
    with pytest.raises((UserError, ResultsError)):
        run.ended()
    if "\x00" not in name and "\n" not in name:
        with pytest.raises(UserError, match="names no trial"):
            run.begin_trial(name)
    fields = json.loads((run.path / "run.json").read_text())
    fields["scenario"]["variants"][0]["id"] = name
    (run.path / "run.json").write_text(json.dumps(fields))
    with pytest.raises(ResultsError, match=r"run\.json: is damaged at scenario\.variants\.0\.id"):
        run.record()
    fields["run_id"] = name
    (run.path / "run.json").write_text(json.dumps(fields))
    with pytest.raises(ResultsError, match=r"run\.json: is damaged at run_id"):
        run.record()
    assert (victim / "precious").exists()


def test_a_trial_of_another_folder_is_refused(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RUN)
    crafted(run, "b07-separate")
    with pytest.raises(UserError, match="is of another trial than its folder"):
        run.ended()


@pytest.mark.parametrize("place", ["trials", "trials/b01-sidecar", "logs"])
def test_links_lead_nowhere(tmp_path: Path, place: str) -> None:
    run = RunFolder.create(tmp_path / "results", RUN)
    victim = tmp_path / "victim"
    (victim / "b01-sidecar").mkdir(parents=True)
    (victim / "b01-sidecar" / "precious").touch()
    link = run.path / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim if place != "trials/b01-sidecar" else victim / "b01-sidecar")

    def resume() -> None:
        with run.held(["sidecar-bench"]):
            run.begin_trial("b01-sidecar")

    with pytest.raises(UserError, match="is a link; stored runs must not contain links"):
        resume()
    assert (victim / "b01-sidecar" / "precious").exists()


@pytest.mark.parametrize("name", ["end.json", "end.json.tmp"])
def test_a_file_is_written_in_the_place_of_a_link_and_not_through_it(tmp_path: Path, name: str) -> None:
    run = RunFolder.create(tmp_path, RUN)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (run.path / name).symlink_to(victim)
    run.end(RunEnd(why="plan"))
    assert victim.read_text() == "precious"
    assert not (run.path / "end.json").is_symlink()


HOLDER = """
import sys
from pathlib import Path
from bench.store import RunFolder
with RunFolder(Path(sys.argv[1])).held(["sidecar-bench", "run", "--resume", "last"]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_cannot_go_on_with_one_run_and_the_second_is_told_who_does(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RUN)
    command = [sys.executable, "-c", HOLDER, str(run.path)]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdin
    assert first.stdout
    with first.stdin, first.stdout:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(UserError) as said, run.held([]):
            pytest.fail("two hold it")
        first.kill()
        first.wait()
    for words in ("in progress", f"process {first.pid} on ", "sidecar-bench run --resume last", " UTC"):
        assert words in str(said.value)
    with run.held([]):
        assert (run.path / "run.lock").exists()
    assert not (run.path / "run.lock").exists()


@pytest.mark.parametrize("place", [("scenario", "schedule"), ("scenario", "variants", 0, "cache"), ()])
def test_fields_of_a_newer_version_are_named_and_not_called_damaged(
    tmp_path: Path, place: tuple[str | int, ...]
) -> None:
    run = RunFolder.create(tmp_path, RUN)
    fields = json.loads((run.path / "run.json").read_text())
    fields["environment"] = {"versions": {"sidecar-bench": "99.1"}}
    part = fields
    for name in place or ("scenario",):
        part = part.setdefault(name, {}) if isinstance(name, str) else part[name]
    part["burst"] = 7
    (run.path / "run.json").write_text(json.dumps(fields))
    with pytest.raises(ResultsError) as said:
        run.record()
    assert "damaged" not in str(said.value)
    assert ".".join(map(str, (*(place or ("scenario",)), "burst"))) in str(said.value)
    assert "sidecar-bench 99.1" in str(said.value)


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, RUN)
    fields = json.loads((run.path / "run.json").read_text()) | {"schema_version": 2}
    (run.path / "run.json").write_text(json.dumps(fields))
    with pytest.raises(ResultsError, match="format 2, and this one reads up to 1"):
        run.record()


def test_what_differs_where_a_run_is_resumed_is_said_and_stored(tmp_path: Path) -> None:
    first = {"cpu": "A", "memory_gib": 7.9, "versions": {"locust": "2.40", "redis": "7"}}
    run = RunFolder.create(tmp_path, RUN.model_copy(update={"environment": first}))
    assert run.resumed(["sidecar-bench"], first | {"memory_gib": 8.0}) == []
    there = {"cpu": "B", "memory_gib": 8.0, "versions": {"locust": "2.41", "redis": "7"}}
    said = ["cpu: A, then B", "versions locust: 2.40, then 2.41"]
    assert run.resumed(["sidecar-bench"], there) == said
    [note] = sessions.notes(run.path, run.record())
    assert all(sentence in note for sentence in said)
    assert "another machine" in note
