"""The command, as a user meets it: what it prints, how it exits, what it leaves."""

import subprocess
import sys
from pathlib import Path

import pytest
from commands import sidecar_bench

from bench import cli
from bench.load import LoadError

COMMAND = Path(sys.executable).with_name("sidecar-bench")


def test_the_command_is_installed_and_hands_its_exit_code_on(tmp_path: Path) -> None:
    ended = subprocess.run(
        [str(COMMAND), "run", "qwick"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("sidecar-bench: qwick: no such scenario")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "qwick"], "qwick: no such scenario"),
        (["run", "quick", "--set", "cache.tll=5"], "cache.tll: unknown field"),
        (["run", "quick", "--ttl", "5 parsecs"], "cache.ttl: '5 parsecs' is not understood"),
        (["run", "quick", "--topology", "sidcar"], "topology: Input should be"),
        (["run", "quick", "--set", "cache.ttl"], "write FIELD=VALUE"),
        (["run", "access-log"], "--set workload.log="),
        (["run", "access-log", "--set", "workload.log=none.log"], "none.log"),
        (["run", "access-log", "--set", "workload.log=prose.txt"], "prose.txt"),
        (["run", "quick", "--stack", "cloud"], "cloud"),
        (["run", "--resume", "never"], "never: no such run"),
        (["run", "quick", "--resume", "never"], "leave the scenario and its fields out"),
        (["run"], "which scenario?"),
        (["report"], "no run is stored here yet"),
        (["show", "half"], "holds no run.json"),
        (["check", "mine.yaml"], "mine.yaml: no such scenario"),
    ],
)
def test_what_the_user_can_mend_is_a_sentence_and_exit_code_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "prose.txt").write_text("It was the best of times.\n")
    (tmp_path / "results" / "half").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    ended = sidecar_bench(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    assert sorted(tmp_path.rglob("*")) == before, "something was left behind"


def test_list_names_the_scenarios_of_the_library(tmp_path: Path) -> None:
    ended = sidecar_bench("list", cwd=tmp_path)
    assert ended.returncode == 0
    for name in ("quick", "ttl-sweep", "access-log"):
        assert name in ended.stdout


def test_check_shows_the_variants_and_the_time_they_take(tmp_path: Path) -> None:
    ended = sidecar_bench("check", "quick", "--set", "cache.ttl=[5, 1h]", cwd=tmp_path)
    assert ended.returncode == 0
    assert "separate-ttl3600" in ended.stdout
    assert "5 blocks × 4 variants = 20 trials" in ended.stdout


def test_options_may_be_repeated_or_list_their_values(tmp_path: Path) -> None:
    repeated = sidecar_bench("check", "quick", "--set", "replicas=[1, 4]", cwd=tmp_path)
    assert "sidecar-replicas4" in repeated.stdout


def test_doctor_says_what_each_finding_is(tmp_path: Path) -> None:
    ended = sidecar_bench("doctor", cwd=tmp_path)
    assert ended.returncode == 0
    for subject in ("cores", "redis-server", "docker", "netem", "clock", "timer", "neighbours", "disk"):
        assert subject in ended.stdout


def test_clean_on_a_clean_machine_says_so(tmp_path: Path) -> None:
    ended = sidecar_bench("clean", cwd=tmp_path)
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("error", "said"), [(LoadError("the load broke"), "the load broke"), (KeyError(1), "KeyError")]
)
def test_a_run_that_failed_is_no_broken_threshold(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr(cli, "cli", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == cli.FAILED == 4
    assert said in capsys.readouterr().err
