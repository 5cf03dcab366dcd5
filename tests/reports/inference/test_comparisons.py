from __future__ import annotations

from typing import Any

from reports.inference import comparisons


def named(scenario: Any) -> list[tuple[str, str]]:
    return [(pair.a.id, pair.b.id) for pair in comparisons.pairs(scenario)]


def test_one_sidecar_is_held_against_separate_at_each_rtt(scenario_of: Any) -> None:
    pairs = comparisons.pairs(scenario_of(link={"rtt_ms": [0, 0.3, 1.5]}))
    assert len({pair.a.id for pair in pairs}) == 1
    assert [pair.b.link.rtt_ms for pair in pairs] == [0, 0.3, 1.5]
    assert {pair.a.topology for pair in pairs} == {"sidecar"}


def test_topologies_meet_at_equal_levels_only(scenario_of: Any) -> None:
    pairs = comparisons.pairs(scenario_of(cache={"ttl": [2, 8]}))
    assert [(pair.a.cache.ttl, pair.b.cache.ttl) for pair in pairs] == [(2, 2), (8, 8)]
    assert [pair.setting for pair in pairs] == ["TTL 2 s", "TTL 8 s"]


def test_the_uncached_baseline_is_what_others_are_held_against(scenario_of: Any) -> None:
    pairs = comparisons.pairs(scenario_of(topology=["sidecar", "none", "separate"]))
    assert {(pair.a.topology, pair.b.topology) for pair in pairs} == {
        ("none", "sidecar"), ("none", "separate"), ("sidecar", "separate")
    }  # fmt: skip


def test_without_two_topologies_each_level_is_held_against_the_first(scenario_of: Any) -> None:
    pairs = comparisons.pairs(scenario_of(topology="sidecar", cache={"ttl": [2, 8, 30]}))
    assert [(pair.a.cache.ttl, pair.b.cache.ttl) for pair in pairs] == [(2, 8), (2, 30)]


def test_one_variant_is_compared_with_nothing(scenario_of: Any) -> None:
    assert named(scenario_of(topology="sidecar")) == []


def test_the_baseline_is_the_uncached_variant_of_the_same_traffic(scenario_of: Any) -> None:
    scenario = scenario_of(topology=["sidecar", "none"], workload={"rate": [50, 100]})
    for variant in scenario.variants:
        base = comparisons.baseline(scenario, variant)
        assert base is not None
        assert base.topology == "none"
        assert base.workload.rate == variant.workload.rate
    assert comparisons.baseline(scenario_of(), scenario.variants[0]) is None
