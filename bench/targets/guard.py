"""Checks what may be loaded: targets on this machine freely, others only with permission and limits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.errors import UserError
from bench.targets import services
from compose.external.stack import check_answers, is_here
from reports.stored.records import TargetsChoice
from scenarios.model import Scenario, Workload
from traffic import keys


def check(scenario: Scenario, choice: TargetsChoice | None, headers: Mapping[str, str] | None = None) -> None:
    """Refuse targets that the user does not own, loads above the limits, and targets that do not answer.

    `headers` go with each request.

    Raises:
        UserError: a target on another machine lacks `--i-own-this-target`, or a limit would be exceeded.
        StackError: a host is not known, or a target does not answer.
    """
    check_requests(scenario)
    if choice is None:
        return
    far = [url for urls in choice.urls.values() for url in urls if not is_here(url)]
    if far and not choice.owned:
        raise UserError(f"{far[0]} is not on this machine. If you may load it, add --i-own-this-target")
    if far:
        _check_caps(scenario, choice)
    called = services.calls(scenario, choice, headers or {})
    for label, urls in choice.urls.items():
        for url in urls:
            check_answers(label, url, called)


def _check_caps(scenario: Scenario, choice: TargetsChoice) -> None:
    schedule = scenario.schedule
    span_s = schedule.warmup + schedule.duration
    if span_s > choice.duration_cap_s:
        raise UserError(
            f"a trial takes {span_s:g} s including the warm-up, but the limit for targets on other "
            "machines is "
            f"{choice.duration_cap_s:g} s: shorten it with --duration, or raise the limit with "
            f"--duration-cap {span_s:g}s"
        )
    for workload in {variant.workload for variant in scenario.variants}:
        rate = _highest_rate(workload, span_s)
        if rate > choice.rate_cap:
            raise UserError(
                f"the rate is {rate:g} requests/s, but the limit for targets on other machines is "
                f"{choice.rate_cap:g}: lower it with --rate (for a log: --set workload.speedup=…), or "
                "raise the limit with "
                f"--rate-cap {rate:g}"
            )


def _highest_rate(workload: Workload, span_s: float) -> float:
    """Return requests per second: as asked for, or those of the busiest second of a log."""
    if workload.arrivals != "log":
        return workload.rate
    at_us = keys.requests(workload, 1, span_s, 0).at_us
    within_a_second = at_us.searchsorted(at_us + 1_000_000) - np.arange(at_us.size)
    return float(within_a_second.max(initial=0))


def check_requests(scenario: Scenario) -> None:
    """Refuse a file of too few paths before anything is deployed.

    Raises:
        LogError: it cannot be used.
    """
    for workload in {variant.workload for variant in scenario.variants if variant.workload.log is None}:
        keys.first_path(workload)
