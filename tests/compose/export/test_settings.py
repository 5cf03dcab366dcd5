"""What was measured is what is deployed: every setting of a trial's app reaches every export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from cfnlint.decode import decode_str

from app.settings import Settings
from compose.app_environment import app_environment, app_settings
from compose.export.service import service
from compose.export.targets import TARGETS
from scenarios.model import Cache, Scenario, Upstream
from scenarios.reading import document

TOPOLOGIES = ("sidecar", "separate")
# A value that differs from the default, for each field whose type does not say one.
OTHERS: Mapping[str, Any] = {
    "cache.ttl": "1h", "cache.ttl_jitter": 0.2, "cache.sidecar_transport": "unix",
    "cache.vary": "accept, x-tier",     "upstream.concurrency": 17,
    "upstream.rate_limit": 5000, "upstream.error_ratio": 0.5, "upstream.missing_ratio": 0.5,
}  # fmt: skip
# What of these is the stub's or Redis's, and not told to the app.
NOT_THE_APPS = {
    "cache.maxmemory", "cache.sidecar_transport", "upstream.latency_ms", "upstream.latency_spread",
    "upstream.body", "upstream.body_spread", "upstream.error_ratio", "upstream.missing_ratio",
    "upstream.rate_limit",
}  # fmt: skip
FIELDS = [f"cache.{name}" for name in Cache.model_fields] + [
    f"upstream.{name}" for name in Upstream.model_fields
]
every_target = pytest.mark.parametrize("target", sorted(TARGETS))
both = pytest.mark.parametrize("topology", TOPOLOGIES)


def scenario(fields: Mapping[str, object]) -> Scenario:
    return document.load("quick", dict(fields))


def exported(target: str, topology: str, fields: Mapping[str, object]) -> dict[str, Any]:
    """Return the variables of the exported app, by name."""
    files = TARGETS[target](service(scenario(fields), topology))
    if target == "ecs":
        template, _ = decode_str(files["template.yaml"])
        assert template is not None
        app = template["Resources"]["AppTask"]["Properties"]["ContainerDefinitions"][0]
        return {one["Name"]: one["Value"] for one in app["Environment"]}
    if target == "kubernetes":
        deployment = next(yaml.safe_load_all(files["manifests.yaml"]))
        (app,) = deployment["spec"]["template"]["spec"]["containers"]
        return {one["name"]: one["value"] for one in app["env"]}
    found: dict[str, Any] = yaml.safe_load(files["compose.yaml"])["services"]["app-1"]["environment"]
    return found


def other(field: str) -> Any:
    """Return a value of a field that is not its default."""
    if field in OTHERS:
        return OTHERS[field]
    room, _, name = field.partition(".")
    default = {"cache": Cache, "upstream": Upstream}[room].model_fields[name].default
    return (not default) if isinstance(default, bool) else default + 1


@every_target
@both
def test_every_variable_of_a_trials_app_is_in_the_export_with_the_same_value(
    target: str, topology: str
) -> None:
    fields = {
        "cache.lease": True,
        "cache.negative_ttl": 7,
        "cache.stale_if_error": "10m",
        "cache.max_body": "2MB",
    }
    variant = next(one for one in scenario(fields).variants if one.topology == topology)
    measured = app_environment(variant, "http://127.0.0.1:1")
    deployed = exported(target, topology, fields)
    assert {name: deployed[name] for name in measured if name != "UPSTREAM_URL"} == {
        name: value for name, value in measured.items() if name != "UPSTREAM_URL"
    }
    assert "UPSTREAM_URL" in deployed


@every_target
@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_changes_what_a_trials_app_is_told_changes_the_export(target: str, field: str) -> None:
    changed: dict[str, object] = {field: other(field)}
    before, after = (app_settings(scenario(fields).variants[0]) for fields in ({}, changed))
    assert (before != after) is (field not in NOT_THE_APPS), "name it in NOT_THE_APPS, or in the map"
    deployed = exported(target, scenario({}).variants[0].topology, changed)
    assert {name: deployed[name] for name in after} == after


@every_target
@both
def test_the_app_reads_in_production_what_it_read_in_trials(target: str, topology: str) -> None:
    fields = {"cache.ttl": "1h", "cache.ttl_jitter": 0.1, "cache.l1": 2, "upstream.concurrency": 9}
    given = {name: str(value) for name, value in exported(target, topology, fields).items()}
    where = {name: value for name, value in given.items() if not name.startswith(("REDIS_", "UPSTREAM_"))}
    variant = next(one for one in scenario(fields).variants if one.topology == topology)
    url = {"UPSTREAM_URL": "https://api.github.com"}
    measured = Settings.from_environment(app_environment(variant, url["UPSTREAM_URL"]))
    limits = {name: given[name] for name in ("UPSTREAM_CONCURRENCY", "UPSTREAM_RESERVE")}
    assert Settings.from_environment(where | limits | url) == measured


@every_target
@both
def test_with_a_log_that_is_replayed_faster_production_keeps_its_own_times(
    target: str, topology: str, tmp_path: Any
) -> None:
    log = tmp_path / "access.log"
    log.write_text('127.0.0.1 - - [01/Aug/1995:00:00:01 -0400] "GET /a HTTP/1.0" 200 10\n')
    fields = {
        "workload.log": str(log), "workload.arrivals": "log", "workload.speedup": 60, "cache.ttl": "1h",
        "cache.stale_if_error": "5m",
    }  # fmt: skip
    deployed = exported(target, topology, fields)
    assert (deployed["CACHE_TTL"], deployed["CACHE_STALE_IF_ERROR"]) == ("3600", "300")


@every_target
@both
def test_no_secret_stands_in_clear_and_both_have_their_place(target: str, topology: str) -> None:
    deployed = exported(target, topology, {})
    assert not {"REDIS_PWD", "UPSTREAM_TOKEN"} & set(deployed)
    text = "".join(TARGETS[target](service(scenario({}), topology)).values())
    assert "UPSTREAM_TOKEN" in text
    assert "60 calls an hour" in text, "what it means to have none"


@every_target
@both
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "with default sizes, because the scenario quick sets none"),
        ({"resources.cpus": 1, "resources.memory": "1GB"}, "sized as in the scenario quick"),
        ({"resources.cpus": 1}, "with CPUs as in the scenario quick, which sets no memory"),
        ({"resources.memory": "1GB"}, "with memory as in the scenario quick, which sets no CPUs"),
    ],
)
def test_sizes_are_the_scenarios_only_where_it_has_some(
    target: str, topology: str, fields: dict[str, object], said: str
) -> None:
    text = next(iter(TARGETS[target](service(scenario(fields), topology)).values()))
    assert said in text
    assert ("sized as in" in text) is ("sized as in" in said)


@every_target
@both
def test_a_quarter_of_a_cpu_is_no_default_and_is_explained_where_it_is_asked_for(
    target: str, topology: str
) -> None:
    def text(**fields: object) -> str:
        return next(iter(TARGETS[target](service(scenario(fields), topology)).values()))

    throttled = "a request can wait 75 ms"
    assert throttled in text(**{"resources.cpus": 0.25})
    assert throttled not in text()
    if target == "ecs":
        template, _ = decode_str(text())
        assert template is not None
        tasks = [one for one in template["Resources"].values() if one["Type"] == "AWS::ECS::TaskDefinition"]
        assert {int(task["Properties"]["Cpu"]) for task in tasks} == {1024}
    elif target == "kubernetes":
        assert "cpu:" not in "".join(line for line in text().splitlines() if "limits:" in line)
    else:
        assert "limits: {memory:" in text()
        assert 'limits: {cpus: "0.25"' in text(**{"resources.cpus": 0.25})


@every_target
@both
def test_a_token_can_be_left_out_altogether(target: str, topology: str) -> None:
    files = TARGETS[target](service(scenario({}), topology, token=False))
    assert "UPSTREAM_TOKEN" not in "".join(files.values())
    assert "upstream-token" not in "".join(files.values())
    assert "GitHub allows 60 calls an hour without a token" in next(iter(files.values()))
    assert "--no-token" in next(iter(files.values()))
