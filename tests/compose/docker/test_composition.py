"""The Compose file of a deployment, read as a list of promises."""

import hashlib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compose import credentials
from compose.docker.composition import (
    OWNER_LABEL,
    PARTS,
    RUN_LABEL,
    Placement,
    compose_file,
    task_budget,
    tasks_of,
)
from compose.stack import StackError
from scenarios.model import Variant

LABELS = {RUN_LABEL: "run", OWNER_LABEL: "1.2"}
TASKS = {name: {"cgroup_parent": f"/{name}"} for name in ("task-1", "task-2", "redis")}

VARIANTS = st.builds(
    lambda topology, replicas, rtt_ms, transport, maxmemory: Variant(
        id="v",
        levels={},
        topology=topology,
        replicas=replicas,
        link={"rtt_ms": rtt_ms},
        cache={"sidecar_transport": transport, "maxmemory": maxmemory},
    ),
    st.sampled_from(["sidecar", "separate", "none"]),
    st.integers(1, 8),
    st.sampled_from([0, 0.3]),
    st.sampled_from(["loopback", "unix"]),
    st.integers(8_000_000, 10**9),
)


def composed(variant: Variant) -> dict[str, Any]:
    numbers = tuple(range(1, variant.replicas + 1))
    ports = {"upstream": 4000} | {f"app-{number}": 4000 + number for number in numbers}
    placement = Placement(LABELS, Path("/secrets"), (0,), TASKS, ports, numbers, Path("/control"))
    return compose_file(variant, 1, placement)


def of(topology: str, **settings: Any) -> dict[str, Any]:
    return composed(Variant(id="v", levels={}, topology=topology, **settings))


def option(service: dict[str, Any], name: str) -> str:
    [value] = [part.split()[1] for part in service["command"] if part.startswith(f"--{name} ")]
    return str(value)


def members(content: dict[str, Any], network: str) -> set[str]:
    return {name for name, service in content["services"].items() if network in service.get("networks", [])}


@given(VARIANTS)
def test_everything_is_labelled_and_confined_to_its_cores(variant: Variant) -> None:
    content = composed(variant)
    made = chain(*(content.get(kind, {}).values() for kind in ("services", "networks", "volumes")))
    assert all(thing["labels"] == LABELS for thing in made)
    assert {service["cpuset"] for service in content["services"].values()} == {"0"}


@given(VARIANTS)
def test_nothing_but_app_and_upstream_is_published_and_on_loopback_only(variant: Variant) -> None:
    parts = yaml.safe_load(PARTS.read_text())["services"]
    for name, service in composed(variant)["services"].items():
        part = service["extends"]["service"]
        ports = [*parts[part].get("ports", []), *service.get("ports", [])]
        assert all(port.startswith("127.0.0.1:") for port in ports)
        assert bool(ports) == (name.startswith("app") or name == "upstream")


@given(VARIANTS)
def test_the_redis_servers_share_the_memory_that_the_scenario_gives(variant: Variant) -> None:
    servers = [
        service
        for service in composed(variant)["services"].values()
        if service["extends"]["service"] == "redis"
    ]
    shares = [int(option(server, "maxmemory")) for server in servers]
    assert sum(shares) <= variant.cache.maxmemory
    assert not shares or sum(shares) > variant.cache.maxmemory - len(shares)


def test_a_sidecar_lives_in_its_apps_namespace_and_budget_and_listens_to_nobody_else() -> None:
    services = of("sidecar")["services"]
    for number in ("1", "2"):
        redis, app = services[f"redis-{number}"], services[f"app-{number}"]
        assert redis["network_mode"] == f"service:app-{number}"
        assert option(redis, "bind") == "127.0.0.1"
        assert redis["cgroup_parent"] == app["cgroup_parent"]
        assert app["environment"]["REDIS_HOST"] == "127.0.0.1"
    assert services["app-1"]["cgroup_parent"] != services["app-2"]["cgroup_parent"]


def test_a_separate_redis_is_a_task_of_its_own() -> None:
    services = of("separate")["services"]
    parents = [services[name]["cgroup_parent"] for name in ("app-1", "app-2", "redis")]
    assert parents == ["/task-1", "/task-2", "/redis"]


@pytest.mark.parametrize(("topology", "tasks"), [("sidecar", 4), ("separate", 5)])
def test_both_topologies_get_the_same_in_total(topology: str, tasks: int) -> None:
    variant = Variant(
        id="v", levels={}, topology=topology, replicas=4, resources={"cpus": 0.5, "memory": 500_000_000}
    )
    each, note = task_budget(variant)
    assert len(tasks_of(variant, range(1, 5))) == tasks
    assert (each.cpus or 0) * tasks == pytest.approx(4 * 0.5)
    assert (each.memory or 0) * tasks == pytest.approx(4 * 500_000_000, abs=tasks)
    assert bool(note) == (topology == "separate")


def test_a_redis_that_may_outgrow_its_task_is_refused() -> None:
    resources = {"memory": 64_000_000}
    variant = Variant(id="v", levels={}, topology="separate", replicas=1, resources=resources)
    with pytest.raises(StackError, match=r"raise resources\.memory or lower cache\.maxmemory"):
        task_budget(variant)


def test_a_sidecar_over_a_socket_opens_no_port() -> None:
    content = of("sidecar", cache={"sidecar_transport": "unix"})
    redis, app = content["services"]["redis-2"], content["services"]["app-2"]
    assert option(redis, "port") == "0"
    assert option(redis, "unixsocket") == app["environment"]["REDIS_SOCKET"]
    assert redis["volumes"] == app["volumes"] == ["run-2:/run/redis"]
    assert set(content["volumes"]) == {"run-1", "run-2"}


@pytest.mark.parametrize("rtt_ms", [0, 0.3])
def test_only_the_app_is_in_the_network_of_what_answers_as_its_redis(rtt_ms: float) -> None:
    content = of("separate", link={"rtt_ms": rtt_ms})
    answers = "link" if rtt_ms else "redis"
    assert members(content, "cache") == {"app-1", "app-2", answers}
    assert members(content, "behind") == ({"link", "redis"} if rtt_ms else set())
    assert members(content, "outside") == {"app-1", "app-2", "upstream"}
    assert content["networks"]["cache"]["internal"]
    assert content["services"]["app-1"]["environment"]["REDIS_HOST"] == answers


def test_without_a_cache_there_is_neither_redis_nor_secret() -> None:
    content = of("none")
    assert set(content["services"]) == {"app-1", "app-2", "upstream"}
    assert "secrets" not in content
    assert not [name for name in content["services"]["app-1"]["environment"] if name.startswith("REDIS")]


@given(VARIANTS)
def test_secrets_come_as_files_to_those_who_need_them(variant: Variant) -> None:
    content = composed(variant)
    for name, service in content["services"].items():
        cached = variant.topology != "none"
        wanted = {"app": [credentials.PASSWORD], "redi": [credentials.ACL]}.get(name[:4].rstrip("-"), [])
        assert service.get("secrets", []) == (wanted if cached else []), name
        assert "REDIS_PWD" not in service.get("environment", {})


@pytest.mark.parametrize("part", ["app", "redis", "upstream", "link"])
def test_containers_have_no_rights_that_they_do_not_need(part: str) -> None:
    settings = yaml.safe_load(PARTS.read_text())["services"][part]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert not settings["user"].startswith(("0", "root"))


@pytest.mark.parametrize("name", ["sidecar", "separate", "none"])
def test_the_files_for_use_by_hand_join_the_same_parts_the_same_way(name: str) -> None:
    by_hand = yaml.safe_load(PARTS.with_name(f"{name}.yaml").read_text())
    ours = of(name, replicas=1, link={"rtt_ms": 0})
    named = {service.removesuffix("-1"): settings for service, settings in ours["services"].items()}
    assert set(by_hand["services"]) == set(named)
    for service, settings in by_hand["services"].items():
        assert settings["extends"]["service"] == named[service]["extends"]["service"]
        assert settings.get("networks", []) == named[service].get("networks", [])
        assert settings.get("network_mode", "").removesuffix("-1") == (
            named[service].get("network_mode", "").removesuffix("-1")
        )


def test_credentials_are_new_each_time_and_only_their_owner_gets_at_them(tmp_path: Path) -> None:
    first, second = credentials.make(tmp_path / "a"), credentials.make(tmp_path / "b")
    assert first != second
    assert len(first) > 20
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0
    assert (tmp_path / "a" / credentials.PASSWORD).read_text() == first


def test_redis_is_told_the_hash_alone_and_who_may_do_what(tmp_path: Path) -> None:
    password = credentials.make(tmp_path / "secrets")
    acl = (tmp_path / "secrets" / credentials.ACL).read_text()
    assert password not in acl
    assert f"#{hashlib.sha256(password.encode()).hexdigest()}" in acl
    assert acl.startswith("user default off\n")
    assert "~content:*" in acl
    assert "-@all" in acl
