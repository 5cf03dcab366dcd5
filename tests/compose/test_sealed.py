"""Children: the same environment and the same modules, whatever the user's surroundings are."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from compose import launch, sealed

HOSTILE = {
    "REDIS_HOST": "10.0.0.1", "REDIS_URL": "redis://10.0.0.1", "CACHE_L1": "60", "CACHE_TTL": "1",
    "UPSTREAM_URL": "http://10.0.0.1", "UPSTREAM_TOKEN": "secret", "UPSTREAM_STALLED": "true",
    "WEB_CONCURRENCY": "4", "UVICORN_PORT": "1", "UVICORN_WORKERS": "4", "FORWARDED_ALLOW_IPS": "*",
    "PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "7", "PYTHONSTARTUP": "start.py", "PYTHONWARNINGS": "error",
    "PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1", "PYTHONUSERBASE": "/nowhere", "PYTHONMALLOC": "debug",
    "LOCUST_HOST": "http://10.0.0.1", "LOCUST_USERS": "1", "GEVENT_LOOP": "nonsense", "GEVENT_RESOLVER": "x",
    "LIBEV_FLAGS": "1", "MALLOC_ARENA_MAX": "1", "MALLOC_PERTURB_": "9", "GLIBC_TUNABLES": "x",
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LD_PRELOAD": "", "LC_ALL": "de_DE",
    "HOME": "/nowhere", "XDG_CONFIG_HOME": "/nowhere", "HTTP_PROXY": "http://10.0.0.1",
    "SSLKEYLOGFILE": "keys", "TZ": "Asia/Tokyo",
}  # fmt: skip
# Modules that a child imports, of ours and of others; the current folder has them all.
SHADOWS = (
    "app",
    "loadtests",
    "compose",
    "scenarios",
    "traffic",
    "uvicorn",
    "redis",
    "locust",
    "json",
    "gevent",
)
TELL = """
import json, os, sys
modules = [__import__(name).__file__ for name in sys.argv[1:]]
print(json.dumps([sys.path, dict(os.environ), str(sys.flags), os.getcwd(), modules]))
"""


def hostile_folder(folder: Path) -> Path:
    """Fill a folder with modules that must never be imported."""
    for name in (*SHADOWS, "sitecustomize", "usercustomize"):
        (folder / f"{name}.py").write_text("raise SystemExit('the current folder was imported')")
    for package in ("app", "reports"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text("raise SystemExit('the current folder was imported')")
        (folder / package / "main.py").write_text("raise SystemExit('the current folder was imported')")
    return folder


def told() -> list[object]:
    """Return what a child says of itself."""
    said = subprocess.check_output(
        launch.command(sealed.python("-c", TELL, *SHADOWS)), env=sealed.environment("run"), cwd=sealed.CWD
    )
    read: list[object] = json.loads(said)
    return read


def test_a_hostile_environment_and_folder_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = told()
    folder = hostile_folder(tmp_path)
    monkeypatch.chdir(folder)
    for name, value in (HOSTILE | {"PYTHONPATH": str(folder)}).items():
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
