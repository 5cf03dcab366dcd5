"""Experiments of a self-test that only pretend: a test chooses what comes out.

What a pretended comparison finds is worked out by the bench's own decisions, from figures that a test
chooses for each variant and block.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from bench.selftest.experiments import Floor, Stalled, scenario
from reports.inference import effects
from reports.summary.model import Summary, Theory, TrialSummary, VariantSummary
from scenarios.model import Scenario, Variant
from traffic.arrivals import arrivals

FIGURES = {
    "p50_ms": 3.0, "p90_ms": 22.0, "p99_ms": 25.0, "mean_ms": 8.0, "hit_p50_ms": 1.0, "miss_p50_ms": 22.0,
    "hit_ratio": 0.6, "upstream_calls_per_1000": 400.0, "upstream_reduction": 0.6, "error_ratio": 0.0,
}  # fmt: skip

# Returns what is added to figures, by metric.
Effect = Callable[[Variant, int], dict[str, float]]


def nothing(_: Variant, __: int) -> dict[str, float]:
    return {}


def of_b(**added: float) -> Effect:
    """An effect that the second variant has in every block."""
    return lambda variant, _: added if is_b(variant) else {}


def is_b(variant: Variant) -> bool:
    """Whether a variant is the second of its pair, in the comparisons that vary no topology."""
    return variant.label == "b" or variant.link.rtt_ms == 0.8 or variant.levels.get("cache.ttl") == 2


class Pretended:
    """Experiments that come out as a test wants it."""

    def __init__(
        self,
        effect: Effect = nothing,
        *,
        blocks: int = 4,
        valid: int | None = None,
        floor: Floor | None = None,
        stalled: Callable[[float, float], Stalled] | None = None,
        score: Callable[[int, int], float] = lambda _, __: 0.0,
    ) -> None:
        self.found: list[Summary] = []
        self.scenarios: list[Scenario] = []
        self._effect = effect
        self._blocks = blocks
        self._valid = blocks if valid is None else valid
        self._floor = floor or Floor(0.05, 0.18, 0.07)
        self._stalled = stalled or seen_in_full
        self._score = score

    def compare(self, name: str, changed: Mapping[str, object]) -> Summary:
        compared = scenario(name, changed, blocks=self._blocks, seed=len(self.found) + 1, budget_s=50)
        self.scenarios.append(compared)
        values = {variant.id: self._values(variant) for variant in compared.variants}
        found = effects.compare(compared, values, self._blocks)
        trials = [
            self._trial(variant, block)
            for variant in compared.variants
            for block in range(1, self._blocks + 1)
        ]
        summary = Summary.model_construct(
            comparisons=[one for of_pair in found for one in of_pair.comparisons],
            variants=[self._variant(variant) for variant in compared.variants],
            trials=trials,
        )
        self.found.append(summary)
        return summary

    def stall(self, rate: float, stall_s: float) -> Stalled:
        return self._stalled(rate, stall_s)

    def floor(self, rate: float) -> Floor:
        assert rate == 500
        return self._floor

    def _values(self, variant: Variant) -> dict[int, dict[str, float]]:
        return {block: self._figures(variant, block) for block in range(1, self._valid + 1)}

    def _figures(self, variant: Variant, block: int) -> dict[str, float]:
        luck = random.Random(f"{variant.id}/{block}")
        added = self._effect(variant, block)
        return {
            name: value * (1 + 0.01 * luck.uniform(-1, 1)) + added.get(name, 0.0)
            for name, value in FIGURES.items()
        }

    def _variant(self, variant: Variant) -> VariantSummary:
        linked = variant.topology == "separate" and self._valid > 0
        expected = Theory(
            hit_ratio=0.6 if variant.cache.ttl == 4 else 0.525,
            upstream_calls=1,
            delayed_ratio=0,
            fill_time_ms=20,
        )
        return VariantSummary.model_construct(
            id=variant.id,
            rtt_achieved_ms=variant.link.rtt_ms + 0.01 if linked else None,
            theory=expected if self._valid else None,
        )

    def _trial(self, variant: Variant, block: int) -> TrialSummary:
        return TrialSummary.model_construct(
            variant=variant.id,
            block=block,
            valid=block <= self._valid,
            counts_valid=block <= self._valid,
            times_valid=block <= self._valid,
            z=self._score(len(self.found), block),
        )


def plan(rate: float) -> list[float]:
    return [at / 1e6 for at in arrivals("poisson", rate, 6.5, 1).tolist()]


def seen_in_full(rate: float, stall_s: float) -> Stalled:
    """A stall from 2 s on, felt by every request that was due meanwhile; the upstream takes 2 ms."""
    due_s, ended_s = plan(rate), 2.0 + stall_s
    seen_ms = [1000 * (ended_s - at if 2.0 <= at < ended_s else 0.0) + 2.5 for at in due_s]
    return Stalled(tuple(due_s), 2.0, ended_s, tuple(seen_ms))
