"""The sentence: what it speaks of, and what it must not keep to itself."""

from __future__ import annotations

from typing import Any

from reports.analysis import verdict
from reports.inference import effects
from reports.inference.effects import Compared

BLOCKS = 5


def compared(scenario: Any, **errors: float) -> tuple[Compared, ...]:
    """Hold variants against one another that differ in nothing but the share of requests that fail."""
    values = {
        variant.id: {
            block: {"p50_ms": 1.0, "p99_ms": 20.0, "upstream_calls_per_1000": 250.0, "error_ratio": failed}
            for block in range(BLOCKS)
        }
        for variant, failed in zip(scenario.variants, errors.values(), strict=True)
    }
    return effects.compare(scenario, values, BLOCKS)


def test_fewer_failed_requests_come_first(scenario_of: Any) -> None:
    scenario = scenario_of(topology="separate", cache={"ttl": 1, "stale_if_error": [0, 60]})
    said = verdict.sentence(compared(scenario, plain=0.076, stale=0.0), BLOCKS, 10)
    assert said.startswith(
        "Compared with separate-stale_if_error0, separate-stale_if_error60 has fewer errors"
    )
    assert "errors (−7.60 ± 0.00 points)" in said


def test_more_failed_requests_are_worse(scenario_of: Any) -> None:
    said = verdict.sentence(compared(scenario_of(), sidecar=0.0, separate=0.02), BLOCKS, 10)
    assert "has more errors (+2.00 ± 0.00 points)" in said


def test_of_errors_nothing_is_said_where_they_do_not_differ(scenario_of: Any) -> None:
    assert "errors" not in verdict.sentence(compared(scenario_of(), sidecar=0.0, separate=0.0), BLOCKS, 10)


def test_among_many_comparisons_those_that_differ_in_errors_are_counted(scenario_of: Any) -> None:
    scenario = scenario_of(topology="separate", cache={"ttl": 1, "stale_if_error": [0, 10, 60]})
    said = verdict.sentence(compared(scenario, a=0.076, b=0.0, c=0.076), BLOCKS, 15)
    assert "errors better in 1, equivalent in 1;" in said
    said = verdict.sentence(compared(scenario, a=0.0, b=0.0, c=0.0), BLOCKS, 15)
    assert "errors" not in said


def test_variants_that_are_all_held_against_one_name_it(scenario_of: Any) -> None:
    scenario = scenario_of(topology="separate", cache={"ttl": [1, 4, 9]})
    said = verdict.sentence(compared(scenario, a=0.0, b=0.0, c=0.0), BLOCKS, 15)
    assert said.startswith("2 variants, each compared with separate-ttl1: upstream calls")


def test_levels_of_several_factors_are_held_against_the_first(scenario_of: Any) -> None:
    scenario = scenario_of(topology="separate", cache={"ttl": [1, 4]}, replicas=[1, 2])
    said = verdict.sentence(compared(scenario, a=0.0, b=0.0, c=0.0, d=0.0), BLOCKS, 20)
    assert said.startswith("4 comparisons of each other level with the first level: ")


def test_both_placements_at_several_levels_are_named_once(scenario_of: Any) -> None:
    said = verdict.sentence(
        compared(scenario_of(cache={"ttl": [1, 4]}), a=0.0, b=0.0, c=0.0, d=0.0), BLOCKS, 20
    )
    assert said.startswith("2 comparisons of a separate Redis with the sidecar: ")


def scattered(scenario: Any, p50: list[float]) -> tuple[Compared, ...]:
    values = {
        variant.id: {block: {"p50_ms": 1.0 + by * sign} for block, by in enumerate(p50)}
        for variant, sign in zip(scenario.variants, (0, 1), strict=True)
    }
    return effects.compare(scenario, values, len(p50))


def test_what_is_undecided_comes_with_the_blocks_that_would_decide(scenario_of: Any) -> None:
    found = scattered(scenario_of(), [0.3, -0.2, 0.25, 0.0, 0.1])
    (one,) = [comparison for comparison in found[0].comparisons if comparison.blocks]
    said = verdict.sentence(found, BLOCKS, 10)
    assert "are undecided (" in said
    assert said.endswith(f"(about {one.more_blocks} more blocks to decide).")


def test_what_is_out_of_reach_is_said_to_be(scenario_of: Any) -> None:
    found = scattered(scenario_of(), [50.0, -50.0, 40.0, -40.0, 0.1])
    assert verdict.sentence(found, BLOCKS, 10).endswith("(over 2,000 more blocks to decide).")


def test_how_small_a_difference_would_have_been_found_is_told(scenario_of: Any) -> None:
    found = scattered(scenario_of(), [0.3, 0.2, 0.25, 0.3, 0.2])
    said = verdict.findable(found[0].comparisons)
    detectable = next(one.detectable for one in found[0].comparisons if one.metric == "p50_ms")
    assert said == f"This run detects, with 80% power, differences of {detectable:.2f} ms in median latency."
    assert verdict.findable([]) == ""
