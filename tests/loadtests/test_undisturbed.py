"""How the generators' benchmark gathers its figures: only undisturbed trials count, and at least three."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from generators import LEAST, Figures, Trials, gather


def figures(service_p50: float = 0.07, *, disturbed: bool = False) -> Figures:
    return Figures(1500, service_p50, 0.3, 0.0, 0.05, 0.1, stolen=0.2 if disturbed else 0.0)


class Generator:
    """A generator whose trials are disturbed as a test wants it, and that notes when it is tried."""

    def __init__(self, name: str, disturbed: Iterator[bool], notes: list[str]) -> None:
        self._name, self._disturbed, self._notes = name, disturbed, notes

    def __call__(self) -> Figures:
        self._notes.append(self._name)
        return figures(disturbed=next(self._disturbed, False))


def trials(name: str = "ours", disturbed: list[bool] | None = None, notes: list[str] | None = None) -> Trials:
    notes = notes if notes is not None else []
    return Trials(Generator(name, iter(disturbed or []), notes), settle=lambda: None)


def always(_: object = None) -> Iterator[bool]:
    while True:
        yield True


def test_a_disturbed_trial_is_counted_and_tried_again() -> None:
    tried = trials(disturbed=[True, True, False])
    gather([[tried]], rounds=1, most_rounds=1, order=random.Random(1))
    assert (len(tried.figures), tried.disturbed) == (1, 2)


def test_rounds_are_added_until_each_generator_has_three_undisturbed_trials() -> None:
    tried = trials(disturbed=[True] * 12)
    gather([[tried]], rounds=2, most_rounds=9, order=random.Random(1))
    assert (len(tried.figures), tried.disturbed) == (LEAST, 12)


def test_an_added_round_tries_all_generators_of_a_rate_that_is_short_and_no_other() -> None:
    """Generators are compared with each other: what is tried again, is tried beside its peers."""
    notes: list[str] = []
    noisy, peer = trials("noisy", [True] * 6, notes), trials("peer", notes=notes)
    elsewhere = trials("elsewhere", notes=notes)
    gather([[noisy, peer], [elsewhere]], rounds=3, most_rounds=9, order=random.Random(1))
    assert [len(tried.figures) for tried in (noisy, peer, elsewhere)] == [3, 4, 3]


def test_it_gives_up_after_so_many_rounds_and_then_no_figure_counts() -> None:
    tried = Trials(Generator("ours", always(), []), settle=lambda: None)
    gather([[tried]], rounds=2, most_rounds=4, order=random.Random(1))
    assert tried.disturbed == 4 * 6
    with pytest.raises(AssertionError, match="0 of 24 trials were left in peace, 3 are needed"):
        tried.median("service_p50")


def test_it_gives_up_once_the_time_is_over() -> None:
    clock = iter(range(0, 1000, 100))
    tried = Trials(Generator("ours", always(), []), settle=lambda: None)
    gather(
        [[tried]], rounds=2, most_rounds=99, order=random.Random(1), within_s=250, clock=lambda: next(clock)
    )
    assert tried.disturbed == 2 * 6 + 2 * 6


@pytest.mark.parametrize("count", range(LEAST))
def test_fewer_than_three_are_shown_and_do_not_count(count: int) -> None:
    tried = trials()
    for _ in range(count):
        tried.try_once()
    assert f"| {count} (0), TOO FEW |" in tried.row(500, "ours")
    with pytest.raises(AssertionError):
        tried.median("service_p50")


def test_three_count() -> None:
    tried = trials()
    for _ in range(LEAST):
        tried.try_once()
    assert tried.median("service_p50") == 0.07
    assert tried.row(500, "ours") == "| 500 | ours | 3 (0) | 0.070 | 0.300 | 0.050 | 0.100 |"
