"""The explorer on the page: what its script is given, and the sentence that it writes, in Python.

Sliders move along stops, which are computed points of the grid (TTL, replicas) or round values (round trip,
upstream latency, quota). Nothing is interpolated.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from reports.prediction import grid, words
from reports.prediction.grid import At, Link
from reports.prediction.model import Prediction, Series, Topology
from reports.render import html

_RTTS_MS: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_UPSTREAMS_MS: Final = (
    1.0,
    2.0,
    5.0,
    10.0,
    20.0,
    30.0,
    50.0,
    75.0,
    100.0,
    150.0,
    200.0,
    300.0,
    500.0,
    1000.0,
)
_QUOTAS: Final = (60.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 15_000.0, 50_000.0, 100_000.0)
_ALIKE: Final = 1.001
_EQUAL_MS: Final = 0.005  # less than this is nothing at the two decimals that are shown


_TEMPLATES: Final = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Measured:
    """What trials of one variant measured: a cross on each curve. None: not known.

    `calls`: upstream calls an hour. `hits`: the hit ratio. `mean`: the mean latency in ms.
    """

    name: str
    topology: Topology
    ttl_s: float
    replicas: int
    calls: float | None
    hits: float | None
    mean: float | None


@dataclass(frozen=True)
class Explorer:
    """The explorer as a part of a page: styles for its head, the section, and the script's fingerprint."""

    style: Markup
    block: Markup
    script_hash: str


def explorer(prediction: Prediction, measured: Sequence[Measured] = (), note: str = "") -> Explorer:
    """Return the explorer of a prediction, with what was measured drawn into its curves, and a note."""
    script = html.own(_TEMPLATES / "explorer.js")
    shown = {
        "words": words,
        "when": when(prediction),
        "explored": list(grid.cached(prediction)),
        "upstream_ms": prediction.times.upstream_ms,
        "sentence": sentence(prediction, own_setting(prediction)),
        "note": note,
        "data": embedded(prediction, measured),
        "script": script,
    }
    digest = hashlib.sha256(script.encode()).digest()
    return Explorer(
        style=html.own(_TEMPLATES / "explorer.css"),
        block=html.part("explorer.html.j2", shown, _TEMPLATES),
        script_hash=f"sha256-{base64.b64encode(digest).decode()}",
    )


@dataclass(frozen=True)
class Setting:
    """Where the sliders stand. `quota`: calls an hour; None: none."""

    at: At
    link: Link
    quota: float | None


def own_setting(prediction: Prediction) -> Setting:
    """Return the setting of the prediction itself."""
    return Setting(grid.own_place(prediction), grid.own_link(prediction), quota_per_hour(prediction))


def quota_per_hour(prediction: Prediction) -> float | None:
    """Return how many calls an hour the upstream allows; None: as many as come."""
    quota = prediction.quota
    return quota.calls * 3600 / quota.per_s if quota else None


def sentence(prediction: Prediction, setting: Setting) -> str:
    """Say what the two topologies do at a setting. explorer.js says the same, word for word."""
    row, column = setting.at.row, setting.at.column
    separate, sidecar = grid.series_of(prediction, "separate"), grid.series_of(prediction, "sidecar")
    replicas = prediction.grid.replicas[column]
    said = (
        f"With {replicas} {'replica' if replicas == 1 else 'replicas'} and a TTL of "
        f"{words.span(prediction.grid.ttl_s[row])}, a separate Redis makes "
        f"{_calls(separate, setting)} {when(prediction)}, sidecars {_calls(sidecar, setting, short=True)}"
    )
    if setting.quota is not None:
        said += f": {_fits(separate, sidecar, setting)}"
    return f"{said}. {_latency(prediction, separate, sidecar, setting)}"


def when(prediction: Prediction) -> str:
    """Say which hour calls are those of: where all hours are alike, there is no busiest."""
    if prediction.span.partial_hour:
        return "in this log"
    hourly = [prediction.point(name).upstream_calls_per_hour for name in prediction.own.points]
    alike = all(one.busiest <= _ALIKE * one.mean for one in hourly)
    return "an hour" if alike else "in the busiest hour"


def _calls(series: Series, setting: Setting, *, short: bool = False) -> str:
    row, column = setting.at.row, setting.at.column
    said = words.calls(series.busiest[row][column]) + ("" if short else " upstream calls")
    if setting.quota is None:
        return said
    of = "" if short else f" of {words.rounded(setting.quota, 0)}"
    return f"{said} ({words.percent(series.quota_busiest[row][column] / setting.quota)}{of})"


def _fits(separate: Series, sidecar: Series, setting: Setting) -> str:
    assert setting.quota is not None, "asked only where there is one"
    row, column = setting.at.row, setting.at.column
    shared = separate.quota_busiest[row][column] <= setting.quota
    own = sidecar.quota_busiest[row][column] <= setting.quota
    if shared and own:
        return "both fit"
    if shared or own:
        return f"only {'the separate Redis fits' if shared else 'sidecars fit'}"
    return "neither fits"


def _latency(prediction: Prediction, separate: Series, sidecar: Series, setting: Setting) -> str:
    shared = grid.mean_ms(prediction, separate, setting.at, setting.link)
    own = grid.mean_ms(prediction, sidecar, setting.at, setting.link)
    if shared is None or own is None:
        return "So few replicas cannot serve the busiest hour."
    said = f"The mean latency is {words.ms(own)} with sidecars and {words.ms(shared)} with a separate Redis"
    if abs(own - shared) < _EQUAL_MS:
        return f"{said}: no difference."
    faster = "sidecars are" if own < shared else "a separate Redis is"
    return f"{said}: {faster} {words.ms(abs(own - shared))} faster."


def data(prediction: Prediction, measured: Sequence[Measured] = ()) -> dict[str, Any]:
    """Return what the script is given."""
    table, own = prediction.grid, own_setting(prediction)
    rtts, upstreams = (
        _stops(values, value)
        for values, value in ((_RTTS_MS, own.link.rtt_ms), (_UPSTREAMS_MS, own.link.upstream_ms))
    )
    quotas = _stops(_QUOTAS, own.quota) if own.quota is not None else list(_QUOTAS)
    return {
        "ttl_s": table.ttl_s,
        "ttl_labels": [words.span(ttl_s) for ttl_s in table.ttl_s],
        "replicas": table.replicas,
        "requests": table.requests,
        "when": when(prediction),
        "rate": prediction.span.rate,
        "peak_rate": grid.peak_rate(prediction),
        "upstream_mean": grid.upstream_mean(prediction),
        "rtt_ms": rtts,
        "rtt_labels": [words.given_ms(rtt_ms) for rtt_ms in rtts],
        "upstream_labels": [words.given_ms(upstream_ms) for upstream_ms in upstreams],
        "upstream_ms": upstreams,
        "quota": [None, *quotas],
        "series": [_series(prediction, series) for series in grid.cached(prediction)],
        "measured": [asdict(one) for one in measured],
        "own": {
            "ttl": own.at.row,
            "replicas": own.at.column,
            "rtt": rtts.index(own.link.rtt_ms),
            "upstream": upstreams.index(own.link.upstream_ms),
            "quota": 0 if own.quota is None else 1 + quotas.index(own.quota),
        },
    }


def embedded(prediction: Prediction, measured: Sequence[Measured] = ()) -> Markup:
    """Return the script's data as JSON that can stand in an element of a page, whatever is in it."""
    text = json.dumps(data(prediction, measured), separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 (no sign of HTML is left in it)


def _series(prediction: Prediction, series: Series) -> dict[str, Any]:
    times = grid.times_of(prediction, series.topology)
    counts = ("hits", "l1_hits", "delayed", "stale", "busiest", "quota_busiest")
    return {
        "topology": series.topology,
        "l1": bool(series.l1_s),
        "name": words.short(series.topology, series.l1_s),
        "times": times.model_dump(exclude={"topology"}),
    } | {count: [[_plain(value) for value in row] for row in getattr(series, count)] for count in counts}


def _plain(value: float) -> float:
    """Return whole numbers as such: they are shorter in JSON."""
    return int(value) if value == int(value) else value


def _stops(values: tuple[float, ...], own: float) -> list[float]:
    stops = list(values)
    if own not in stops:
        bisect.insort(stops, own)
    return stops
