"""The order of trials: randomized complete blocks, drawn from the seed."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from scenarios import plan
from scenarios.reading import document

MATRIX = {"topology": ["sidecar", "separate", "none"], "replicas": [1, 2], "schedule.blocks": 4}


@given(st.integers(0, 2**32 - 1))
def test_every_variant_is_tried_once_in_each_block(seed: int) -> None:
    scenario = document.load("quick", {**MATRIX, "seed": seed})
    for trials in plan.blocks(scenario):
        assert Counter(trial.variant for trial in trials) == Counter(v.id for v in scenario.variants)


def test_all_trials_of_a_block_meet_the_same_traffic() -> None:
    seeds = [{trial.seed for trial in trials} for trials in plan.blocks(document.load("quick", MATRIX))]
    assert all(len(of_block) == 1 for of_block in seeds)
    assert len(set.union(*seeds)) == len(seeds)


def test_blocks_added_later_leave_those_before_as_they_were() -> None:
    few = list(plan.blocks(document.load("quick", MATRIX)))
    more = list(plan.blocks(document.load("quick", {**MATRIX, "schedule.blocks": 9})))
    assert more[:4] == few


def test_no_variant_has_a_favoured_place() -> None:
    scenario = document.load("quick", {"schedule.blocks": 1000})
    first = Counter(trials[0].variant for trials in plan.blocks(scenario))
    assert 420 < first["sidecar"] < 580  # five standard deviations of a fair coin


def test_trial_ids_are_unique() -> None:
    ids = [trial.id for trials in plan.blocks(document.load("quick", MATRIX)) for trial in trials]
    assert len(set(ids)) == len(ids)
