"""The command, as a user meets it: what it prints, how it exits, what it leaves."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from commands import sidecar_bench

from bench.cli import app
from bench.load.local import LoadError
from bench.run import conductor
from compose.host.interrupts import Interrupted

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
        (["run", "quick", "--ttl", "5 parsecs"], "cache.ttl: '5 parsecs' cannot be read"),
        (["run", "quick", "--topology", "sidcar"], "topology: Input should be"),
        (["run", "quick", "--set", "cache.ttl"], "write FIELD=VALUE"),
        (["run", "access-log"], "--set workload.log="),
        (["run", "access-log", "--set", "workload.log=none.log"], "none.log"),
        (["run", "access-log", "--set", "workload.log=prose.txt"], "prose.txt"),
        (["run", "quick", "--stack", "cloud"], "cloud"),
        (["run", "--resume", "never"], "never: no such run"),
        (["run", "quick", "--resume", "never"], "remove the scenario and its fields"),
        (["run"], "name a scenario"),
        (["report"], "has no runs yet"),
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

    monkeypatch.setattr(app, "cli", broken)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == app.FAILED == 4
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ttl", "5parsecs"], "--ttl, cache.ttl: '5parsecs' cannot be read"),
        (["--set", "cache.ttl=5parsecs"], "--set, cache.ttl: '5parsecs' cannot be read"),
        (["--replicas", "["], "--replicas [: not valid YAML"),
        (["--rate", "9" * 5000], "--rate 999"),
        (["--set", "cache.ttl=" + "[" * 5000], "--set cache.ttl=[[["),
        (["--set", "cache.ttl=.inf"], "cache.ttl: Input should be a finite number"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run", "cost", "export"])
def test_a_wrong_value_is_blamed_on_its_option_by_every_command(
    tmp_path: Path, command: str, arguments: list[str], said: str
) -> None:
    place = ["ecs", "--topology", "sidecar", "--out", "out", "quick"] if command == "export" else ["quick"]
    ended = sidecar_bench(command, *place, *arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "quick.yaml" not in ended.stderr
    assert len(ended.stderr) < 1000


def test_the_same_options_change_a_scenario_for_every_command(tmp_path: Path) -> None:
    options = [
        "--ttl",
        "5",
        "--replicas",
        "3",
        "--rtt",
        "0.8",
        "--rate",
        "50",
        "--blocks",
        "4",
        "--duration",
        "9s",
    ]
    for command, place in (
        ("check", ["quick"]),
        ("cost", ["quick"]),
        ("export", ["compose", "--topology", "sidecar", "--out", "out", "quick"]),
    ):
        assert sidecar_bench(command, *place, *options, "--seed", "7", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], ["run"], ["check"]])
def test_help_has_a_short_option(tmp_path: Path, command: list[str], option: str) -> None:
    ended = sidecar_bench(*command, option, cwd=tmp_path)
    assert ended.returncode == 0
    assert "Usage" in ended.stdout


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert sidecar_bench("--version", cwd=tmp_path).stdout == f"sidecar-bench {version('sidecar-bench')}\n"


def test_too_few_blocks_are_said_before_anything_is_deployed(tmp_path: Path) -> None:
    few = sidecar_bench("check", "quick", "--blocks", "2", cwd=tmp_path).stdout
    assert "comparisons need at least 3" in few
    assert "need at least" not in sidecar_bench("check", "quick", "--blocks", "3", cwd=tmp_path).stdout


def test_brackets_are_shown_as_they_are_written(tmp_path: Path) -> None:
    scenario = tmp_path / "[red]mine[-1].yaml"
    scenario.write_text("name: mine\ndescription: 'a [bold]b[/] [/nothing] c :smile:'\n")
    told = sidecar_bench("check", scenario.name, cwd=tmp_path)
    assert (told.returncode, "a [bold]b[/] [/nothing] c :smile:" in told.stdout) == (0, True)


def test_a_terminal_without_unicode_gets_escapes(tmp_path: Path) -> None:
    ended = subprocess.run(
        [str(COMMAND), "check", "quick"], cwd=tmp_path, capture_output=True, timeout=60, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.isascii()
    assert b"5 blocks" in ended.stdout


def test_a_reader_that_goes_away_is_no_violated_threshold(tmp_path: Path) -> None:
    with subprocess.Popen(
        [str(COMMAND), "list"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as listing:
        assert listing.stdout is not None
        listing.stdout.close()
        assert listing.wait(60) == app.PIPE_CLOSED


def test_a_broken_installation_is_no_violated_threshold(tmp_path: Path) -> None:
    start = "import sys; sys.modules['typer'] = None; from bench.__main__ import main; main()"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", start],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": sys.executable},  # of make's, not of Python's
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == app.FAILED
    assert ended.stderr.startswith("sidecar-bench: cannot start (")


def test_a_folder_that_cannot_be_written_is_the_user_s_to_change(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where a folder is to be")
    ended = sidecar_bench("run", "quick", "--stack", "processes", cwd=tmp_path)
    assert ended.returncode == app.INVALID
    assert "results" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_ends_a_run_says_how_to_resume_it_from_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise Interrupted

    monkeypatch.setattr(conductor, "conduct", interrupted)
    elsewhere = tmp_path / "else where"
    ended = sidecar_bench("run", "quick", "--stack", "processes", "--results", str(elsewhere), cwd=tmp_path)
    [run] = elsewhere.iterdir()
    assert ended.returncode == app.INTERRUPTED
    assert f"Resume with: sidecar-bench run --resume '{run}'" in ended.stderr
