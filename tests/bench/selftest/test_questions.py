"""The self-test's questions: each judged right, wrong, and where too little is valid to say."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from pretended import FIGURES, Effect, Pretended, is_b, of_b, plan, seen_in_full

from bench.selftest import questions
from bench.selftest.experiments import Floor, Stalled
from bench.selftest.questions import Answer, Question
from scenarios.metrics import METRICS
from scenarios.model import Variant


def test_what_is_pretended_are_the_figures_of_every_run() -> None:
    assert FIGURES.keys() == {metric.name for metric in METRICS}


def ask(question: Question, bench: Pretended) -> Answer:
    return question.ask(bench)


def outcome(question: Question, bench: Pretended) -> str:
    return ask(question, bench).outcome


class TestFloor:
    def test_a_healthy_generator_passes(self) -> None:
        assert outcome(questions.FLOOR, Pretended()) == "passed"

    @pytest.mark.parametrize(
        "floor",
        [Floor(0.3, 0.5, 0.07), Floor(0.05, 1.3, 0.07), Floor(0.05, 0.18, 0.6), Floor(*[float("nan")] * 3)],
        ids=["late", "late at times", "slow", "without a request"],
    )
    def test_one_that_adds_too_much_fails(self, floor: Floor) -> None:
        assert outcome(questions.FLOOR, Pretended(floor=floor)) == "failed"


@pytest.mark.parametrize("rate", [100, 500])
class TestStall:
    def test_one_that_every_request_feels_passes(self, rate: int) -> None:
        answer = ask(questions.stall(rate), Pretended())
        assert answer.outcome == "passed"

    def test_truth_is_taken_from_when_requests_were_due(self, rate: int) -> None:
        due_s = plan(rate)
        longest_ms = 1000 * max(4.0 - at for at in due_s if at >= 2.0)
        assert ask(questions.stall(rate), Pretended()).expected.startswith(f"{longest_ms:,.0f} and ")

    def test_a_generator_that_waits_for_answers_fails(self, rate: int) -> None:
        """Ten users: each sees the stall once, in its full length, and meanwhile sends nothing."""

        def closed_loop(rate: float, stall_s: float) -> Stalled:
            full = seen_in_full(rate, stall_s)
            first = sum(at < 2.0 for at in full.due_s)
            slow = full.seen_ms[first : first + 10]
            rest = len(full.due_s) - first - 10
            return Stalled(full.due_s, 2.0, full.ended_s, full.seen_ms[:first] + slow + (2.5,) * rest)

        assert outcome(questions.stall(rate), Pretended(stalled=closed_loop)) == "failed"

    def test_a_stall_seen_too_short_fails(self, rate: int) -> None:
        def shortened(rate: float, stall_s: float) -> Stalled:
            full = seen_in_full(rate, stall_s)
            return Stalled(full.due_s, 2.0, full.ended_s, tuple(min(seen, 1850) for seen in full.seen_ms))

        assert outcome(questions.stall(rate), Pretended(stalled=shortened)) == "failed"

    def test_requests_that_were_never_recorded_fail(self, rate: int) -> None:
        def lossy(rate: float, stall_s: float) -> Stalled:
            full = seen_in_full(rate, stall_s)
            return Stalled(full.due_s, 2.0, full.ended_s, full.seen_ms[1:])

        assert outcome(questions.stall(rate), Pretended(stalled=lossy)) == "failed"


@pytest.mark.parametrize("topology", ["separate", "sidecar"])
class TestSameIsSame:
    def test_what_is_the_same_passes_and_the_words_are_shown(self, topology: str) -> None:
        answer = ask(questions.aa(topology), Pretended())
        assert answer.outcome == "passed"
        assert answer.figure.startswith("0 of 10 metrics differ; at 5% each: 0 better, 0 worse, ")

    def test_a_difference_beyond_the_chance_of_all_metrics_together_fails(self, topology: str) -> None:
        answer = ask(questions.aa(topology), Pretended(of_b(p99_ms=10.0)))
        assert answer.outcome == "failed"
        assert "1 of 10 metrics differ (p99_ms)" in answer.figure

    def test_a_word_that_one_metric_of_twenty_earns_by_chance_is_shown_and_passes(
        self, topology: str
    ) -> None:
        """Student's interval of four blocks excludes 0 at 5%, and is far from it at 0.5%."""

        def somewhat(variant: Variant, block: int) -> dict[str, float]:
            return {"p99_ms": 5.0 + 1.5 * (block - 2.5)} if is_b(variant) else {}

        answer = ask(questions.aa(topology), Pretended(somewhat))
        assert answer.outcome == "passed"
        assert "0 of 10 metrics differ; at 5% each: 0 better, 1 worse" in answer.figure

    def test_a_difference_too_small_to_matter_passes(self, topology: str) -> None:
        answer = ask(questions.aa(topology), Pretended(of_b(error_ratio=0.0005)))
        assert answer.outcome == "passed"

    @pytest.mark.parametrize("valid", [0, 1, 2])
    def test_fewer_than_three_blocks_answer_nothing(self, topology: str, valid: int) -> None:
        assert outcome(questions.aa(topology), Pretended(valid=valid)) == "unanswered"


class TestDelay:
    delay = questions.delay(1)

    def test_one_that_is_found_as_achieved_passes(self) -> None:
        answer = ask(self.delay, Pretended(of_b(hit_p50_ms=0.5)))
        assert answer.outcome == "passed"
        assert "+0.50 ms (as achieved)" in answer.expected

    def test_one_that_the_interval_of_95_percent_just_misses_passes(self) -> None:
        """Which happens to one run of twenty in which nothing is wrong."""
        answer = ask(self.delay, Pretended(of_b(hit_p50_ms=0.53)))
        found = found_of_hits(self.delay, of_b(hit_p50_ms=0.53))
        assert found[0] > 0.5, "the interval does not cover"
        assert answer.outcome == "passed"

    @pytest.mark.parametrize("found_ms", [0.0, -0.5, 0.1, 0.9])
    def test_one_that_is_not_found_or_not_as_achieved_fails(self, found_ms: float) -> None:
        assert outcome(self.delay, Pretended(of_b(hit_p50_ms=found_ms))) == "failed"

    def test_a_wide_interval_does_not_cover_whatever_is_found(self) -> None:
        def doubled(variant: Variant, block: int) -> dict[str, float]:
            return {"hit_p50_ms": 1.0 + 0.4 * (block - 2.5)} if is_b(variant) else {}

        low, _ = found_of_hits(self.delay, doubled)
        assert low > 0, "it is found"
        assert outcome(self.delay, Pretended(doubled)) == "failed"

    @pytest.mark.parametrize("valid", [0, 1, 2])
    def test_fewer_than_three_blocks_answer_nothing(self, valid: int) -> None:
        assert outcome(self.delay, Pretended(of_b(hit_p50_ms=0.5), valid=valid)) == "unanswered"


def found_of_hits(question: Question, effect: Effect) -> tuple[float, float]:
    """Return the interval of 95% of the difference in the median latency of hits."""
    bench = Pretended(effect)
    question.ask(bench)
    (interval,) = [one.ci95 for one in bench.found[0].comparisons if one.metric == "hit_p50_ms"]
    assert interval is not None
    return interval


class TestHalfTheTtl:
    def test_the_fall_that_theory_expects_passes(self) -> None:
        assert outcome(questions.TTL, Pretended(of_b(hit_ratio=-0.08))) == "passed"

    @pytest.mark.parametrize("change", [0.0, 0.075, -0.03, -0.12])
    def test_any_other_fails(self, change: float) -> None:
        assert outcome(questions.TTL, Pretended(of_b(hit_ratio=change))) == "failed"

    @pytest.mark.parametrize("valid", [0, 1, 2])
    def test_fewer_than_three_blocks_answer_nothing(self, valid: int) -> None:
        assert outcome(questions.TTL, Pretended(of_b(hit_ratio=-0.075), valid=valid)) == "unanswered"


class TestOneReplica:
    def test_equal_hit_ratios_pass(self) -> None:
        assert outcome(questions.ONE, Pretended()) == "passed"

    def test_others_fail(self) -> None:
        def sidecars_hit_less(variant: Variant, _: int) -> dict[str, float]:
            return {"hit_ratio": -0.02} if variant.topology == "sidecar" else {}

        assert outcome(questions.ONE, Pretended(sidecars_hit_less)) == "failed"

    @pytest.mark.parametrize("valid", [0, 1, 2])
    def test_fewer_than_three_blocks_answer_nothing(self, valid: int) -> None:
        assert outcome(questions.ONE, Pretended(valid=valid)) == "unanswered"


class TestTheory:
    @staticmethod
    def answer(score: Callable[[int, int], float], valid: int = 12) -> Answer:
        bench = Pretended(blocks=12, valid=valid, score=score)
        for question in (questions.aa("separate"), questions.TTL, questions.ONE):
            question.ask(bench)
        return questions.THEORY.ask(bench)

    @staticmethod
    def normal(mean: float, sd: float) -> Callable[[int, int], float]:
        return lambda run, block: random.Random(f"{run}/{block}").gauss(mean, sd)

    def test_standard_scores_pass_one_of_each_block(self) -> None:
        answer = self.answer(self.normal(0, 1))
        assert answer.outcome == "passed"
        assert answer.figure.endswith("over 36 blocks")

    def test_the_bounds_follow_from_how_many_there_are(self) -> None:
        assert self.answer(self.normal(0, 1)).expected.startswith("mean within ± 0.55, ")  # 3.29 / √36
        assert self.answer(self.normal(0, 1), valid=9).expected.startswith("mean within ± 0.63, ")

    @pytest.mark.parametrize(("mean", "sd"), [(1.0, 1.0), (-1.0, 1.0), (0.0, 2.0), (0.0, 0.3)])
    def test_scores_that_are_off_spread_or_too_even_fail(self, mean: float, sd: float) -> None:
        assert self.answer(self.normal(mean, sd)).outcome == "failed"

    def test_a_few_blocks_answer_nothing(self) -> None:
        assert self.answer(self.normal(0, 1), valid=6).outcome == "unanswered"
