"""The wheel: one name among the user's packages, and every command works from wherever they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

import hostile
import pytest

from bench.cli.app import cli

ROOT = Path(__file__).parents[1]
ROOMS = "sidecar_bench/rooms"
FOLDERS = ("scenarios", "traffic", "simulation", "app", "loadtests", "compose", "reports", "bench")
NOT_BUILT_FROM = (".*", "build", "results", "*.egg-info", "__pycache__")
LOG = '10.0.0.1 - - [31/Jan/2026:15:45:{second:02} +0000] "GET /repos/octo/r{path} HTTP/1.1" 200 512\n'


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a copy of the checkout: what was built there before is no part of it."""
    checkout = tmp_path_factory.mktemp("checkout") / "it"
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*NOT_BUILT_FROM))
    shutil.copy(ROOT / ".dockerignore", checkout)
    build = "import setuptools.build_meta, sys; setuptools.build_meta.build_wheel(sys.argv[1])"
    ended = subprocess.run(
        [sys.executable, "-c", build, str(checkout / "dist")],
        cwd=checkout, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    [built] = (checkout / "dist").glob("*.whl")
    return built


@pytest.mark.slow
def test_it_owns_one_name_and_holds_all_that_the_rooms_hold(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"sidecar_bench"}
    files = {
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not {"__pycache__", "secrets"} & set(path.parts)
    }
    held = {name.removeprefix(f"{ROOMS}/") for name in names if name.startswith(f"{ROOMS}/")}
    assert held == files | {".dockerignore"}


@pytest.mark.slow
def test_the_build_context_of_the_docker_stack_is_in_it(wheel: Path) -> None:
    """Whatever compose/Dockerfile copies, from where compose/parts.yaml has it: one folder up."""
    names = zipfile.ZipFile(wheel).namelist()
    for line in (ROOT / "compose" / "Dockerfile").read_text().splitlines():
        if not line.startswith("COPY ") or "--from" in line:
            continue
        for source in line.split()[1:-1]:
            pattern = f"{ROOMS}/{source}" + ("*" if source.endswith("/") else "")
            assert any(Path(name).match(pattern) or name.startswith(pattern.rstrip("*")) for name in names), (
                f"{source} is missing"
            )


def installed(wheel: Path, folder: Path) -> Path:
    """Install the wheel into an environment of its own, which borrows what it depends on; return its bin."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True, timeout=100)
    python = folder / "bin" / "python"
    pip = subprocess.run([base, "-m", "pip", "--version"], capture_output=True, check=False)
    if pip.returncode == 0:
        install = [str(base), "-m", "pip", "--python", str(python), "install", "--quiet"]
    elif uv := shutil.which("uv"):
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        pytest.skip("neither pip nor uv is here to install a wheel with")
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True, timeout=200)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    # What another's wheel may bring.
    for name in ("app", "reports", "scenarios"):
        (site / name).mkdir()
        (site / name / "__init__.py").write_text(f"raise SystemExit('{name} of another was imported')")
    return folder / "bin"


QUICK = ("--stack", "processes", "--blocks", "1", "--duration", "1s", "--set", "schedule.attempts=1")
# By command: what it is given, the exit codes that are right, and words that it says.
COMMANDS: dict[str, tuple[Sequence[str], Sequence[int], str]] = {
    "list": ((), (0,), "quick"),
    "check": (("quick",), (0,), "trials"),
    "doctor": ((), (0,), "redis-server"),
    "run": (("quick", *QUICK), (0, 3), "Report:"),
    "report": (("last",), (0,), "Report:"),
    "show": (("last",), (0,), "sidecar"),
    "log": (("access.log",), (0,), "requests"),
    "predict": (("--rate", "50", "--keys", "100", "--skew", "1"), (0,), "hit"),
    "cost": (("quick",), (0,), "month"),
    "export": (("compose", "quick", "--topology", "sidecar", "--out", "exported"), (0,), ""),
    "selftest": (("--help",), (0,), "six questions"),  # as a whole it takes five minutes: `make selftest`
    "worker": (("--master", "127.0.0.1:1", "--patience", "1"), (2,), "127.0.0.1:1"),
    "clean": ((), (0,), ""),
}


@pytest.mark.long
@pytest.mark.served
@pytest.mark.timeout(1200)
def test_every_command_works_in_an_installation_from_a_folder_of_namesakes(
    wheel: Path, tmp_path: Path
) -> None:
    names = {command.name or getattr(command.callback, "__name__", "") for command in cli.registered_commands}
    assert {name.strip("_") for name in names} == set(COMMANDS)
    bin_ = installed(wheel, tmp_path / "venv")
    there = hostile.folder(tmp_path / "there")
    (there / "access.log").write_text("".join(LOG.format(second=n % 60, path=n % 7) for n in range(120)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for name, (given, codes, words) in COMMANDS.items():
        for command in ([bin_ / "sidecar-bench"], [bin_ / "python", "-m", "sidecar_bench"]):
            if name == "run" and command[-1] == "sidecar_bench":
                continue
            ended = subprocess.run(
                [*command, name, *given],
                cwd=there, env=environment, capture_output=True, text=True, timeout=200, check=False,
            )  # fmt: skip
            said = ended.stdout + ended.stderr
            assert ended.returncode in codes, f"{name}: {said}"
            assert words in said, f"{name}: {said}"
            assert "Traceback" not in said, f"{name}: {said}"
    [run] = (there / "results").iterdir()
    assert {path.name for path in run.iterdir()} >= {"run.json", "end.json", "events.jsonl", "report.html"}
    editable = subprocess.run(
        [bin_ / "python", "-c", "import compose"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "No module named 'compose'" in editable.stderr, "its packages are nobody else's"
