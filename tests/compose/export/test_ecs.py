"""The CloudFormation template: what cfn-lint says of it, who reaches Redis, who knows the password."""

import itertools
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
import psutil
import pytest
import redis
import yaml
from cfnlint.api import lint_all
from cfnlint.decode import decode_str
from redis.backoff import NoBackoff
from redis.retry import Retry

from compose.docker.composition import PARTS
from compose.export.ecs import Size, ecs, task_size
from compose.export.service import Service, service
from compose.host import redis_binary
from scenarios.reading import document
from scenarios.reading.document import ScenarioError
from scenarios.sizing.fargate import SIZES
from scenarios.sizing.sizes import MIB

GOLDEN = Path(__file__).with_name("golden")
CASES = list(itertools.product(["sidecar", "separate"], [1, 2, 8]))
both = pytest.mark.parametrize("topology", ["sidecar", "separate"])
all_cases = pytest.mark.parametrize(("topology", "replicas"), CASES)


def of(topology: str, replicas: int = 2, **fields: object) -> Service:
    return service(document.load("quick", {"replicas": replicas} | fields), topology)


@cache
def text(topology: str, replicas: int = 2) -> str:
    return ecs(of(topology, replicas))["template.yaml"]


@cache
def template(topology: str, replicas: int = 2) -> dict[str, Any]:
    decoded, problems = decode_str(text(topology, replicas))
    assert decoded is not None, problems
    return dict(decoded)


def resources(topology: str, kind: str, replicas: int = 2) -> dict[str, dict[str, Any]]:
    found = template(topology, replicas)["Resources"].items()
    return {name: resource.get("Properties", {}) for name, resource in found if resource["Type"] == kind}


def containers(topology: str, replicas: int = 2) -> dict[str, dict[str, Any]]:
    tasks = resources(topology, "AWS::ECS::TaskDefinition", replicas).values()
    return {one["Name"]: one for task in tasks for one in task["ContainerDefinitions"]}


def rules(topology: str, direction: str) -> list[tuple[str, dict[str, Any]]]:
    """List the rules of all groups, with the group that each belongs to; both branches of an `If` count."""
    found = []
    for name, group in resources(topology, "AWS::EC2::SecurityGroup").items():
        for rule in group.get(f"SecurityGroup{direction}", []):
            branches = rule["Fn::If"][1:] if "Fn::If" in rule else [rule]
            found += [(name, branch) for branch in branches if "Ref" not in branch]
    for rule in resources(topology, f"AWS::EC2::SecurityGroup{direction}").values():
        found.append((rule["GroupId"]["Ref"], rule))
    return found


def ports(rule: dict[str, Any]) -> range:
    return range(rule["FromPort"], rule["ToPort"] + 1)


@pytest.mark.parametrize(
    ("topology", "replicas"),
    # Between numbers of replicas only numbers differ.
    [pytest.param(*case, marks=[] if case[1] == 2 else [pytest.mark.slow]) for case in CASES],
)
def test_cfn_lint_finds_neither_errors_nor_warnings(topology: str, replicas: int) -> None:
    asked = service(document.load("quick", {"replicas": replicas}), topology, public=True, token=False)
    public = ecs(asked)
    for written in (text(topology, replicas), public["template.yaml"]):
        assert [str(match) for match in lint_all(written) if match.rule.id[0] in "EW"] == []


@all_cases
def test_the_template_is_the_one_that_was_agreed_on(topology: str, replicas: int) -> None:
    golden.check(GOLDEN / f"ecs-{topology}-{replicas}.yaml", text(topology, replicas))


def test_redis_is_reached_from_the_apps_group_and_by_no_other_rule() -> None:
    reaching = [(name, rule) for name, rule in rules("separate", "Ingress") if 6379 in ports(rule)]
    [(name, rule)] = reaching
    assert name == "RedisGroup"
    assert ports(rule) == range(6379, 6380)
    assert rule["SourceSecurityGroupId"] == {"Ref": "AppGroup"}
    assert "CidrIp" not in rule
    assert [name for name, rule in rules("separate", "Egress") if 6379 in ports(rule)] == []


def test_a_sidecar_has_no_rule_and_listens_on_loopback_only() -> None:
    assert [
        rule for way in ("Ingress", "Egress") for _, rule in rules("sidecar", way) if 6379 in ports(rule)
    ] == []
    assert "RedisGroup" not in template("sidecar")["Resources"]
    assert "--bind 127.0.0.1 " in containers("sidecar")["redis"]["Command"][0]
    assert "PortMappings" not in containers("sidecar")["redis"]


@both
def test_the_app_is_reached_from_the_load_balancers_group_only(topology: str) -> None:
    [rule] = [rule for name, rule in rules(topology, "Ingress") if name == "AppGroup"]
    assert ports(rule) == range(8000, 8001)
    assert rule["SourceSecurityGroupId"] == {"Ref": "LoadBalancerGroup"}
    assert "CidrIp" not in rule


@both
def test_only_the_load_balancers_listeners_are_open_to_addresses(topology: str) -> None:
    by_address = [
        (name, rule) for name, rule in rules(topology, "Ingress") if "SourceSecurityGroupId" not in rule
    ]
    assert {name for name, _ in by_address} == {"LoadBalancerGroup"}
    assert sorted(port for _, rule in by_address for port in ports(rule)) == [80, 443]
    listeners = resources(topology, "AWS::ElasticLoadBalancingV2::Listener")
    assert listeners["Listener"]["Port"] == {"Fn::If": ["Https", 443, 80]}
    assert listeners["RedirectListener"]["Port"] == 80


@both
def test_the_load_balancer_speaks_to_the_app_alone(topology: str) -> None:
    [rule] = [rule for name, rule in rules(topology, "Egress") if name == "LoadBalancerGroup"]
    assert rule["DestinationSecurityGroupId"] == {"Ref": "AppGroup"}
    assert ports(rule) == range(8000, 8001)


@both
def test_the_execution_role_reads_its_two_secrets_and_no_other(topology: str) -> None:
    [policy] = resources(topology, "AWS::IAM::Role")["ExecutionRole"]["Policies"]
    statements = {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}
    assert list(resources(topology, "AWS::SecretsManager::Secret")) == ["RedisPassword"]
    reading = [one for one in statements.values() if "secretsmanager" in str(one["Action"])]
    assert reading == [statements["Secrets"]]
    assert statements["Secrets"]["Action"] == "secretsmanager:GetSecretValue"
    assert statements["Secrets"]["Resource"] == [{"Ref": "RedisPassword"}, {"Ref": "UpstreamTokenSecret"}]
    unlimited = {name: one["Action"] for name, one in statements.items() if "*" in str(one["Resource"])}
    assert unlimited == {"Registry": "ecr:GetAuthorizationToken"}
    assert {one["Effect"] for one in statements.values()} == {"Allow"}
    assert not [one for one in statements.values() if "*" in str(one["Action"])]


@both
def test_the_task_role_may_do_nothing(topology: str) -> None:
    role = resources(topology, "AWS::IAM::Role")["TaskRole"]
    assert not {"Policies", "ManagedPolicyArns"} & set(role)


@both
def test_every_container_that_wants_the_password_has_it_from_the_secret(topology: str) -> None:
    for container in containers(topology).values():
        assert container["Secrets"][0] == {"Name": "REDIS_PWD", "ValueFrom": {"Ref": "RedisPassword"}}
        assert "REDIS_PWD" not in {variable["Name"] for variable in container.get("Environment", [])}


@both
def test_the_app_alone_has_the_upstreams_token(topology: str) -> None:
    token = {"Name": "UPSTREAM_TOKEN", "ValueFrom": {"Ref": "UpstreamTokenSecret"}}
    for name, container in containers(topology).items():
        rest = container["Secrets"][1:]
        assert rest == ([token] if name == "app" else [])
    assert "Default" not in template(topology)["Parameters"]["UpstreamTokenSecret"]
    assert "60 calls an hour" in template(topology)["Parameters"]["UpstreamTokenSecret"]["Description"]


@both
def test_nobody_on_the_internet_may_call_unless_that_is_asked_for(topology: str) -> None:
    def parameters(*, public: bool) -> dict[str, Any]:
        asked = service(document.load("quick", {}), topology, public=public)
        decoded, problems = decode_str(ecs(asked)["template.yaml"])
        assert decoded is not None, problems
        return dict(decoded["Parameters"])

    [balancer] = resources(topology, "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    assert balancer["Scheme"] == {"Ref": "Scheme"}
    inside, outside = parameters(public=False), parameters(public=True)
    assert inside["Scheme"]["Default"] == "internal"
    assert "Default" not in inside["ClientCidr"], "who may call is said by whoever deploys"
    assert (outside["Scheme"]["Default"], outside["ClientCidr"]["Default"]) == (
        "internet-facing",
        "0.0.0.0/0",
    )
    open_to_all = [rule for _, rule in rules(topology, "Ingress") if "0.0.0.0/0" in str(rule)]
    assert open_to_all == []


@both
def test_what_is_not_content_stays_inside(topology: str) -> None:
    listeners = resources(topology, "AWS::ElasticLoadBalancingV2::Listener")
    (default,) = listeners["Listener"]["DefaultActions"]
    assert default["Type"] == "fixed-response"
    assert default["FixedResponseConfig"]["StatusCode"] == "404"
    assert [one["DefaultActions"][0]["Type"] for one in listeners.values()] == ["fixed-response", "redirect"]
    [rule] = resources(topology, "AWS::ElasticLoadBalancingV2::ListenerRule").values()
    assert rule["ListenerArn"] == {"Ref": "Listener"}
    assert rule["Conditions"] == [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/content/*"]}}]
    assert rule["Actions"] == [{"Type": "forward", "TargetGroupArn": {"Ref": "AppTargets"}}]
    waits = template(topology)["Resources"]["AppService"]["DependsOn"]
    assert "ContentRule" in waits, "ECS registers tasks of a group only once something forwards to it"


@both
def test_no_value_of_a_secret_is_in_the_file(topology: str) -> None:
    [secret] = resources(topology, "AWS::SecretsManager::Secret").values()
    assert set(secret) == {"Description", "GenerateSecretString"}, "the password is made, not given"
    assert "SecretStringTemplate" not in secret["GenerateSecretString"]
    assert re.findall(r"resolve:", text(topology)) == []
    assert re.findall(r"\b[0-9a-f]{40,}\b", text(topology)) == []
    assert "requirepass" not in text(topology)


@all_cases
def test_redis_may_keep_less_than_its_container_may_have(topology: str, replicas: int) -> None:
    container = containers(topology, replicas)["redis"]
    [maxmemory] = re.findall(r"--maxmemory (\d+)", container["Command"][0])
    assert 0 < int(maxmemory) <= 0.8 * container["Memory"] * MIB


@all_cases
def test_the_containers_fit_their_task_and_the_task_is_one_of_fargates(topology: str, replicas: int) -> None:
    for task in resources(topology, "AWS::ECS::TaskDefinition", replicas).values():
        assert int(task["Memory"]) in SIZES[int(task["Cpu"]) / 1024]
        assert sum(container["Memory"] for container in task["ContainerDefinitions"]) <= int(task["Memory"])
        assert sum(container["Cpu"] for container in task["ContainerDefinitions"]) <= int(task["Cpu"])


def test_what_a_scenario_gives_a_task_is_what_the_containers_get() -> None:
    wanted = of("sidecar", **{"resources.cpus": 1.5, "resources.memory": "3GB"})
    decoded, _ = decode_str(ecs(wanted)["template.yaml"])
    assert decoded is not None
    task = decoded["Resources"]["AppTask"]["Properties"]
    app, beside = task["ContainerDefinitions"]
    assert (app["Name"], beside["Name"]) == ("app", "redis")
    assert app["Cpu"] >= 1536
    assert app["Memory"] >= 3e9 // MIB


@all_cases
def test_autoscaling_begins_with_the_scenarios_replicas_and_has_the_say(topology: str, replicas: int) -> None:
    [target] = resources(topology, "AWS::ApplicationAutoScaling::ScalableTarget", replicas).values()
    assert target["MinCapacity"] == replicas
    services = resources(topology, "AWS::ECS::Service", replicas)
    assert "DesiredCount" not in services["AppService"]
    assert template(topology, replicas)["Parameters"]["MostReplicas"]["Default"] >= replicas


@both
def test_a_deployment_that_fails_is_taken_back(topology: str) -> None:
    services = resources(topology, "AWS::ECS::Service")
    assert len(services) == {"sidecar": 1, "separate": 2}[topology]
    for one in services.values():
        breaker = one["DeploymentConfiguration"]["DeploymentCircuitBreaker"]
        assert breaker == {"Enable": True, "Rollback": True}


def test_a_sidecar_and_its_app_start_in_order_and_end_together() -> None:
    [task] = resources("sidecar", "AWS::ECS::TaskDefinition").values()
    app, beside = task["ContainerDefinitions"]
    assert app["DependsOn"] == [{"ContainerName": "redis", "Condition": "HEALTHY"}]
    assert app["Essential"] is True
    assert beside["Essential"] is True
    assert "HealthCheck" in beside


def test_the_outage_of_a_shared_redis_does_not_take_the_replicas_away() -> None:
    [targets] = resources("separate", "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    assert targets["HealthCheckPath"] == "/healthz"
    [targets] = resources("sidecar", "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    assert targets["HealthCheckPath"] == "/readyz"


def test_the_app_finds_a_separate_redis_by_the_name_that_is_registered() -> None:
    environment = {one["Name"]: one["Value"] for one in containers("separate")["app"]["Environment"]}
    [name] = resources("separate", "AWS::ServiceDiscovery::Service").values()
    [zone] = resources("separate", "AWS::ServiceDiscovery::PrivateDnsNamespace").values()
    assert environment["REDIS_HOST"] == {"Fn::Sub": f"{name['Name']}.{zone['Name']['Fn::Sub']}"}


@both
def test_every_log_group_forgets(topology: str) -> None:
    groups = resources(topology, "AWS::Logs::LogGroup")
    assert {group["RetentionInDays"] for group in groups.values()} == {30}
    written = {
        one["LogConfiguration"]["Options"]["awslogs-group"]["Ref"] for one in containers(topology).values()
    }
    assert written == set(groups)


@both
def test_redis_runs_with_the_settings_that_are_measured(topology: str) -> None:
    def options(command: str) -> dict[str, str]:
        found = dict(re.findall(r"--([a-z-]+) (\S+)", command))
        return {
            name: value
            for name, value in found.items()
            if name not in ("bind", "port", "maxmemory", "aclfile")
        }

    measured = yaml.safe_load(PARTS.read_text())["services"]["redis"]["command"]
    [exported] = re.findall(r"exec redis-server (.*)", containers(topology)["redis"]["Command"][0], re.DOTALL)
    assert options(exported) == options(" ".join(measured))


@contextmanager
def started(topology: str, folder: Path, password: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run the command of the exported container, with this machine's redis-server, and yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = redis_binary.find()
    # Redis writes its title over its arguments and environment: what it is started with is kept before.
    stand_in = folder / "redis-server"
    stand_in.write_text(
        f'#!/bin/sh\necho "$@" > {folder}/given\nenv >> {folder}/given\nexec {binary.path} "$@"\n'
    )
    stand_in.chmod(0o755)
    container = containers(topology)["redis"]
    command = container["Command"][0].replace("--port 6379", f"--port {port}")
    command = command.replace("/dev/shm", str(folder))
    if tuple(int(part) for part in binary.version.split(".")[:2]) < (7, 2):
        command = command.replace(" +client|setinfo", "")  # an older server does not know it
    assert container["EntryPoint"] == ["sh", "-c"]
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "REDIS_PWD": password}
    log = (folder / "log").open("wb")
    process = subprocess.Popen(["sh", "-c", command], env=environment, stdout=log, stderr=log)
    try:
        yield port, process
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def client(port: int, **credentials: str) -> redis.Redis:
    return redis.Redis("127.0.0.1", port, retry=Retry(NoBackoff(), 0), **credentials)


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@both
def test_redis_starts_as_exported_and_lets_in_the_apps_user_alone(
    topology: str, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    password = "s3cret-for-this-test"
    with started(topology, tmp_path, password) as (port, process):
        app = client(port, username="app", password=password)
        wait_until(lambda: answers(app))
        app.set("content:users/octocat", "x", ex=5)
        assert app.get("content:users/octocat") == b"x"
        for refused in (lambda: app.set("other", "x"), app.flushall, lambda: app.config_get("*")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                refused()
        with pytest.raises(redis.AuthenticationError):
            client(port).ping()
        with pytest.raises(redis.AuthenticationError):
            client(port, username="app", password="guess").ping()
        server = str(redis_binary.find().path.resolve())
        assert psutil.Process(process.pid).exe() == server, "it has to get ECS's SIGTERM itself"
        given = (tmp_path / "given").read_text()
        assert "--aclfile" in given
        assert "PATH=" in given
        assert password not in given, "on the command line or in the environment"
        [acl] = tmp_path.glob("redis-acl")
        assert password not in acl.read_text()
        assert acl.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="needs redis-cli")
def test_the_health_check_tells_a_redis_that_answers_from_one_that_does_not(
    tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    kind, command = containers("sidecar")["redis"]["HealthCheck"]["Command"]
    assert kind == "CMD-SHELL"
    with started("sidecar", tmp_path, "pw") as (port, _):

        def healthy(password: str = "pw") -> bool:
            environment = {"PATH": os.environ["PATH"], "REDIS_PWD": password}
            check = command.replace("redis-cli", f"redis-cli -p {port}")
            return (
                subprocess.run(
                    ["sh", "-c", check], env=environment, capture_output=True, check=False
                ).returncode
                == 0
            )

        wait_until(healthy)
        assert not healthy("guess")
    assert not healthy()


def test_a_task_larger_than_fargates_is_refused_by_the_fields_that_are_to_be_changed() -> None:
    with pytest.raises(ScenarioError, match=r"resources\.cpus.*resources\.memory"):
        task_size(16.01, 512)


def test_sizes_are_given_in_ecss_own_units() -> None:
    assert task_size(0.5, 333) == Size(512, 1024)
