"""The tables of a prediction's page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from reports.prediction import grid, words
from reports.prediction.figures import curves, maps
from reports.prediction.grid import At
from reports.prediction.model import Assumption, Origin, Point, Prediction
from reports.render.cells import Cell, Table

_ORDER: Final[tuple[Origin, ...]] = ("measured", "calibration", "log", "given", "scenario", "assumed")
_MOST_HOURS: Final = 24 * 14
_MOST_POINTS: Final = 400
_ASSUMED: Final = "undecided"


def points(prediction: Prediction) -> Table:
    """Return all points of the user's own combination, by topology."""
    own = [prediction.point(name) for name in prediction.own.points]
    return Table(
        "own", _point_heads(prediction, "Topology"), [_point(prediction, one, _named(one)) for one in own]
    )


def every_point(prediction: Prediction) -> Table:
    """Return every combination that was asked for; without a cache there is no TTL to vary."""
    rows: list[list[Cell]] = []
    seen: set[int] = set()
    for one in prediction.points[:_MOST_POINTS]:
        if one.topology == "none":
            if one.replicas in seen:
                continue
            seen.add(one.replicas)
        setting = f"{words.span(one.ttl_s)}, {one.replicas} × {one.routing}"
        rows.append(_point(prediction, one, Cell(words.short(one.topology, one.l1_s), setting)))
    return Table("points", _point_heads(prediction, "Combination"), rows)


def left_over(prediction: Prediction) -> int:
    """Return how many combinations are in prediction.json alone."""
    return max(0, len(prediction.points) - _MOST_POINTS)


def _point_heads(prediction: Prediction, first: str) -> list[str]:
    over = ["Hours over quota"] if prediction.quota else []
    return [
        first, "Hit ratio", "Upstream calls, all", "Calls an hour, mean", "Busiest hour", *over,
        "Mean latency", "p99", "A month",
    ]  # fmt: skip


def _named(point: Point) -> Cell:
    limit = f"{words.memory(point.maxmemory)} each" if point.maxmemory is not None else ""
    return Cell(words.short(point.topology, point.l1_s), limit)


def _point(prediction: Prediction, point: Point, name: Cell) -> list[Cell]:
    hourly, counted = point.upstream_calls_per_hour, point.quota_calls_per_hour
    other = f"{words.calls(counted.busiest)} count" if counted.busiest != hourly.busiest else ""
    spread = words.points(1.96 * (point.hit_ratio_se or 0.0))
    row = [
        name,
        Cell(words.percent(point.hit_ratio), spread),
        Cell(words.calls(point.upstream_calls)),
        Cell(words.calls(hourly.mean)),
        Cell(words.calls(hourly.busiest), other),
    ]
    if prediction.quota:
        over = point.hours_over_quota or 0.0
        row.append(Cell(words.hours(over), kind="worse" if over else ""))
    latency = point.latency
    row += [
        Cell(words.ms(latency.mean_ms) if latency else "–", point.does_not_fit or ""),
        Cell(words.ms(latency.p99_ms) if latency else "–"),
        Cell(f"${words.rounded(point.monthly_usd, 0)}" if point.monthly_usd is not None else "–"),
    ]
    return row


def assumptions(prediction: Prediction) -> Table:
    """Return what the prediction rests on: what was measured first, what is assumed last."""
    ordered = sorted(prediction.assumptions, key=lambda one: _ORDER.index(one.origin))
    rows = [
        [
            Cell(one.label),
            Cell(_value(one)),
            Cell(
                words.ORIGINS[one.origin],
                one.source.removeprefix("assumed: "),
                kind=_ASSUMED if one.origin == "assumed" else "",
            ),
        ]
        for one in ordered
    ]
    return Table("assumptions", ["What", "Value", "Where it comes from"], rows)


def origins(prediction: Prediction) -> str:
    """Say how many values come from where."""
    counted = Counter(one.origin for one in prediction.assumptions)
    if len(counted) == 1:
        return f"All {len(prediction.assumptions)} values are {words.ORIGINS[next(iter(counted))]}."
    said = [f"{counted[origin]} {words.ORIGINS[origin]}" for origin in _ORDER if counted[origin]]
    return f"{len(prediction.assumptions)} values: {', '.join(said)}."


def _value(one: Assumption) -> str:
    if one.value is None:
        return "none"
    if isinstance(one.value, bool):
        return "yes" if one.value else "no"
    value = f"{one.value:,.6g}" if isinstance(one.value, float) else str(one.value)
    return f"{value} {one.unit}".strip()


def over_ttl(prediction: Prediction) -> Table:
    """Return what the curves show: rows by TTL, columns by topology and replicas."""
    own = grid.own_place(prediction)
    thin = sorted({own.column, *curves.counts_shown(prediction)})
    heads, columns = ["TTL"], []
    for series in grid.cached(prediction):
        plain = series.topology == "sidecar" and not series.l1_s
        for column in thin if plain else [own.column]:
            heads.append(f"{words.short(series.topology, series.l1_s)}, {prediction.grid.replicas[column]}")
            columns.append((series, column))
    rows = []
    for row, ttl_s in enumerate(prediction.grid.ttl_s):
        cells = [Cell(words.span(ttl_s))]
        for series, column in columns:
            hits = words.percent(grid.hit_ratio(prediction, series, At(row, column)))
            cells.append(Cell(words.calls(series.busiest[row][column]), hits))
        rows.append(cells)
    return Table("over-ttl", heads, rows)


def over_replicas(prediction: Prediction) -> Table:
    """Return calls in the busiest hour and mean latencies: rows by number of replicas."""
    own, link = grid.own_place(prediction), grid.own_link(prediction)
    shown = list(grid.cached(prediction))
    rows = []
    for column, replicas in enumerate(prediction.grid.replicas):
        at = At(own.row, column)
        cells = [Cell(str(replicas))]
        for series in shown:
            mean = grid.mean_ms(prediction, series, at, link)
            cells.append(
                Cell(
                    words.calls(series.busiest[at.row][column]),
                    "does not fit" if mean is None else words.ms(mean),
                )
            )
        rows.append(cells)
    return Table("over-replicas", ["Replicas", *(words.short(one.topology, one.l1_s) for one in shown)], rows)


def over_memory(prediction: Prediction) -> Table:
    """Return hit ratios and evictions: rows by memory of all caches together."""
    topologies = list(prediction.memory[0].hit_ratio) if prediction.memory else []
    rows = [
        [
            Cell(words.memory(point.maxmemory)),
            *(
                Cell(
                    words.percent(point.hit_ratio[topology]),
                    f"{words.calls(point.upstream_calls[topology])} calls, "
                    f"{words.calls(point.evicted.get(topology, 0.0))} evicted",
                )
                for topology in topologies
            ),
        ]
        for point in prediction.memory
    ]
    return Table("over-memory", ["Memory", *(words.short(topology) for topology in topologies)], rows)


def over_grid(prediction: Prediction) -> Table:
    """Return by how much of the smaller mean sidecars are above (+) or below (−) a separate Redis."""
    found = maps.over_grid(prediction)
    heads = ["TTL", *(str(count) for count in prediction.grid.replicas)]
    rows = [
        [Cell(words.span(ttl_s)), *(_signed(value) for value in found[row])]
        for row, ttl_s in enumerate(prediction.grid.ttl_s)
    ]
    return Table("map-grid", heads, rows)


def over_links(prediction: Prediction) -> Table:
    """Return the same over round trip and upstream latency, every fourth of the map's."""
    rtts, upstreams, found = maps.over_links(prediction)
    heads = ["Upstream", *(words.ms(rtt) for rtt in rtts[::4])]
    rows = [
        [Cell(words.ms(upstream)), *(_signed(value) for value in found[row, ::4])]
        for row, upstream in list(enumerate(upstreams))[::4]
    ]
    return Table("map-links", heads, rows)


def _signed(value: float) -> Cell:
    if value != value:
        return Cell("–")
    return Cell(f"{'+' if value > 0 else '−'}{words.rounded(abs(value) * 100, 1)}%")


def crossings(prediction: Prediction) -> list[str]:
    """Say where the two change places."""
    return [
        f"{_METRICS[one.metric]} is lower with {_below(one.below)} below {_at(one.parameter, one.value)}, "
        f"and with {_below(one.above)} above."
        for one in prediction.crossings
    ]


_METRICS: Final = {
    "mean_ms": "The mean latency",
    "upstream_calls_busiest": "The number of upstream calls in the busiest hour",
    "upstream_calls_mean": "The number of upstream calls",
}


def _below(side: str) -> str:
    return {"sidecar": "sidecars", "separate": "a separate Redis", "equal": "neither"}[side]


def _at(parameter: str, value: float) -> str:
    return {
        "ttl_s": f"a TTL of {words.span(value)}",
        "replicas": f"{value:.0f} replicas",
        "rtt_ms": f"a round trip of {words.ms(value)}",
        "upstream_ms": f"an upstream latency of {words.ms(value)}",
    }[parameter]


def hours(prediction: Prediction) -> Table:
    """Return requests and upstream calls of each hour, of at most two weeks."""
    shown = prediction.hours[:_MOST_HOURS]
    names = list(shown[0].calls) if shown else []
    labels = [words.short(point.topology, point.l1_s) for point in map(prediction.point, names)]
    rows = [
        [
            Cell(hour.begins[:16].replace("T", " ") if hour.begins else str(number)),
            Cell(f"{hour.requests:,}"),
            *(Cell(words.calls(hour.calls[name])) for name in names),
        ]
        for number, hour in enumerate(shown)
    ]
    return Table("hours", ["Hour", "Requests", *labels], rows)


def deployments(prediction: Prediction) -> Table:
    """Return what a deployment costs each point of the own combination."""
    rows = []
    for one in prediction.deployments:
        point = prediction.point(one.point)
        spread = f"± {words.rounded(1.96 * one.extra_calls_se, 1)}" if one.extra_calls_se is not None else ""
        sign = "−" if one.extra_calls < 0 else ""
        rows.append([
            Cell(words.short(point.topology, point.l1_s)),
            Cell(sign + words.calls(abs(one.extra_calls)), spread),
            Cell(f"{one.per_day:g}"),
            Cell(sign + words.calls(abs(one.extra_calls) * one.per_day)),
            Cell(f"{one.simulated:,}"),
        ])  # fmt: skip
    heads = ["Topology", "More calls for one", "Deployments a day", "More calls a day", "Simulated"]
    return Table("deployments", heads, rows)


def left_out(traffic: dict[str, Any]) -> Table:
    """Return the kinds of lines that were left out of the log, with the first of each."""
    kinds: Iterable[dict[str, Any]] = traffic.get("left_out", [])
    rows = [
        [Cell(str(kind["reason"])), Cell(f"{kind['lines']:,}"), Cell(str(kind.get("first") or "–"))]
        for kind in kinds
    ]
    return Table("left-out", ["Left out because", "Lines", "The first"], rows)


def counted(traffic: dict[str, Any], what: str) -> Sequence[tuple[str, int]]:
    """Return how often each method or status was, most frequent first."""
    return sorted(traffic.get(what, {}).items(), key=lambda pair: -pair[1])
