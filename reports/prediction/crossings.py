"""Where sidecars and a separate Redis change places, all else as in the user's own combination."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, Literal, TypeVar

from reports.prediction.model import Crossing, Parameter
from reports.prediction.question import Question
from simulation.prediction import latency as latencies
from simulation.prediction.counting import Topology
from simulation.prediction.outcomes import Outcome

_STEPS: Final = 12  # of halving an interval of TTLs on a log scale
_FEW_STEPS: Final = 5
_MOST_MS: Final = 10_000.0
_Number = TypeVar("_Number", int, float)
Side = Literal["sidecar", "separate", "equal"]


def crossings(question: Question) -> Iterator[Crossing]:
    """Yield where the means of their latencies are equal: by TTL, replicas, round trip, upstream latency."""
    yield from _by_ttl(question)
    yield from _by_replicas(question)
    sides = _outcomes(question, question.own_replicas, [question.own_ttl_s])
    pair = sides["sidecar"][0], sides["separate"][0]
    yield from _by_link(question, pair, "rtt_ms")
    yield from _by_link(question, pair, "upstream_ms")


def difference(
    question: Question,
    outcomes: tuple[Outcome, Outcome],
    replicas: int,
    link: latencies.Link | None = None,
) -> float | None:
    """Return the mean latency with sidecars less that with a separate Redis, in ms; None: one cannot."""
    means = []
    for topology, outcome in zip(_SIDES, outcomes, strict=True):
        times, shares = question.times[topology], outcome.shares()
        waiting = latencies.wait_ms(times, shares, question.rate / replicas)
        if waiting is None:
            return None
        means.append(latencies.mean_ms(times, link or question.link, shares) + waiting)
    return means[0] - means[1]


_SIDES: Final[tuple[Topology, Topology]] = ("sidecar", "separate")


def _outcomes(question: Question, replicas: int, ttls_s: Sequence[float]) -> dict[Topology, list[Outcome]]:
    source = question.grid_source if question.costly else question.source
    return {side: source.outcomes(side, replicas, ttls_s) for side in _SIDES}


def _by_ttl(question: Question) -> Iterator[Crossing]:
    replicas = question.own_replicas

    def at(ttls_s: Sequence[float]) -> list[float | None]:
        sides = _outcomes(question, replicas, ttls_s)
        pairs = zip(sides["sidecar"], sides["separate"], strict=True)
        return [difference(question, pair, replicas) for pair in pairs]

    grid = list(question.grid_ttls_s)
    for low, high, sign in _changes(grid, at(grid)):
        below, above = low, high
        for _ in range(_FEW_STEPS if question.costly else _STEPS):
            middle = (below * above) ** 0.5
            found = at([middle])[0]
            if found is None:
                break
            below, above = (middle, above) if (found > 0) == (sign > 0) else (below, middle)
        yield _crossing("ttl_s", (below * above) ** 0.5, sign)


def _by_replicas(question: Question) -> Iterator[Crossing]:
    """Yield the first number of replicas at which the other is lower."""

    def at(replicas: int) -> float | None:
        sides = _outcomes(question, replicas, [question.own_ttl_s])
        return difference(question, (sides["sidecar"][0], sides["separate"][0]), replicas)

    grid = list(question.grid_replicas)
    for low, high, sign in _changes(grid, [at(each) for each in grid]):
        below, above = low, high
        while above - below > 1:
            middle = (below + above) // 2
            found = at(middle)
            below, above = (middle, above) if found is None or (found > 0) == (sign > 0) else (below, middle)
        yield _crossing("replicas", above, sign)


def _by_link(question: Question, pair: tuple[Outcome, Outcome], parameter: Parameter) -> Iterator[Crossing]:
    """Yield where the difference, which is linear in the parameter, is zero."""

    def at(value: float) -> float | None:
        link = latencies.Link(**(vars(question.link) | {parameter: value}))
        return difference(question, pair, question.own_replicas, link)

    zero, one = at(0.0), at(1.0)
    if zero is None or one is None or zero == one:
        return
    value = zero / (zero - one)
    if 0 < value <= _MOST_MS:
        yield _crossing(parameter, value, zero)


def _changes(
    grid: Sequence[_Number], found: Sequence[float | None]
) -> Iterator[tuple[_Number, _Number, float]]:
    """Yield neighbours between which the sign changes, and the sign below."""
    known = [(at, value) for at, value in zip(grid, found, strict=True) if value is not None and value != 0]
    for (low, before), (high, after) in itertools.pairwise(known):
        if (before > 0) != (after > 0):
            yield low, high, before


def _crossing(parameter: Parameter, value: float, sign: float) -> Crossing:
    """`sign` is that of the sidecars' mean less the separate one's, below the crossing."""
    below: Side = "separate" if sign > 0 else "sidecar"
    above: Side = "sidecar" if sign > 0 else "separate"
    return Crossing(metric="mean_ms", parameter=parameter, value=value, below=below, above=above)
