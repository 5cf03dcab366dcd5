"""The workflows: valid by GitHub's schema, with no more rights than they need, and no secret in a build."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.selftest import command

FOLDER = Path(__file__).parents[1] / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
CHECK = Path(sys.executable).with_name("check-jsonschema")

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def triggers(path: Path) -> set[str]:
    found = read(path)[True]  # `on`, as YAML 1.1 reads it
    return {found} if isinstance(found, str) else set(found)


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def test_there_is_one_for_ci_one_for_the_image_and_one_for_the_night() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "image.yml", "nightly.yml"]


@each_workflow
def test_it_is_valid_by_githubs_schema(path: Path) -> None:
    command = [str(CHECK), "--builtin-schema", "vendor.github-workflows", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


@each_workflow
def test_rights_are_stated_and_nothing_is_written_with_them(path: Path) -> None:
    workflow = read(path)
    granted = [workflow["permissions"], *(job.get("permissions", {}) for job in workflow["jobs"].values())]
    rights = {(name, right) for given in granted for name, right in given.items()}
    assert rights <= {("contents", "read"), ("id-token", "write")}
    assert ("id-token", "write") not in rights or path.name == "image.yml"


@each_workflow
def test_strangers_code_never_runs_with_our_rights(path: Path) -> None:
    assert not triggers(path) & {"pull_request_target", "workflow_run", "issue_comment"}


@each_workflow
def test_nothing_is_pasted_into_a_script(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", ""), step


@each_workflow
def test_every_action_is_pinned_and_the_checkout_keeps_no_token(path: Path) -> None:
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_every_job_ends(path: Path) -> None:
    assert all(job["timeout-minutes"] <= 90 for job in read(path)["jobs"].values())


def test_the_image_is_built_without_arguments_and_scanned_before_it_is_pushed() -> None:
    path = FOLDER / "image.yml"
    assert triggers(path) == {"workflow_call"}
    scripts = [step.get("run", step.get("uses", "")) for step in steps(path)]
    assert not any("--build-arg" in script or "--secret" in script for script in scripts)
    built, scanned, pushed = (
        next(place for place, script in enumerate(scripts) if mark in script)
        for mark in ("buildx build", "compose/docker/image_scan.py", "docker push")
    )
    assert built < scanned < pushed
    assert not any("continue-on-error" in step or step.get("if") for step in steps(path))


def test_aws_is_entered_by_oidc_and_tags_are_commits() -> None:
    path = FOLDER / "image.yml"
    text = path.read_text()
    assert "aws-access-key-id" not in text
    assert "${{ secrets." not in text
    [role] = [step["with"] for step in steps(path) if "configure-aws-credentials" in step.get("uses", "")]
    assert set(role) == {"role-to-assume", "aws-region"}
    assert "$REPOSITORY:$GITHUB_SHA" in text
    assert "latest" not in text


def test_no_input_is_a_secret() -> None:
    inputs = read(FOLDER / "image.yml")[True]["workflow_call"]["inputs"]
    assert not any(re.search("password|pwd|token|secret|redis", name, re.IGNORECASE) for name in inputs)


def test_ci_requires_containers_and_a_browser() -> None:
    environment = read(FOLDER / "ci.yml")["jobs"]["test"]["env"]
    assert environment == {"SIDECAR_BENCH_REQUIRE_ENGINE": "1", "SIDECAR_BENCH_REQUIRE_BROWSER": "1"}


def test_every_night_the_bench_is_asked_whether_it_can_be_believed() -> None:
    path = FOLDER / "nightly.yml"
    assert triggers(path) == {"schedule", "workflow_dispatch"}
    [asked] = [step for step in steps(path) if "selftest" in step.get("run", "")]
    assert asked == {"run": ".venv/bin/sidecar-bench selftest --full"}, "its exit code is the job's"
    [job] = read(path)["jobs"].values()
    assert job["timeout-minutes"] * 60 > command.FULL.total_s + 15 * 60, "with time to install"


def test_a_newcomers_run_is_tried_on_two_pythons_without_any_redis() -> None:
    job = read(FOLDER / "ci.yml")["jobs"]["newcomer"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    scripts = [step.get("run", "") for step in job["steps"]]
    assert {"make unit", "make run"} <= set(scripts)
    assert not any("install" in script for script in scripts), "nothing that would bring a Redis along"
    assert "command -v redis-server" in "".join(scripts)


def test_ci_tries_a_second_python_where_there_is_one() -> None:
    ci = FOLDER.parents[1] / ".ci"
    assert ".ci/newcomer.sh" in (ci / "run").read_text().splitlines()
    script = (ci / "newcomer.sh").read_text()
    assert "make unit" in script
    assert "make run" in script
    assert script.count("timeout ") == 3, "each step ends"
