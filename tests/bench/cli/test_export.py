"""`sidecar-bench export`: what it writes, what it leaves alone, what it says."""

import re
from pathlib import Path

import pytest
from click.testing import Result
from commands import Ended, sidecar_bench
from typer.testing import CliRunner

from bench.cli.app import cli
from bench.cli.export import write
from bench.errors import UserError
from bench.store import RunFolder
from compose.app_environment import app_environment
from compose.stack import StackError
from reports.stored.records import RunRecord, StackChoice, TargetsChoice
from scenarios.reading import document
from scenarios.reading.document import ScenarioError


def export(*arguments: str, out: Path) -> Result:
    return CliRunner().invoke(cli, ["export", *arguments, "--out", str(out)])


def test_it_says_what_it_wrote_and_refuses_to_overwrite_it_in_a_sentence(tmp_path: Path) -> None:
    def exported(topology: str) -> Ended:
        return sidecar_bench("export", "ecs", "--topology", topology, "--out", "deploy", cwd=tmp_path)

    ended = exported("separate")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "wrote deploy/template.yaml\n"
    written = (tmp_path / "deploy" / "template.yaml").read_text()
    assert "RedisService:" in written
    refused = exported("sidecar")
    assert refused.returncode == 2
    assert refused.stderr.startswith("sidecar-bench: deploy: template.yaml exist with different content")
    assert (tmp_path / "deploy" / "template.yaml").read_text() == written


@pytest.mark.parametrize("target", ["ecs", "kubernetes", "compose"])
@pytest.mark.parametrize("topology", ["sidecar", "separate"])
def test_every_target_has_both_topologies(tmp_path: Path, target: str, topology: str) -> None:
    ended = export(target, "--topology", topology, out=tmp_path / "deploy")
    assert ended.exit_code == 0
    written = sorted(path for path in (tmp_path / "deploy").rglob("*") if path.is_file())
    assert written
    assert sorted(ended.stdout.splitlines()) == [f"wrote {path}" for path in written]


def test_the_scenarios_fields_can_be_set_and_ambiguity_is_told(tmp_path: Path) -> None:
    arguments = ["--topology", "sidecar", "--replicas", "3", "--set", "cache.ttl=[90s, 1h]"]
    ended = export("ecs", "quick", *arguments, out=tmp_path)
    assert ended.exit_code == 0
    assert (
        "This is sidecar-ttl90, the first of 2 such variants of quick; --variant names another."
        in ended.stdout
    )
    written = (tmp_path / "template.yaml").read_text()
    assert "MinCapacity: 3\n" in written
    assert '{Name: CACHE_TTL, Value: "90"}' in written


def stored(root: Path, targets: TargetsChoice | None = None) -> RunFolder:
    """Store a run that has measured two TTLs in both topologies, with a lease."""
    fields = {"cache.ttl": ["90s", "1h"], "cache.lease": True, "cache.negative_ttl": 7, "replicas": 3}
    record = RunRecord(
        run_id="20260131-154500-quick", scenario=document.load("quick", fields), command=[],
        started="2026-01-31T15:45:00+00:00",
        stack=StackChoice(name="processes", reason="a test", targets=targets), environment={},
    )  # fmt: skip
    return RunFolder.create(root, record)


@pytest.mark.parametrize("target", ["ecs", "kubernetes", "compose"])
def test_a_stored_run_is_exported_as_it_was_measured(tmp_path: Path, target: str) -> None:
    run = stored(tmp_path / "results")
    arguments = ["--run", run.path.name, "--results", str(run.path.parent), "--variant", "separate-ttl3600"]
    ended = export(target, *arguments, out=tmp_path / "deploy")
    assert ended.exit_code == 0, ended.output
    text = "".join(path.read_text() for path in sorted((tmp_path / "deploy").iterdir()))
    given = dict(re.findall(r"(CACHE_[A-Z0-9_]+)(?:, [Vv]alue)?: \"([^\"]*)\"", text))
    variant = run.record().scenario.variant("separate-ttl3600")
    measured = app_environment(variant, "http://127.0.0.1:1")
    assert given == {name: value for name, value in measured.items() if name.startswith("CACHE_")}
    assert given["CACHE_TTL"] == "3600"
    assert (
        f"export {target} --run 20260131-154500-quick --variant separate-ttl3600 --topology separate" in text
    )
    assert "This is" not in ended.stdout


def test_of_a_run_of_several_variants_the_first_is_taken_and_named(tmp_path: Path) -> None:
    run = stored(tmp_path / "results")
    ended = export("ecs", "--run", str(run.path), "--topology", "sidecar", out=tmp_path / "deploy")
    assert (
        "This is sidecar-ttl90, the first of 2 such variants of quick; --variant names another."
        in ended.stdout
    )


def test_a_run_on_services_that_ran_already_deploys_nothing(tmp_path: Path) -> None:
    targets = TargetsChoice(
        urls={"sidecar": ["http://127.0.0.1:1"]}, owned=False, rate_cap=200, duration_cap_s=60
    )
    run = stored(tmp_path / "results", targets)
    ended = export("ecs", "--run", str(run.path), "--topology", "sidecar", out=tmp_path / "deploy")
    assert isinstance(ended.exception, UserError)
    assert "measured running services" in str(ended.exception)


def test_the_one_topology_that_is_compared_need_not_be_named(tmp_path: Path) -> None:
    ended = export("compose", "quick", "--set", "topology=[none, separate]", out=tmp_path)
    assert ended.exit_code == 0, ended.output
    assert "--topology separate" in (tmp_path / "compose.yaml").read_text()


def test_what_the_files_do_not_have_is_told(tmp_path: Path) -> None:
    arguments = ["--topology", "sidecar", "--set", "cache.sidecar_transport=unix"]
    ended = export("ecs", "quick", *arguments, out=tmp_path)
    assert "the trials' sidecars answered on a Unix socket; the files use TCP on loopback" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mars", "--topology", "sidecar"], "use one of: ecs, kubernetes, compose"),
        (["ecs"], "name the topology"),
        (["ecs", "--topology", "none"], "use --topology sidecar or --topology separate"),
        (["ecs", "--variant", "sidecar-ttl7"], "it has sidecar, separate"),
        (
            ["ecs", "--variant", "separate", "--topology", "sidecar"],
            "no such variant in sidecar; it has sidecar",
        ),
        (["kubernetes", "--topology", "sidecar", "--public"], "kubernetes has no load balancer"),
        (["ecs", "--run", "nowhere"], "nowhere: no such run"),
        (["ecs", "quick", "--run", "last"], "remove the scenario and its fields"),
        (["ecs", "--ttl", "1h", "--run", "last"], "remove the scenario and its fields"),
        (["ecs", "qwick", "--topology", "sidecar"], "qwick: no such scenario"),
        (["ecs", "--topology", "sidecar", "--set", "topology=separate"], "--set topology=sidecar"),
        (["ecs", "--topology", "sidecar", "--set", "resources.cpus=64"], "exceeds Fargate's maximum"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    ended = export(*arguments, out=tmp_path / "deploy")
    # What main() shows as one line, without a traceback.
    assert isinstance(ended.exception, UserError | StackError | ScenarioError)
    assert said in str(ended.exception)
    assert list(tmp_path.iterdir()) == []


def test_files_that_differ_are_left_alone_and_nothing_else_is_written(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"b\.yaml exist with .* --force"):
        write(tmp_path, {"a.yaml": "a", "b.yaml": "b"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"b.yaml": "mine"}


def test_with_force_they_are_overwritten(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_bytes(b"\xff not even text")
    assert write(tmp_path, {"b.yaml": "b"}, force=True) == [f"wrote {tmp_path / 'b.yaml'}"]
    assert (tmp_path / "b.yaml").read_text() == "b"


def test_files_that_are_as_they_would_be_are_no_obstacle(tmp_path: Path) -> None:
    files = {"a.yaml": "× a\n", "base/b.yaml": "b\n"}
    assert write(tmp_path / "out", files) == [f"wrote {tmp_path / 'out' / name}" for name in files]
    assert write(tmp_path / "out", files) == [f"unchanged {tmp_path / 'out' / name}" for name in files]
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["a.yaml", "b.yaml"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="out: cannot be written to"):
        write(tmp_path / "out", {"a.yaml": "a"})
