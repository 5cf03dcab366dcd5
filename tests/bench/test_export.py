"""`sidecar-bench export`: what it writes, what it leaves alone, what it says."""

from pathlib import Path

import pytest
from click.testing import Result
from commands import Ended, sidecar_bench
from typer.testing import CliRunner

from bench.cli import cli
from bench.errors import UserError
from bench.export import write
from compose.stack import StackError
from scenarios.document import ScenarioError


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
    assert refused.stderr.startswith("sidecar-bench: deploy: template.yaml would be overwritten")
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
    assert "This is sidecar-ttl90, the first of 2 such variants of quick." in ended.stdout
    written = (tmp_path / "template.yaml").read_text()
    assert "MinCapacity: 3\n" in written
    assert '{Name: CACHE_TTL, Value: "90"}' in written


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mars", "--topology", "sidecar"], "give one of: ecs, kubernetes, compose"),
        (["ecs"], "which topology?"),
        (["ecs", "--topology", "none"], "give --topology sidecar or --topology separate"),
        (["ecs", "qwick", "--topology", "sidecar"], "qwick: no such scenario"),
        (["ecs", "--topology", "sidecar", "--set", "topology=separate"], "--set topology=sidecar"),
        (["ecs", "--topology", "sidecar", "--set", "resources.cpus=64"], "more than Fargate has"),
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
    with pytest.raises(UserError, match=r"b\.yaml would be overwritten .* --force"):
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
