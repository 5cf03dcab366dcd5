"""One more topology, registered by a test: nothing else has to know of it.

It is a Redis on the node that all replicas of that node reach without a network: shared, a task of its own,
and not behind the link. No module, template or schema is changed for it here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bench.cli import show
from compose import counts
from compose.docker.composition import Placement, compose_file, task_budget, tasks_of
from compose.local.stack import ProcessStack
from reports import theory
from reports.calls import longrun
from reports.cost import monthly
from reports.cost.prices import read_prices
from reports.inference.comparisons import pairs
from reports.render.figures.styles import Looks
from scenarios import plan, topologies
from scenarios.model import Scenario, Variant
from scenarios.reading.document import Document, ScenarioError, build
from scenarios.topologies import Topology
from simulation import start
from simulation.engine import Trace, replay
from simulation.outcomes import MISS
from simulation.variants import behaviour_of
from traffic.keys import requests

NODE = Topology("node", "a Redis on the node", "shared", "apart", unused=("link.", "cache.sidecar_transport"))
FIELDS = {
    "name": "one-more",
    "topology": ["sidecar", "separate", "node"],
    "replicas": 3,
    "workload": {"rate": 200, "keys": {"count": 200}},
    "cache": {"ttl": "4s"},
    "link": {"rtt_ms": 0.5},
    "schedule": {"blocks": 4, "duration": "2s"},
}


@pytest.fixture
def node() -> Iterator[Topology]:
    with topologies.registered(NODE) as known:
        yield known


@pytest.fixture
def compared(node: Topology) -> Scenario:
    return build(Document("one-more.yaml", FIELDS))


def test_scenarios_know_it_only_while_it_is_registered(compared: Scenario) -> None:
    assert [one.id for one in compared.variants] == ["sidecar", "separate", "node"]


def test_scenarios_refuse_a_topology_that_there_is_not() -> None:
    with pytest.raises(ScenarioError, match="'sidecar', 'separate' or 'none'"):
        build(Document("one-more.yaml", FIELDS))
    with pytest.raises(ScenarioError, match="'sidecar', 'separate' or 'none'"):
        build(Document("one-more.yaml", FIELDS | {"topology": "process"}))  # known, and not deployed yet


def test_the_plan_tries_it_in_every_block(compared: Scenario) -> None:
    for block in plan.blocks(compared):
        assert sorted(trial.variant for trial in block) == ["node", "separate", "sidecar"]


def test_fields_that_it_does_not_use_make_no_variants_of_it(node: Topology) -> None:
    fields = FIELDS | {"topology": ["separate", "node"], "link": {"rtt_ms": [0.1, 0.9]}}
    read = build(Document("one-more.yaml", fields))
    assert [one.id for one in read.variants] == ["separate-rtt_ms0.1", "separate-rtt_ms0.9", "node"]


def test_it_is_compared_with_the_others(compared: Scenario) -> None:
    named = {(pair.a.topology, pair.b.topology) for pair in pairs(compared)}
    assert named == {("sidecar", "separate"), ("sidecar", "node"), ("separate", "node")}


def test_theory_and_simulation_take_its_cache_for_the_shared_one_that_it_is(compared: Scenario) -> None:
    sidecar, separate, node = compared.variants
    assert longrun.of_variant(node) == longrun.of_variant(separate) != longrun.of_variant(sidecar)
    window = (0.0, 5.0)
    assert theory.of_variant(node, window, 0.02, True) == theory.of_variant(separate, window, 0.02, True)
    asked = requests(node.workload, node.replicas, 5.0, 1)
    trace = Trace(asked.at_us, asked.keys, asked.replicas)
    calls = {
        one.id: int((replay(trace, behaviour_of(one), one.replicas, start.Contents.none()) == MISS).sum())
        for one in compared.variants
    }
    assert calls["node"] == calls["separate"] < calls["sidecar"]
    held = start.steady(node, asked, 1, lambda _: False)
    assert set(np.unique(held.caches)) == {0}


def test_it_costs_a_task_and_no_traffic_between_zones(compared: Scenario) -> None:
    _, separate, node = compared.variants
    traffic = monthly.expected_traffic(node)
    assert traffic is not None
    of = {one.id: monthly.cost(one, read_prices(), traffic) for one in (separate, node)}
    assert of["node"].redis_tasks == of["separate"].redis_tasks is not None
    assert of["node"].between_zones == 0 < of["separate"].between_zones


def test_it_is_drawn_and_listed(compared: Scenario) -> None:
    looks = Looks(compared.variants)
    assert len({looks.colour(variant) for variant in compared.variants}) == 3
    console = Console(record=True, width=120)
    show.scenario(console, compared)
    assert "node" in console.export_text()


def composed(variant: Variant) -> dict:
    numbers = tuple(range(1, variant.replicas + 1))
    ports = {f"app-{number}": 4000 + number for number in numbers}
    tasks = {task: {} for task in tasks_of(variant, numbers)}
    return compose_file(
        variant, 1, Placement({}, Path("/secrets"), (0,), tasks, ports, numbers, Path("/control"))
    )


def test_it_is_composed_of_the_parts_that_there_are(compared: Scenario) -> None:
    node = compared.variants[2]
    assert tasks_of(node, [1, 2, 3]) == ["task-1", "task-2", "task-3", "redis"]
    services = composed(node)["services"]
    assert set(services) == {"upstream", "app-1", "app-2", "app-3", "redis"}  # no link
    assert services["app-1"]["environment"]["REDIS_HOST"] == "redis"
    assert set(services["app-1"]["networks"]) & set(services["redis"]["networks"])
    assert task_budget(node)[1] is None


@pytest.mark.served
def test_it_runs_as_processes(node: Topology, tmp_path: Path) -> None:
    variant = Variant(id="node", levels={}, topology="node", replicas=2, upstream={"latency_ms": 1})
    with ProcessStack("one-more") as stack, stack.deploy(variant, seed=1, folder=tmp_path) as deployment:
        for target in deployment.targets:
            assert counts.get(target, "/content/a")[0] == 200
        assert deployment.app_counts().outcomes == {"miss": 1, "hit": 1}
        assert deployment.link is not None
        assert (deployment.link.means, deployment.link.configured_ms) == ("loopback", None)
