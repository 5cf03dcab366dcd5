"""A run on running services: real Redis, real HTTP, started by somebody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from servers import free_port

from compose import counts
from compose.local.stack import ProcessDeployment, ProcessStack
from reports.stored.records import RunRecord, TrialRecord
from scenarios.model import Variant

COMMAND = Path(sys.executable).with_name("sidecar-bench")
SMALL = ("--blocks", "2", "--duration", "1500ms", "--rate", "100", "--set", "schedule.warmup=0.5",
         "--set", "workload.keys.count=50")  # fmt: skip
# 3: on a machine as busy as CI's no trial may be valid; what is counted is counted all the same.
ENDED = (0, 3)

pytestmark = [pytest.mark.slow, pytest.mark.long]


def sidecar_bench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *arguments], cwd=cwd, capture_output=True, text=True, timeout=110, check=False
    )


@dataclass(frozen=True)
class Services:
    """Two services that somebody runs, and what they had counted before and after a run."""

    sidecar: ProcessDeployment
    separate: ProcessDeployment

    def arguments(self) -> list[str]:
        both = zip(("sidecar", "separate"), (self.sidecar, self.separate), strict=True)
        named = [("--target", ",".join(of.targets), "--label", name) for name, of in both]
        return [part for each in named for part in each]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    stack = ProcessStack(f"test-targets-{os.getpid()}")
    upstream = {"latency_ms": 5, "body": 1000, "body_spread": 0}
    sidecar, separate = (
        Variant(id=name, levels={}, topology=name, cache={"ttl": 1}, upstream=upstream)
        for name in ("sidecar", "separate")
    )
    logs = tmp_path_factory.mktemp("services")
    with (
        stack.deploy(sidecar, seed=1, folder=logs) as one,
        stack.deploy(separate, seed=1, folder=logs) as other,
    ):
        yield Services(one, other)


@dataclass(frozen=True)
class Ran:
    """A run that has ended."""

    folder: Path
    said: str
    summary: dict[str, Any]
    trials: list[TrialRecord]


@pytest.fixture(scope="module")
def ran(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("run")
    # Earlier traffic of others, which is none of the run's.
    for url in (*services.sidecar.targets, *services.separate.targets):
        assert counts.get(url, "/content/earlier")[0] == 200
    ended = sidecar_bench("run", "quick", *services.arguments(), *SMALL, cwd=folder)
    assert ended.returncode in ENDED, ended.stderr
    (run,) = (folder / "results").iterdir()
    trials = [
        TrialRecord.model_validate_json(path.read_text()) for path in sorted(run.glob("trials/*/trial.json"))
    ]
    return Ran(run, ended.stdout, json.loads((run / "summary.json").read_text()), trials)


def test_load_side_and_the_services_metrics_agree_to_the_last_request(ran: Ran) -> None:
    assert {trial.variant for trial in ran.trials} == {"sidecar", "separate"}
    assert len(ran.trials) == 4
    for trial in ran.trials:
        assert trial.app is not None
        assert trial.load.requests > 100
        assert trial.load.outcomes == trial.app.outcomes
        assert trial.upstream.counted_by == "app"
        assert trial.upstream.calls == sum(trial.load.outcomes.get(word, 0) for word in ("miss", "bypass"))
        assert trial.load.outcomes.get("error", 0) == 0
        assert trial.link is None


def test_what_the_services_counted_in_all_is_what_was_sent(services: Services, ran: Ran) -> None:
    for name, deployment in (("sidecar", services.sidecar), ("separate", services.separate)):
        sent = sum(trial.load.requests for trial in ran.trials if trial.variant == name)
        assert sum(deployment.app_counts().outcomes.values()) == sent + len(deployment.targets)
        # The stub that stands behind these services, which the run knows nothing of, says the same.
        assert deployment.upstream_counts().calls == deployment.app_counts().upstream_calls


def test_a_block_meets_every_target_with_the_same_requests(ran: Ran) -> None:
    for block in (1, 2):
        assert len({trial.load.requests for trial in ran.trials if trial.block == block}) == 1


def test_the_report_says_what_a_target_does_not_tell(ran: Ran) -> None:
    notes = " ".join(ran.summary["notes"])
    for said in ("their caches contained", "Theory", "there is no stub behind a target"):
        assert said in notes
    assert ran.summary["stack"] == "targets"
    assert all(variant["theory"] is None and variant["fills"] is None for variant in ran.summary["variants"])
    page = (ran.folder / "report.html").read_text()
    assert "empty caches" not in page
    assert "not applicable, because a target has no stub" in page


def test_the_run_is_stored_with_its_targets_and_can_be_shown_again(services: Services, ran: Ran) -> None:
    stored = RunRecord.model_validate_json((ran.folder / "run.json").read_text()).stack
    assert stored.name == "targets"
    assert stored.targets is not None
    assert stored.targets.urls["sidecar"] == list(services.sidecar.targets)
    for command in ("report", "show"):
        ended = sidecar_bench(command, "last", cwd=ran.folder.parents[1])
        assert ended.returncode == 0, ended.stderr
        assert "separate" in ended.stdout


def test_a_run_on_targets_goes_on_where_it_was_interrupted(ran: Ran, services: Services) -> None:
    missing = max(ran.folder.glob("trials/*/trial.json"))
    before = missing.read_text()
    missing.unlink()
    ended = sidecar_bench("run", "--resume", "last", cwd=ran.folder.parents[1])
    assert ended.returncode in ENDED, ended.stderr
    again = TrialRecord.model_validate_json(missing.read_text())
    assert again.load.requests == TrialRecord.model_validate_json(before).load.requests
    assert services.sidecar.targets


def test_services_that_were_loaded_are_left_running(services: Services, ran: Ran) -> None:
    assert ran.trials
    assert all(counts.ready(url) for url in (*services.sidecar.targets, *services.separate.targets))


def test_a_target_that_is_not_there_stops_the_run_before_it_begins(
    services: Services, tmp_path: Path
) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    ended = sidecar_bench(
        "run", "quick", "--target", gone, "--label", "separate",
        "--target", services.sidecar.targets[0], "--label", "sidecar", *SMALL, cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 2
    assert f"the target separate at {gone} does not answer" in ended.stderr
    assert not list(tmp_path.iterdir())
