"""The delay is found by measuring, on machines that are not still."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose.link.calibration import LEAST_US, NEAR, STALE, Calibration, Ping, tolerance


class Link:
    """A link of a known floor, whose medians a noisy machine can spoil."""

    def __init__(self, floor_us: float, spoilt: frozenset[int] = frozenset(), scatter_us: float = 0) -> None:
        self.floor_us = floor_us
        self.delay_us = 0.0
        self.pings = 0
        self._spoilt = spoilt
        self._scatter_us = scatter_us
        self._random = random.Random(1)

    def set_delay(self, microseconds: float) -> None:
        self.delay_us = microseconds

    @property
    def rtt_us(self) -> float:
        return self.floor_us + 2 * self.delay_us

    def ping(self) -> Ping:
        self.pings += 1
        noise = 400.0 if self.pings in self._spoilt else self._random.uniform(0, self._scatter_us)
        return Ping(self.rtt_us + noise, self.rtt_us + 3 * noise, 200)


def reach(link: Link, wanted_us: float, calibration: Calibration | None = None) -> float:
    seen, _ = (calibration or Calibration()).reach(wanted_us, link.set_delay, link.ping)
    return seen.median_us


@given(floor=st.floats(20, 300), wanted=st.floats(300, 20_000), scatter=st.floats(0, LEAST_US))
def test_the_wanted_rtt_is_reached_where_the_floor_allows(
    floor: float, wanted: float, scatter: float
) -> None:
    link = Link(floor, scatter_us=scatter)
    assert reach(link, wanted) == pytest.approx(wanted, abs=tolerance(wanted, NEAR))
    assert link.rtt_us == pytest.approx(wanted, abs=tolerance(wanted, NEAR) + scatter)


@given(spoilt=st.frozensets(st.integers(1, 8), max_size=2))
def test_measurements_that_noise_spoils_are_made_again(spoilt: frozenset[int]) -> None:
    link = Link(120, spoilt)
    reach(link, 1000)
    assert link.rtt_us == pytest.approx(1000, abs=tolerance(1000, NEAR))


def test_below_the_floor_the_floor_is_what_there_is() -> None:
    link = Link(220)
    seen, floor = Calibration().reach(100, link.set_delay, link.ping)
    assert (seen.median_us, floor, link.delay_us) == (220, 220, 0)


def test_a_delay_once_found_is_measured_once_a_trial() -> None:
    link, calibration = Link(120), Calibration()
    reach(link, 800, calibration)
    before = link.pings
    assert reach(link, 800, calibration) == pytest.approx(800, rel=NEAR)
    assert link.pings == before + 1


def test_a_delay_that_misses_by_now_is_sought_again() -> None:
    link, calibration = Link(120), Calibration()
    reach(link, 800, calibration)
    link.floor_us += 2 * STALE * 800
    assert reach(link, 800, calibration) == pytest.approx(800, rel=NEAR)


def test_each_rtt_has_its_own_delay() -> None:
    link, calibration = Link(120), Calibration()
    assert [round(reach(link, wanted, calibration)) for wanted in (300, 1000, 300)] == [300, 1000, 300]
