"""What the grid of a prediction says at one TTL and one number of replicas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reports.prediction.model import Point, Prediction, Series, Topology, TopologyTimes


@dataclass(frozen=True)
class Link:
    """The round trip to a separate Redis, and the upstream's median latency."""

    rtt_ms: float
    upstream_ms: float


@dataclass(frozen=True)
class At:
    """A place in the grid: numbers of its row (TTL) and its column (replicas)."""

    row: int
    column: int


def own_place(prediction: Prediction) -> At:
    """Return the place of the grid that is nearest to the user's own combination."""
    grid, own = prediction.grid, prediction.own
    return At(
        min(range(len(grid.ttl_s)), key=lambda row: abs(grid.ttl_s[row] - own.ttl_s)),
        min(range(len(grid.replicas)), key=lambda column: abs(grid.replicas[column] - own.replicas)),
    )


def own_link(prediction: Prediction) -> Link:
    """Return the link that the prediction's points are computed for."""
    return Link(prediction.times.rtt_ms, prediction.times.upstream_ms)


def refined(prediction: Prediction) -> Prediction:
    """Return the prediction with its points in its grid: they are means over more routings.

    So the page says one number of one combination, wherever it says it.
    """
    table = prediction.grid
    places = {
        (
            point.topology,
            point.l1_s,
            table.ttl_s.index(point.ttl_s),
            table.replicas.index(point.replicas),
        ): point
        for point in prediction.points
        if point.ttl_s in table.ttl_s and point.replicas in table.replicas and point.routing == table.routing
    }
    series = []
    for one in table.series:
        counts = {name: [list(row) for row in getattr(one, name)] for name in _COUNTS}
        for (topology, l1_s, row, column), point in places.items():
            if (topology, l1_s) == (one.topology, one.l1_s):
                for name, value in zip(_COUNTS, _counts(point), strict=True):
                    if counts[name]:
                        counts[name][row][column] = value
        series.append(one.model_copy(update=counts))
    return prediction.model_copy(update={"grid": table.model_copy(update={"series": series})})


_COUNTS: Final = (
    "calls", "quota_calls", "hits", "l1_hits", "delayed", "stale", "busiest", "quota_busiest",
)  # fmt: skip


def _counts(point: Point) -> tuple[float, ...]:
    return (
        point.upstream_calls, point.quota_calls, point.hits, point.l1_hits, point.delayed, point.stale,
        point.upstream_calls_per_hour.busiest, point.quota_calls_per_hour.busiest,
    )  # fmt: skip


def series_of(prediction: Prediction, topology: Topology, l1_s: float = 0.0) -> Series:
    """Return a topology's series.

    Raises:
        KeyError: the grid has none.
    """
    for series in prediction.grid.series:
        if (series.topology, series.l1_s) == (topology, l1_s):
            return series
    raise KeyError(topology)


def cached(prediction: Prediction) -> Iterator[Series]:
    """Yield the series that have a cache."""
    return (series for series in prediction.grid.series if series.topology != "none")


def hit_ratio(prediction: Prediction, series: Series, at: At) -> float:
    """Return the share of requests that hit."""
    return series.hits[at.row][at.column] / max(prediction.grid.requests[at.row], 1.0)


def peak_rate(prediction: Prediction) -> float:
    """Return the requests per second of the busiest hour."""
    busiest = max((hour.requests for hour in prediction.hours), default=0) / 3600
    return max(prediction.span.rate, busiest) if len(prediction.hours) > 1 else prediction.span.rate


def mean_ms(prediction: Prediction, series: Series, at: At, link: Link) -> float | None:
    """Return the mean latency over another link; None where replicas cannot serve the busiest hour.

    What hits does not change with the link: it is taken as it was computed for the prediction's own one.
    explorer.js computes the same in the same order, so that both round alike.
    """
    times = times_of(prediction, series.topology)
    requests = max(prediction.grid.requests[at.row], 1.0)
    l1 = series.l1_hits[at.row][at.column] / requests
    hit = (series.hits[at.row][at.column] - series.l1_hits[at.row][at.column]) / requests
    delayed = series.delayed[at.row][at.column] / requests
    stale = (series.stale[at.row][at.column] if series.stale else 0.0) / requests
    miss = max(0.0, 1 - hit - l1 - delayed - stale)
    waiting = _wait_ms(prediction, times, miss, prediction.grid.replicas[at.column])
    if waiting is None:
        return None
    upstream_ms = link.upstream_ms * upstream_mean(prediction)
    hit_ms = times.hit_ms + times.hit_hops * link.rtt_ms
    miss_ms = times.miss_ms + times.miss_hops * link.rtt_ms + upstream_ms
    without = (
        l1 * times.l1_hit_ms + (hit + stale) * hit_ms + delayed * (hit_ms + miss_ms / 2) + miss * miss_ms
    )
    return without + waiting


def upstream_mean(prediction: Prediction) -> float:
    """Return the upstream's mean latency over its median."""
    times = prediction.times
    return times.upstream_mean_ms / times.upstream_ms if times.upstream_ms else 1.0


def _wait_ms(prediction: Prediction, times: TopologyTimes, miss: float, replicas: int) -> float | None:
    """Return the mean wait in a replica's queue (M/G/1; see TopologyTimes)."""
    busy = (1 - miss) * times.hit_busy_ms + miss * times.miss_busy_ms
    square = (
        1 - miss
    ) * times.hit_busy_ms * times.hit_busy_ms + miss * times.miss_busy_ms * times.miss_busy_ms
    per_ms = prediction.span.rate / replicas / 1000
    if peak_rate(prediction) / replicas / 1000 * busy >= 1:
        return None
    return per_ms * square / (2 * (1 - per_ms * busy))


def times_of(prediction: Prediction, topology: Topology) -> TopologyTimes:
    """Return a topology's times.

    Raises:
        KeyError: the prediction has none.
    """
    for times in prediction.times.topologies:
        if times.topology == topology:
            return times
    raise KeyError(topology)
