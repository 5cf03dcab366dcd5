"""The page of a prediction: one HTML file that needs nothing else, whole without its script."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reports.prediction import explorer, grid, limits, tables, words
from reports.prediction.figures import curves, maps, times
from reports.prediction.model import Point, Prediction
from reports.render import html
from reports.render.figures.ink import Picture

_TEMPLATES: Final = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Figure:
    """One topology's value in a large figure: what it says, a smaller line, and the topology's own colour."""

    name: str
    kind: str
    text: str
    under: str = ""


@dataclass(frozen=True)
class Card:
    """A large figure: one quantity of both topologies, and a plain line that explains it."""

    title: str
    figures: list[Figure]
    line: str


def page(prediction: Prediction) -> str:
    """Return the page as HTML."""
    return html.rendered("prediction.html.j2", content(grid.refined(prediction)), _TEMPLATES)


def content(prediction: Prediction) -> dict[str, Any]:
    """Return all that the template shows."""
    notes = remarks(prediction.notes)
    headline, _, rest = prediction.answer.partition(". ")
    return {
        "prediction": prediction,
        "headline": headline + ("." if rest else ""),
        "answer_rest": rest,
        "page_style": html.own(_TEMPLATES / "prediction.css"),
        "explorer": explorer.explorer(prediction),
        "words": words,
        "tables": tables,
        "name": name(prediction),
        "when": explorer.when(prediction),
        "asked": asked(prediction),
        "cards": cards(prediction),
        "pictures": pictures(prediction),
        "crossings": tables.crossings(prediction),
        "traffic_facts": traffic_facts(prediction),
        "notes": notes,
        "remarks": [one for one in remarks(prediction.traffic.get("remarks", [])) if one not in notes],
        "limits": list(limits.limits(prediction)),
        "command": shlex.join(prediction.command),
    }


def asked(prediction: Prediction) -> str:
    """Say what traffic the prediction is for."""
    span = prediction.span
    if span.kind == "described":
        return f"{span.name[:1].upper()}{span.name[1:]}."
    return (
        f"{span.requests:,} requests in {words.span(span.span_s)}, {span.rate:,.4g} a second on average, for "
        f"{span.keys:,} cache keys (what a cache keeps one response for)."
    )


def name(prediction: Prediction) -> str:
    """Return what to call the traffic: the log's name without its folder."""
    span = prediction.span
    return span.name.rpartition("/")[2] or span.name if span.kind == "log" else span.name


def cards(prediction: Prediction) -> list[Card]:
    """Return the large figures."""
    pair = [prediction.point(name) for name in (prediction.own.separate, prediction.own.sidecar)]
    shown = [
        Card(
            f"Upstream calls {explorer.when(prediction)}",
            [
                _figure(one, words.calls(one.upstream_calls_per_hour.busiest), _share(prediction, one))
                for one in pair
            ],
            "A call goes to the API behind the cache, for each request that the cache cannot answer.",
        ),
        Card(
            "Hit ratio",
            [_figure(one, words.percent(one.hit_ratio), _error(one)) for one in pair],
            "The share of requests that a cache answers.",
        ),
        Card(
            "Mean latency",
            [
                _figure(
                    one,
                    words.ms(one.latency.mean_ms) if one.latency else "–",
                    f"99% within {words.ms(one.latency.p99_ms)}" if one.latency else "does not fit",
                )
                for one in pair
            ],
            "From a request’s arrival to its answer, hits and misses together.",
        ),
        Card(
            "Cost a month",
            [
                _figure(one, f"${words.rounded(one.monthly_usd, 0)}" if one.monthly_usd is not None else "–")
                for one in pair
            ],
            "List prices of Fargate: all tasks, and traffic between zones.",
        ),
    ]
    if prediction.quota is not None:
        shown.append(_over_quota(prediction, pair))
    return shown


def _over_quota(prediction: Prediction, pair: list[Point]) -> Card:
    quota, hours = prediction.quota, len(prediction.hours)
    assert quota is not None, "asked only where there is one"
    return Card(
        "Hours over the quota",
        [
            _figure(one, words.hours(one.hours_over_quota or 0.0), f"of {hours:,}" if hours > 1 else "")
            for one in pair
        ],
        f"Hours with more calls than the {words.rounded(quota.calls * 3600 / quota.per_s, 0)} that the "
        "upstream allows.",
    )


def _figure(point: Point, text: str, under: str = "") -> Figure:
    return Figure(words.short(point.topology, point.l1_s), point.topology, text, under)


def _share(prediction: Prediction, point: Point) -> str:
    allowed = explorer.quota_per_hour(prediction)
    mean = f"{words.calls(point.upstream_calls_per_hour.mean)} on average"
    if not allowed:
        return mean
    return f"{words.percent(point.quota_calls_per_hour.busiest / allowed)} of the quota; {mean}"


def _error(point: Point) -> str:
    spread = words.points(1.96 * (point.hit_ratio_se or 0.0))
    return f"{spread} over {point.seeds} routings" if spread else ""


def pictures(prediction: Prediction) -> dict[str, Picture]:
    """Draw all figures that there is data for, by name."""
    drawn = [
        curves.over_ttl(prediction),
        curves.over_replicas(prediction),
        curves.over_memory(prediction),
        maps.maps(prediction),
        times.hours(prediction),
        times.deployments(prediction),
    ]
    return {picture.name: picture for picture in drawn if picture is not None}


def traffic_facts(prediction: Prediction) -> list[tuple[str, str]]:
    """Return what was in the log, or what describes the traffic, as names and values."""
    span, traffic = prediction.span, prediction.traffic
    facts = [
        ("Requests counted", f"{span.requests:,}"),
        ("Cache keys", f"{span.keys:,}"),
        ("Rate", f"{span.rate:,.4g} a second on average"),
    ]
    if span.kind == "log":
        facts.append(("Time counted", words.span(span.span_s)))
    if span.not_counted:
        facts.append(("Fill the caches, not counted", f"{span.not_counted:,} requests"))
    if span.uncacheable:
        facts.append(("Kept by no cache", f"{span.uncacheable:,} requests"))
    return facts + [
        (label, _fact(traffic[key], unit))
        for key, (label, unit) in _FACTS.items()
        if traffic.get(key) is not None
    ]


_FACTS: Final = {
    "format": ("Format", ""),
    "lines": ("Lines", ""),
    "first": ("First request", ""),
    "last": ("Last request", ""),
    "asked_once": ("Keys asked for once", "%"),
    "distribution": ("Keys are drawn", ""),
    "exponent": ("Exponent", ""),
    "skew": ("Skew fitted (Zipf’s exponent)", ""),
    "working_set": ("Working set", ""),
    "working_set_bytes": ("Working set", "bytes"),
}


def remarks(said: Sequence[str]) -> list[str]:
    """Return remarks without the list of lines left out: a table has them."""
    shown = [remark for remark in said if not remark.startswith("  ")]
    return [
        remark.removesuffix(":") + "; “What was in the log” has each kind."
        if remark.endswith("out:")
        else remark
        for remark in shown
    ]


def _fact(value: Any, unit: str) -> str:
    if unit == "%":
        return words.percent(float(value))
    if unit == "bytes":
        return words.memory(float(value))
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:,.4g}"
        if isinstance(value, float)
        else str(value)
    )
