"""Children: the same environment and the same modules, whatever the user's surroundings are."""

import json
import os
import subprocess
from pathlib import Path

import hostile
import pytest

from compose.host import launch, sealed

TELL = """
import json, os, sys
modules = [__import__(name).__file__ for name in sys.argv[1:]]
print(json.dumps([sys.path, dict(os.environ), str(sys.flags), os.getcwd(), modules]))
"""


def told() -> list[object]:
    """Return what a child says of itself."""
    command = launch.command(sealed.python("-c", TELL, *hostile.MODULES))
    said = subprocess.check_output(command, env=sealed.environment("run"), cwd=sealed.CWD)
    read: list[object] = json.loads(said)
    return read


def test_a_hostile_environment_and_folder_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = told()
    folder = hostile.folder(tmp_path, customize=True)
    monkeypatch.chdir(folder)
    for name, value in (hostile.ENVIRONMENT | {"PYTHONPATH": str(folder)}).items():
        monkeypatch.setenv(name, value)
    assert told() == clean


def test_a_child_gets_its_own_settings_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "10.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", "/certificates")
    found = sealed.environment("a-run", CACHE_TTL="60")
    assert found["CACHE_TTL"] == "60"
    assert found["SIDECAR_BENCH_RUN"] == "a-run"
    assert {"REDIS_HOST", "SSL_CERT_FILE"}.isdisjoint(found)
    passed_on = sealed.environment("a-run", passed_on=sealed.CERTIFICATES)
    assert passed_on["SSL_CERT_FILE"] == "/certificates"


def test_compose_reads_images_and_indices_from_the_environment_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    meant = {"PYTHON_IMAGE": "mirror/python", "REDIS_IMAGE": "mirror/redis", "PIP_INDEX_URL": "https://index"}
    not_meant = ("COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "DOCKER_DEFAULT_PLATFORM",
                 "DOCKER_CONTEXT", "CACHE_TTL", "REDIS_MAXMEMORY", "UPSTREAM_LATENCY_MS")  # fmt: skip
    for name, value in (meant | dict.fromkeys(not_meant, "other")).items():
        monkeypatch.setenv(name, value)
    found = sealed.docker_environment()
    assert {name: found[name] for name in meant} == meant
    assert found.keys().isdisjoint(not_meant)


def test_library_and_command_line_speak_to_the_same_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert sealed.docker_environment()["DOCKER_HOST"] == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2376")
    assert sealed.docker_environment()["DOCKER_HOST"] == "tcp://10.0.0.1:2376"


def test_every_program_is_started_in_sealed_surroundings() -> None:
    """No module but `sealed` hands the whole environment on."""
    rooms = [Path(launch.__file__).parents[1] / name for name in ("bench", "compose", "loadtests")]
    found = {
        path.name
        for room in rooms
        for path in room.rglob("*.py")
        if "**os.environ" in (text := path.read_text()) or "os.environ |" in text or "env=os.environ" in text
    }
    assert found == set()
    assert os.environ, "which would be handed on"
