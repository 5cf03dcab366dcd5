"""The user's surroundings reach nothing that is measured: whole runs in hostile ones, beside a clean one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hostile import ENVIRONMENT, folder
from servers import RedisServer, free_port

COMMAND = Path(sys.executable).with_name("sidecar-bench")
ENDED = (
    0,
    3,
)  # 3: on a machine as busy as CI's no trial may be valid; what is counted is counted all the same

pytestmark = [pytest.mark.slow]


def run(cwd: Path, results: Path, topology: str, surroundings: dict[str, str]) -> dict[str, Any]:
    """Run one trial; return its record."""
    command = [
        *(str(COMMAND), "run", "quick", "--stack", "processes", "--topology", topology, "--blocks", "1"),
        *("--duration", "2s", "--rate", "60", "--ttl", "60s", "--set", "schedule.attempts=1"),
        *("--set", "schedule.start=cold", "--set", "workload.keys.count=20", "--results", str(results)),
    ]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(
        command, cwd=cwd, env=bare | surroundings, capture_output=True, text=True, timeout=100, check=False
    )
    assert ended.returncode in ENDED, ended.stderr
    [path] = results.glob("*/trials/*/trial.json")
    read: dict[str, Any] = json.loads(path.read_text())
    assert read["fault"] is None, read["fault"]
    return read


@pytest.fixture
def stranger(tmp_path: Path) -> Any:
    """A Redis of the user's own, without a password: the bench must never speak to it."""
    server = RedisServer(tmp_path, free_port(), password="")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("topology", ["none", "sidecar"])
def test_a_run_in_hostile_surroundings_is_the_run_in_clean_ones(
    topology: str, tmp_path: Path, stranger: RedisServer
) -> None:
    (tmp_path / "clean").mkdir()
    clean = run(tmp_path / "clean", tmp_path / "clean" / "results", topology, {})
    there = folder(tmp_path / "hostile")
    surroundings = ENVIRONMENT | {
        "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(stranger.port), "PYTHONPATH": str(there),
    }  # fmt: skip
    hostile = run(there, tmp_path / "results", topology, surroundings)
    assert stranger.command("DBSIZE") == ":0"
    assert hostile["load"]["requests"] == clean["load"]["requests"] > 80
    assert hostile["app"]["outcomes"].keys() == clean["app"]["outcomes"].keys()
    assert hostile["upstream"]["calls"] == hostile["app"]["upstream_calls"]
    if topology == "none":
        assert (
            hostile["load"]["outcomes"] == clean["load"]["outcomes"] == {"bypass": clean["load"]["requests"]}
        )
    # The settings are the scenario's: each replica fetches each key once, or nearly.
    assert abs(hostile["upstream"]["calls"] - clean["upstream"]["calls"]) <= 3


@pytest.mark.parametrize(
    "command", [[str(COMMAND)], [sys.executable, "-m", "bench"]], ids=["script", "module"]
)
@pytest.mark.parametrize("pythonpath", [True, False])
def test_the_command_itself_is_not_bent(tmp_path: Path, command: tuple[str, ...], pythonpath: bool) -> None:
    there = folder(tmp_path / "hostile")
    surroundings = os.environ | ENVIRONMENT | ({"PYTHONPATH": str(there)} if pythonpath else {})
    ended = subprocess.run(
        [*command, "list"], cwd=there, env=surroundings, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "quick" in ended.stdout
