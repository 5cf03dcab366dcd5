"""Figures over time: the hours of the traffic, and what a deployment costs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from reports.prediction import words
from reports.prediction.figures.looks import colour, legend, line_style, quota_line
from reports.prediction.model import Point, Prediction
from reports.render.figures.ink import INK, MUTED, RULE, Picture, canvas, name_rows, picture

_FOLDED_FROM_DAYS: Final = 14
_WEEK_H: Final = 168
_DAY_H: Final = 24
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Hours:
    """Hours on an axis: requests of each, and calls by point; `folded`: means over weeks, from Monday on."""

    requests: Array
    calls: dict[str, Array]
    begins: datetime | None
    folded: bool


def read(prediction: Prediction) -> Hours:
    """Return the hours of the traffic; of more than two weeks, the mean week."""
    hours = prediction.hours
    begun = hours[0].begins if hours else None
    begins = datetime.fromisoformat(begun) if begun else None
    requests = np.array([hour.requests for hour in hours], float)
    calls = {
        name: np.array([hour.calls.get(name, 0.0) for hour in hours])
        for name in (hours[0].calls if hours else ())
    }
    if begins is None or len(hours) <= _FOLDED_FROM_DAYS * _DAY_H:
        return Hours(requests, calls, begins, folded=False)
    at = (np.arange(len(hours)) + begins.weekday() * _DAY_H + begins.hour) % _WEEK_H
    seen = np.bincount(at, minlength=_WEEK_H)

    def mean(values: Array) -> Array:
        return np.asarray(np.bincount(at, values, minlength=_WEEK_H) / np.maximum(seen, 1))

    return Hours(mean(requests), {name: mean(values) for name, values in calls.items()}, begins, folded=True)


def hours(prediction: Prediction) -> Picture | None:
    """Draw requests and upstream calls of each hour; None where there is one hour only."""
    if len(prediction.hours) < 2:
        return None
    read_hours = read(prediction)
    shown = [point for name in read_hours.calls if (point := prediction.point(name)).topology != "none"]

    def draw(narrow: bool) -> Figure:
        figure, (above, below) = canvas(narrow, 450 if narrow else 430, 2, 1)
        edges = np.arange(read_hours.requests.size + 1)
        above.stairs(read_hours.requests, edges, color=MUTED, fill=True, alpha=0.45, linewidth=0)
        above.set_title("Requests an hour")
        for point in shown:
            below.stairs(
                read_hours.calls[point.id], edges, color=colour(point.topology, point.l1_s), linewidth=1.5,
                baseline=None, linestyle=line_style(point.topology),
            )  # fmt: skip
        below.set_title("Upstream calls an hour")
        quota_line(below, prediction)
        for axis in (above, below):
            axis.set_ylim(bottom=0)
            axis.set_xlim(0, read_hours.requests.size)
            axis.yaxis.set_tick_params(labelcolor=MUTED)
            axis.yaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
            _hour_axis(axis, read_hours, narrow)
        above.tick_params(labelbottom=False)
        legend(figure, [(point.topology, point.l1_s) for point in shown], narrow)
        return figure

    what = "the mean week" if read_hours.folded else "each hour"
    return picture(
        "hours",
        f"Requests and upstream calls of {what}, at your TTL and number of replicas. Times are in UTC.",
        f"Two panels of {what}: requests, and upstream calls of each topology; the table below holds the "
        "figures.",
        draw,
    )


def _hour_axis(axis: Axes, read_hours: Hours, narrow: bool) -> None:
    count, begins = read_hours.requests.size, read_hours.begins
    if begins is None:
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        return
    offset = 0 if read_hours.folded else begins.hour
    days = (offset + count) / _DAY_H
    if days <= 2.5:
        step = 12 if narrow and count > _DAY_H else 6 if count > 12 else 2
        marks = [hour for hour in range(count) if (hour + offset) % step == 0]
        axis.xaxis.set_major_locator(FixedLocator(marks))
        axis.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: _time(read_hours, offset, round(value)))
        )
        return
    every = max(1, round(days / (5 if narrow else 10)))
    midnights = [hour for hour in range(count) if (hour + offset) % _DAY_H == 0][::every]
    axis.xaxis.set_major_locator(FixedLocator(midnights))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _day(read_hours, offset, round(value))))


def _time(read_hours: Hours, offset: int, hour: int) -> str:
    at = (hour + offset) % _DAY_H
    return f"{at:02d}:00" if at else f"{_day(read_hours, offset, hour)}\n00:00"


def _day(read_hours: Hours, offset: int, hour: int) -> str:
    number = (hour + offset) // _DAY_H
    if read_hours.folded:
        return _DAYS[number % 7]
    assert read_hours.begins is not None, "asked only where it is known"
    at = np.datetime64(read_hours.begins.date()) + np.timedelta64(number, "D")
    return f"{at.item():%d %b}"


def deployments(prediction: Prediction) -> Picture | None:
    """Draw how many calls more one rolling deployment causes; None where none was simulated."""
    found = [(prediction.point(one.point), one) for one in prediction.deployments]
    shown = [(point, one) for point, one in found if point.topology != "none"]
    if not shown:
        return None
    names = [words.short(point.topology, point.l1_s) for point, _ in shown]

    def draw(narrow: bool) -> Figure:
        figure, axes = canvas(narrow, 64 + len(shown) * (52 if narrow else 40))
        axis = axes[0]
        axis.axvline(0, color=RULE, linewidth=1)
        for row, (point, one) in enumerate(shown):
            axis.barh([row], [one.extra_calls], height=0.5, color=_colour(point), alpha=0.85)
            if one.extra_calls_se is not None:
                ends = [one.extra_calls + side * 1.96 * one.extra_calls_se for side in (-1, 1)]
                axis.plot(ends, [row, row], color=INK, linewidth=1.4)
        name_rows(axis, names, narrow)
        axis.set_xlabel("more upstream calls for one deployment")
        return figure

    return picture(
        "deployments",
        "Upstream calls that one rolling deployment adds: each new replica of the app begins with an empty "
        "sidecar. A separate Redis is not deployed with the app. Lines are 95% intervals of the mean.",
        "Bars of the calls that one deployment adds, by topology; the table below holds the figures.",
        draw,
    )


def _colour(point: Point) -> str:
    return colour(point.topology, point.l1_s)
