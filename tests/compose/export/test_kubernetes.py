"""The Kubernetes manifests: whether they are valid, who reaches Redis, who knows the password."""

import base64
import dataclasses
import hashlib
import itertools
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import golden
import kubernetes_validate
import pytest
import yaml

from app.settings import Settings
from compose.credentials import acl
from compose.export.compose_files import compose_files
from compose.export.kubernetes import kubernetes
from compose.export.service import Service, service
from scenarios.reading import document
from scenarios.sizing.sizes import MIB

GOLDEN = Path(__file__).with_name("golden")
CASES = list(itertools.product(["sidecar", "separate"], [1, 2, 8]))
both = pytest.mark.parametrize("topology", ["sidecar", "separate"])
all_cases = pytest.mark.parametrize(("topology", "replicas"), CASES)
Manifest = dict[str, Any]


def of(topology: str, replicas: int = 2, **fields: object) -> Service:
    return service(document.load("quick", {"replicas": replicas} | fields), topology)


@cache
def files(topology: str, replicas: int = 2) -> dict[str, str]:
    return kubernetes(of(topology, replicas))


@cache
def manifests(topology: str, replicas: int = 2) -> dict[tuple[str, str], Manifest]:
    read = list(yaml.safe_load_all(files(topology, replicas)["manifests.yaml"]))
    by_name = {(one["kind"], one["metadata"]["name"]): one for one in read}
    assert len(by_name) == len(read)
    return by_name


def of_kind(topology: str, kind: str, replicas: int = 2) -> dict[str, Manifest]:
    return {name: one for (other, name), one in manifests(topology, replicas).items() if other == kind}


def pods(topology: str, replicas: int = 2) -> dict[str, Manifest]:
    return {name: one["spec"]["template"] for name, one in of_kind(topology, "Deployment", replicas).items()}


def containers(topology: str, replicas: int = 2) -> dict[str, Manifest]:
    specs = [pod["spec"] for pod in pods(topology, replicas).values()]
    return {one["name"]: one for spec in specs for one in spec.get("initContainers", []) + spec["containers"]}


def selected(topology: str, labels: dict[str, str]) -> list[str]:
    """Name the Deployments whose pods have all of these labels."""
    return [
        name for name, pod in pods(topology).items() if labels.items() <= pod["metadata"]["labels"].items()
    ]


def let_in(topology: str, deployment: str) -> list[tuple[int, list[str] | None]] | None:
    """List who may open which port of a Deployment's pods: by Deployments, `None` is anybody.

    `None` altogether: no policy selects the pods, and all is open.
    """
    policies = [
        policy["spec"]
        for policy in of_kind(topology, "NetworkPolicy").values()
        if deployment in selected(topology, policy["spec"]["podSelector"]["matchLabels"])
        and "Ingress" in policy["spec"]["policyTypes"]
    ]
    rules = [rule for policy in policies for rule in policy.get("ingress", [])]
    found: list[tuple[int, list[str] | None]] = []
    for rule in rules:
        sources = None
        for source in rule.get("from", []):
            assert list(source) == ["podSelector"], "another namespace, or addresses"
            sources = [*(sources or []), *selected(topology, source["podSelector"]["matchLabels"])]
        assert rule["ports"], "a rule without ports opens all of them"
        found += [(port["port"], sources) for port in rule["ports"]]
    return found if policies else None


def argument(container: Manifest, name: str) -> str:
    arguments: list[str] = container["args"]
    return arguments[arguments.index(name) + 1]


@all_cases
# The oldest that is promised, and the newest that the schemas know.
@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_every_manifest_is_valid_strictly(topology: str, replicas: int, version: str) -> None:
    for manifest in manifests(topology, replicas).values():
        kubernetes_validate.validate(manifest, version, strict=True)


@all_cases
def test_the_manifests_are_those_that_were_agreed_on(topology: str, replicas: int) -> None:
    golden.check(
        GOLDEN / f"kubernetes-{topology}-{replicas}.yaml", files(topology, replicas)["manifests.yaml"]
    )


def test_redis_is_reached_from_the_apps_pods_only() -> None:
    assert let_in("separate", "content-redis") == [(6379, ["content"])]


def test_redis_is_closed_by_a_policy_of_its_own_in_both_directions() -> None:
    closed = of_kind("separate", "NetworkPolicy")["content-redis-closed"]["spec"]
    assert selected("separate", closed["podSelector"]["matchLabels"]) == ["content-redis"]
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in closed
    assert "egress" not in closed


@both
def test_the_app_is_reached_on_its_port_only(topology: str) -> None:
    assert let_in(topology, "content") == [(8000, None)]


def test_a_sidecar_listens_on_loopback_only_and_has_no_port_and_no_service() -> None:
    redis = containers("sidecar")["redis"]
    assert argument(redis, "--bind") == "127.0.0.1"
    assert "ports" not in redis
    assert list(of_kind("sidecar", "Service")) == ["content"]
    assert list(of_kind("sidecar", "Deployment")) == ["content"]


def test_a_sidecar_is_native_and_the_app_waits_until_it_answers() -> None:
    spec = pods("sidecar")["content"]["spec"]
    [redis] = spec["initContainers"]
    assert redis["restartPolicy"] == "Always"
    assert "redis-cli --user app ping" in redis["startupProbe"]["exec"]["command"][-1]
    assert [one["name"] for one in spec["containers"]] == ["app"]


def test_a_separate_redis_is_found_by_the_name_of_its_service() -> None:
    environment = {one["name"]: one["value"] for one in containers("separate")["app"]["env"]}
    found = of_kind("separate", "Service")[environment["REDIS_HOST"]]["spec"]
    assert selected("separate", found["selector"]) == ["content-redis"]
    assert [port["port"] for port in found["ports"]] == [int(environment["REDIS_PORT"])]


@all_cases
def test_selectors_match_the_pods_that_they_mean(topology: str, replicas: int) -> None:
    for name, deployment in of_kind(topology, "Deployment", replicas).items():
        assert selected(topology, deployment["spec"]["selector"]["matchLabels"]) == [name]
        spread = pods(topology, replicas)[name]["spec"].get("topologySpreadConstraints", [])
        assert bool(spread) == (name == "content" and replicas > 1)
        for constraint in spread:
            assert selected(topology, constraint["labelSelector"]["matchLabels"]) == [name]
    for name, one in of_kind(topology, "Service", replicas).items():
        assert selected(topology, one["spec"]["selector"]) == [name]
        ports = {port["name"] for c in containers(topology, replicas).values() for port in c.get("ports", [])}
        assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports
    [budget] = of_kind(topology, "PodDisruptionBudget", replicas).values()
    assert selected(topology, budget["spec"]["selector"]["matchLabels"]) == ["content"]


@all_cases
def test_replicas_are_left_to_autoscaling_which_begins_with_the_scenarios(
    topology: str, replicas: int
) -> None:
    [scaler] = of_kind(topology, "HorizontalPodAutoscaler", replicas).values()
    assert scaler["spec"]["minReplicas"] == replicas
    assert scaler["spec"]["maxReplicas"] > replicas
    target = scaler["spec"]["scaleTargetRef"]
    scaled = manifests(topology, replicas)[target["kind"], target["name"]]
    assert "replicas" not in scaled["spec"]
    [metric] = scaler["spec"]["metrics"]
    assert metric["containerResource"]["container"] == "app"


@all_cases
def test_a_node_can_be_drained_and_a_deployment_takes_no_replica_away(topology: str, replicas: int) -> None:
    [budget] = of_kind(topology, "PodDisruptionBudget", replicas).values()
    assert budget["spec"]["maxUnavailable"] == 1, "with one replica minAvailable would let no node be drained"
    assert "minAvailable" not in budget["spec"]
    for deployment in of_kind(topology, "Deployment", replicas).values():
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@all_cases
def test_no_container_runs_as_root_or_may_become_it(topology: str, replicas: int) -> None:
    for pod in pods(topology, replicas).values():
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["automountServiceAccountToken"] is False
    for container in containers(topology, replicas).values():
        context = container["securityContext"]
        assert context["runAsUser"] > 10_000
        assert context["runAsGroup"] > 10_000
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}


@all_cases
def test_every_container_has_limits_and_redis_keeps_less_than_its_own(topology: str, replicas: int) -> None:
    for container in containers(topology, replicas).values():
        limits, requests = container["resources"]["limits"], container["resources"]["requests"]
        assert set(limits) == {"memory"}, "the scenario limits no CPU"
        assert set(requests) == {"cpu", "memory"}
        assert requests["memory"] == limits["memory"]
    redis = containers(topology, replicas)["redis"]
    limit = re.fullmatch(r"(\d+)Mi", redis["resources"]["limits"]["memory"])
    assert limit is not None
    assert int(limit[1]) * MIB >= 1.25 * int(argument(redis, "--maxmemory"))


@pytest.mark.parametrize(("topology", "path"), [("sidecar", "/readyz"), ("separate", "/healthz")])
def test_only_a_redis_of_its_own_decides_whether_a_replica_is_in_service(topology: str, path: str) -> None:
    app = containers(topology)["app"]
    assert app["readinessProbe"]["httpGet"] == {"path": path, "port": "http"}
    for probe in ("livenessProbe", "startupProbe"):
        assert app[probe]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert app["ports"] == [{"name": "http", "containerPort": 8000}]


@all_cases
def test_no_secret_is_in_any_file_and_containers_get_theirs_as_files(topology: str, replicas: int) -> None:
    assert of_kind(topology, "Secret", replicas) == {}
    text = "".join(files(topology, replicas).values())
    assert re.search(r"[0-9a-f]{32}", text) is None, "a password or its hash"
    for container in containers(topology, replicas).values():
        for variable in container.get("env", []):
            assert "valueFrom" not in variable
            assert variable["name"] not in ("REDIS_PWD", "UPSTREAM_TOKEN")
    for pod in pods(topology, replicas).values():
        assert {one["secret"]["secretName"] for one in pod["spec"]["volumes"]} == {"content"}
        assert {one["secret"]["defaultMode"] for one in pod["spec"]["volumes"]} == {0o440}
        assert pod["spec"]["securityContext"]["fsGroup"] >= 10_000, "who reads them is not root"


@both
def test_each_gets_its_own_secrets_alone_where_it_looks_for_them(topology: str) -> None:
    app = containers(topology)["app"]
    [mount] = app["volumeMounts"]
    [volume] = [one for one in pods(topology)["content"]["spec"]["volumes"] if one["name"] == mount["name"]]
    paths = {f"{mount['mountPath']}/{item['path']}" for item in volume["secret"]["items"]}
    read = [one["value"] for one in app["env"] if one["name"].endswith("_FILE")]
    assert (
        paths == set(read) == {"/run/secrets/content/redis-password", "/run/secrets/content/upstream-token"}
    )
    [mount] = containers(topology)["redis"]["volumeMounts"]
    specs = [pod["spec"]["volumes"] for pod in pods(topology).values()]
    [volume] = [one for volumes in specs for one in volumes if one["name"] == mount["name"]]
    assert [item["path"] for item in volume["secret"]["items"]] == ["redis-password", "redis-acl"]
    assert argument(containers(topology)["redis"], "--aclfile") == f"{mount['mountPath']}/redis-acl"


@both
def test_the_app_understands_its_variables(tmp_path: Path, topology: str) -> None:
    (tmp_path / "password").write_text("pw")
    (tmp_path / "token").write_text("tk\n")
    environment = {one["name"]: one["value"] for one in containers(topology)["app"]["env"]}
    files = {"REDIS_PWD_FILE": str(tmp_path / "password"), "UPSTREAM_TOKEN_FILE": str(tmp_path / "token")}
    settings = Settings.from_environment(environment | files)
    measured = Settings.from_environment(
        dict(of(topology).settings) | {"UPSTREAM_URL": "https://api.github.com"}
    )
    assert settings == dataclasses.replace(
        measured,
        upstream_token="tk",
        redis_host="127.0.0.1" if topology == "sidecar" else "content-redis",
        redis_user="app",
        redis_password="pw",
    )


@both
def test_the_variables_of_services_do_not_get_in_the_apps_way(topology: str) -> None:
    # A Service named redis would set REDIS_PORT=tcp://…, which the app rightly refuses.
    for pod in pods(topology).values():
        assert pod["spec"]["enableServiceLinks"] is False


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_the_script_makes_the_secret_that_the_pods_mount(tmp_path: Path) -> None:
    script = tmp_path / "secret.sh"
    script.write_text(files("sidecar")["secret.sh"])
    command = ["sh", str(script), "-n", "elsewhere", "--dry-run=client", "--output=yaml"]
    (tmp_path / "token").write_text("ghp_abc\n")
    environment = dict(os.environ) | {"UPSTREAM_TOKEN_FILE": "token"}

    def made() -> Manifest:
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30, check=True
        )
        assert ended.stderr == ""
        read: Manifest = yaml.safe_load(ended.stdout)
        return read

    secret = made()
    kubernetes_validate.validate(secret, "1.30", strict=True)
    assert (secret["kind"], secret["metadata"]["name"]) == ("Secret", "content")
    assert secret["metadata"]["namespace"] == "elsewhere"
    data = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
    assert set(data) == {"redis-password", "redis-acl", "upstream-token"}
    assert data["upstream-token"] == "ghp_abc\n"
    assert len(data["redis-password"]) == 64
    assert data["redis-acl"] == acl(hashlib.sha256(data["redis-password"].encode()).hexdigest())
    assert made()["data"] != secret["data"], "the same password twice"
    assert {path.name for path in tmp_path.iterdir()} == {"secret.sh", "token"}


@both
def test_redis_is_run_and_asked_as_in_compose_where_that_was_tried_on_a_real_one(topology: str) -> None:
    services = yaml.safe_load(compose_files(of(topology))["compose.yaml"])["services"]
    tried = services["redis-1" if topology == "sidecar" else "redis"]
    redis = containers(topology)["redis"]
    moved = [argument.replace("/run/secrets/redis/", "/run/secrets/") for argument in redis["args"]]
    assert redis["command"] + moved == tried["entrypoint"] + tried["command"]
    for probe in ("startupProbe", "livenessProbe"):
        shell, flag, check = redis[probe]["exec"]["command"]
        assert (shell, flag) == ("sh", "-c")
        asked = tried["healthcheck"]["test"][-1].replace("$$", "$")
        assert check.replace("/run/secrets/redis/", "/run/secrets/") == asked


def test_a_bit_of_cpu_is_asked_for_in_thousandths() -> None:
    text = kubernetes(of("sidecar", **{"resources.cpus": 0.5}))["manifests.yaml"]
    assert "limits: {cpu: 500m, memory: 256Mi}" in text
