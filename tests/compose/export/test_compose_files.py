"""The Compose file for one host: whether Compose takes it, who reaches Redis, who knows the password."""

import dataclasses
import hashlib
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import golden
import pytest
import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.settings import Settings
from compose.credentials import acl
from compose.export.compose_files import compose_files
from compose.export.service import Service, service
from compose.host import redis_binary
from scenarios.reading import document
from scenarios.sizing.sizes import MIB

GOLDEN = Path(__file__).with_name("golden")
CASES = list(itertools.product(["sidecar", "separate"], [1, 2, 8]))
both = pytest.mark.parametrize("topology", ["sidecar", "separate"])
all_cases = pytest.mark.parametrize(("topology", "replicas"), CASES)


def of(topology: str, replicas: int = 2, **fields: object) -> Service:
    return service(document.load("quick", {"replicas": replicas} | fields), topology)


@cache
def files(topology: str, replicas: int = 2) -> dict[str, str]:
    return compose_files(of(topology, replicas))


@cache
def parsed(topology: str, replicas: int = 2) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(files(topology, replicas)["compose.yaml"])
    return read


def services(topology: str, role: str = "", replicas: int = 2) -> dict[str, dict[str, Any]]:
    """Return the services of a role: `app`, `redis`, `task`; all without one."""
    found = parsed(topology, replicas)["services"].items()
    return {name: one for name, one in found if not role or name.split("-")[0] == role}


def argument(one: dict[str, Any], name: str) -> str:
    command: list[str] = one["command"]
    return command[command.index(name) + 1]


@cache
def lacks_compose() -> str | None:
    try:
        ended = subprocess.run(
            ["docker", "compose", "version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if ended.returncode == 0 else ended.stderr.strip() or "docker has no Compose"


GIVEN = {"APP_IMAGE": "content:1", "UPSTREAM_URL": "https://upstream.invalid"}


def config(
    folder: Path, topology: str, replicas: int, given: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Ask Compose how it understands an export."""
    lacking = lacks_compose()
    if lacking and not os.environ.get("SIDECAR_BENCH_REQUIRE_ENGINE"):
        pytest.skip(f"no docker compose here: {lacking}")
    for name, text in files(topology, replicas).items():
        (folder / name).write_text(text)
    command = ["docker", "compose", "config", "--format", "json"]
    environment = {name: value for name, value in os.environ.items() if name not in GIVEN} | given
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@all_cases
def test_compose_takes_the_file_and_means_the_same_by_it(
    tmp_path: Path, topology: str, replicas: int
) -> None:
    ended = config(tmp_path, topology, replicas, GIVEN)
    assert (ended.returncode, ended.stderr) == (0, "")
    understood = json.loads(ended.stdout)["services"]
    assert set(understood) == set(services(topology, replicas=replicas))
    for name, one in services(topology, "redis", replicas).items():
        assert understood[name]["command"] == one["command"]
        assert understood[name]["healthcheck"]["test"] == one["healthcheck"]["test"]
        limit = int(understood[name]["deploy"]["resources"]["limits"]["memory"])
        assert limit >= 1.25 * int(argument(one, "--maxmemory"))


@pytest.mark.parametrize("forgotten", GIVEN)
def test_who_forgets_a_variable_is_told_which(tmp_path: Path, forgotten: str) -> None:
    given = {name: value for name, value in GIVEN.items() if name != forgotten}
    ended = config(tmp_path, "sidecar", 1, given)
    assert ended.returncode != 0
    assert forgotten in ended.stderr


@all_cases
def test_the_file_is_the_one_that_was_agreed_on(topology: str, replicas: int) -> None:
    golden.check(GOLDEN / f"compose-{topology}-{replicas}.yaml", files(topology, replicas)["compose.yaml"])


@all_cases
def test_each_replica_has_a_port_of_loopback_and_nothing_else_is_published(
    topology: str, replicas: int
) -> None:
    ports = []
    for name, one in services(topology, replicas=replicas).items():
        for port in one.get("ports", []):
            assert (port["host_ip"], port["target"]) == ("127.0.0.1", 8000)
            assert not name.startswith("redis")
            ports.append(int(port["published"]))
    assert ports == list(range(8001, 8001 + replicas)), "known to the proxy before them"


@pytest.mark.parametrize("replicas", [1, 2, 8])
def test_a_sidecar_and_its_app_share_a_namespace_that_neither_holds(replicas: int) -> None:
    tasks = services("sidecar", "task", replicas)
    assert len(tasks) == replicas
    for name, task in tasks.items():
        inside = {
            other
            for other, one in services("sidecar", replicas=replicas).items()
            if one.get("network_mode") == f"service:{name}"
        }
        number = name.removeprefix("task-")
        assert inside == {f"app-{number}", f"redis-{number}"}
        assert task["entrypoint"] == ["sleep", "infinity"], "what ends takes the namespace with it"
    for one in services("sidecar", "redis", replicas).values():
        assert argument(one, "--bind") == "127.0.0.1"
    for name, one in services("sidecar", "app", replicas).items():
        assert one["environment"]["REDIS_HOST"] == "127.0.0.1"
        waited = name.replace("app", "redis")
        assert one["depends_on"] == {waited: {"condition": "service_healthy"}}


@pytest.mark.parametrize("replicas", [1, 2, 8])
def test_a_separate_redis_is_reached_by_the_app_alone(replicas: int) -> None:
    everything = services("separate", replicas=replicas)
    [shared] = everything["redis"]["networks"]
    apps = services("separate", "app", replicas)
    assert len(apps) == replicas
    assert {name for name, one in everything.items() if shared in one["networks"]} == {*apps, "redis"}
    network = parsed("separate", replicas)["networks"][shared]
    assert network["internal"] is True, "nothing leads out"
    assert network["driver_opts"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}, (
        "the host is no member"
    )
    assert {one["environment"]["REDIS_HOST"] for one in apps.values()} == {"redis"}


@all_cases
def test_no_container_runs_as_root_or_may_write_or_gain_anything(topology: str, replicas: int) -> None:
    for name, one in services(topology, replicas=replicas).items():
        user, group = (int(part) for part in one["user"].split(":"))
        assert min(user, group) > 10_000, name
        assert one["read_only"] is True
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert one["restart"] == "unless-stopped"
        assert one["logging"]["options"]["max-size"], "logs must not fill the disk"


@all_cases
def test_every_container_has_limits_and_redis_keeps_less_than_its_own(topology: str, replicas: int) -> None:
    for name, one in services(topology, replicas=replicas).items():
        asked = {"memory", "cpus"} if name.startswith("task") else {"memory"}
        assert set(one["deploy"]["resources"]["limits"]) == asked, "the scenario limits no CPU"
    limited = yaml.safe_load(compose_files(of(topology, replicas, **{"resources.cpus": 0.5}))["compose.yaml"])
    for one in limited["services"].values():
        assert set(one["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    for one in services(topology, "redis", replicas).values():
        limit = re.fullmatch(r"(\d+)M", one["deploy"]["resources"]["limits"]["memory"])
        assert limit is not None
        assert int(limit[1]) * MIB >= 1.25 * int(argument(one, "--maxmemory"))


@pytest.mark.parametrize(("topology", "path"), [("sidecar", "/readyz"), ("separate", "/healthz")])
def test_health_is_that_of_the_app_and_of_a_redis_of_its_own(topology: str, path: str) -> None:
    for one in services(topology, "app").values():
        assert f"'http://127.0.0.1:8000{path}'" in one["healthcheck"]["test"][-1]


@all_cases
def test_no_secret_is_in_any_file_and_containers_get_theirs_as_files(topology: str, replicas: int) -> None:
    text = "".join(files(topology, replicas).values())
    assert re.search(r"[0-9a-f]{32}", text) is None, "a password or its hash"
    assert parsed(topology, replicas)["secrets"] == {
        name: {"file": f"./secrets/{name}"} for name in ("redis-password", "redis-acl", "upstream-token")
    }
    for one in services(topology, replicas=replicas).values():
        assert "REDIS_PWD" not in one.get("environment", {})
    for one in services(topology, "app", replicas).values():
        assert one["secrets"] == ["redis-password", "upstream-token"]
        assert one["environment"]["REDIS_PWD_FILE"] == "/run/secrets/redis-password"
        assert one["environment"]["UPSTREAM_TOKEN_FILE"] == "/run/secrets/upstream-token"
    for one in services(topology, "redis", replicas).values():
        assert argument(one, "--aclfile") == "/run/secrets/redis-acl"
        assert one["secrets"] == ["redis-password", "redis-acl"], "the token is none of Redis's"


@both
def test_the_app_understands_its_variables(tmp_path: Path, topology: str) -> None:
    (tmp_path / "password").write_text("pw")
    (tmp_path / "token").write_text("tk\n")
    for one in services(topology, "app").values():
        given = {
            "REDIS_PWD_FILE": str(tmp_path / "password"),
            "UPSTREAM_TOKEN_FILE": str(tmp_path / "token"),
            "UPSTREAM_URL": GIVEN["UPSTREAM_URL"],
        }
        settings = Settings.from_environment(
            dict(of(topology).settings) | {"UPSTREAM_URL": GIVEN["UPSTREAM_URL"]}
        )
        assert Settings.from_environment(one["environment"] | given) == dataclasses.replace(
            settings,
            upstream_token="tk",
            redis_host="127.0.0.1" if topology == "sidecar" else "redis",
            redis_user="app",
            redis_password="pw",
        )


@all_cases
def test_it_stands_alone(topology: str, replicas: int) -> None:
    assert not {"include"} & set(parsed(topology, replicas))
    for one in services(topology, replicas=replicas).values():
        assert not {"extends", "build", "env_file", "volumes"} & set(one)
        assert one["image"]


def script(
    folder: Path, topology: str = "sidecar", token: str | None = "mine"
) -> subprocess.CompletedProcess[str]:
    """Run secrets.sh from elsewhere, as it was exported into a folder."""
    path = folder / "secrets.sh"
    path.write_text(files(topology)["secrets.sh"])
    (folder / "mine").write_text("ghp_abc\n")
    environment = {"PATH": os.environ["PATH"]} | ({"UPSTREAM_TOKEN_FILE": token} if token else {})
    return subprocess.run(
        ["sh", str(path)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_script_makes_the_files_that_are_mounted_and_prints_nothing(tmp_path: Path) -> None:
    ended = script(tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    made = {path.name: path for path in (tmp_path / "secrets").iterdir()}
    assert set(made) == {".gitignore", *parsed("sidecar")["secrets"]}
    assert made[".gitignore"].read_text() == "*\n", "committed by nobody"
    assert made["upstream-token"].read_text() == "ghp_abc\n"
    password = made["redis-password"].read_text()
    assert re.fullmatch(r"[0-9a-f]{64}", password)
    assert made["redis-acl"].read_text() == acl(hashlib.sha256(password.encode()).hexdigest())
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    for name in ("redis-password", "redis-acl"):
        assert made[name].stat().st_mode & 0o777 == 0o644, "containers read it under users of their own"


def test_without_a_token_the_script_says_what_that_means_and_makes_nothing(tmp_path: Path) -> None:
    ended = script(tmp_path, token=None)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "60 calls an hour" in ended.stderr
    assert "--no-token" in ended.stderr
    assert not (tmp_path / "secrets").exists()


def test_a_token_that_cannot_be_read_is_named_before_anything_is_made(tmp_path: Path) -> None:
    ended = script(tmp_path, token="nowhere")
    assert ended.returncode == 1
    assert ended.stderr == f"UPSTREAM_TOKEN_FILE: {tmp_path}/nowhere cannot be read\n"
    assert not (tmp_path / "secrets").exists()


def test_run_again_the_script_keeps_the_password_that_redis_has(tmp_path: Path) -> None:
    script(tmp_path)
    before = (tmp_path / "secrets" / "redis-password").read_text()
    again = script(tmp_path)
    assert again.returncode == 1
    assert "left alone" in again.stderr
    assert (tmp_path / "secrets" / "redis-password").read_text() == before


@contextmanager
def started(topology: str, folder: Path) -> Iterator[int]:
    """Run Redis as the file says, with the secrets of a folder, on a free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = services(topology, "redis")["redis-1" if topology == "sidecar" else "redis"]["command"]
    local = {"/run/secrets/redis-acl": str(folder / "redis-acl"), "6379": str(port), "0.0.0.0": "127.0.0.1"}
    binary = redis_binary.find()
    if tuple(int(part) for part in binary.version.split(".")[:2]) < (7, 2):
        known = (folder / "redis-acl").read_text().replace(" +client|setinfo", "")
        (folder / "redis-acl").write_text(known)  # an older server does not know it
    server = [str(binary.path), *(local.get(one, one) for one in command)]
    process = subprocess.Popen(server, stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


@both
def test_redis_starts_as_written_and_lets_in_the_apps_user_alone(
    tmp_path: Path, wait_until: Callable[..., None], topology: str
) -> None:
    script(tmp_path, topology)
    folder = tmp_path / "secrets"
    password = (folder / "redis-password").read_text()

    def client(**login: str) -> redis.Redis:
        return redis.Redis("127.0.0.1", port, retry=Retry(NoBackoff(), 0), **login)

    def answers() -> bool:
        try:
            return bool(app.ping())
        except redis.ConnectionError:
            return False

    with started(topology, folder) as port:
        app = client(username="app", password=password)
        wait_until(answers)
        assert app.set("content:zen", b"x", px=60_000)
        assert app.get("content:zen") == b"x"
        for refused in (lambda: app.set("other", "x"), app.flushall, lambda: app.config_get("*")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                refused()
        for stranger in (client(), client(username="app", password="guess")):
            with pytest.raises(redis.AuthenticationError):
                stranger.ping()


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="needs redis-cli")
def test_the_health_check_tells_a_redis_that_answers_from_one_that_does_not(
    tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    script(tmp_path)
    folder = tmp_path / "secrets"
    kind, check = services("sidecar", "redis")["redis-1"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    with started("sidecar", folder) as port:
        # Compose turns `$$` into `$`.
        local = check.replace("$$", "$").replace("/run/secrets", str(folder))
        command = ["sh", "-c", local.replace("redis-cli", f"redis-cli -p {port}")]

        def healthy() -> bool:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

        wait_until(healthy)
        (folder / "redis-password").write_text("guess")
        assert not healthy()
    assert not healthy()
