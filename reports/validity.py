"""Whether a trial may be believed: gates, each with its figure, its bound and its reason.

Bounds are explained in docs/statistics.md. Light to import: the conductor judges trials as they end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reports.records import LinkFacts, LoadFacts, MachineFacts, TrialRecord

if TYPE_CHECKING:
    import pandas as pd

    from scenarios.model import Variant

RATE_OFF: Final = 0.01
CPU_RATIO: Final = 0.9
STOLEN_RATIO: Final = 0.05
CLOCK_STEP_S: Final = 0.05
ERROR_RATIO: Final = 0.001
BYPASS_RATIO: Final = 0.01
DRIFT_RATIO: Final = 0.25
DRIFT_MS: Final = 0.1
LAG_MS: Final = 5.0
BUSY_RATIO: Final = 0.97
LITTLE_OFF: Final = 0.1
THROTTLED_RATIO: Final = 0.01
# Outcomes for which the app made exactly one call of its own while the request waited.
_ONE_CALL: Final = ("miss", "bypass")


@dataclass(frozen=True)
class Gate:
    """One condition of validity. `figure` and `bound` are for people; `reason` says what a failure means.

    A gate that is not applicable stops nothing; its figure says why it is not.
    """

    name: str
    figure: str
    bound: str
    passed: bool
    reason: str
    applicable: bool = True


def gates(
    record: TrialRecord, rows: pd.DataFrame | None = None, variant: Variant | None = None
) -> list[Gate]:
    """Judge a trial by its record; by its requests too, where they are given.

    With the variant, errors that the scenario asked the upstream for are allowed for.
    """
    wanted_errors = variant.upstream.error_ratio if variant is not None else 0.0
    judged = [
        *_books(record),
        _errors(record.load, wanted_errors),
        *_bypasses(record.load, variant),
        _all_sent(record.load),
        _generator(record.load),
        *_machine(record.machine),
    ]
    if variant is None or variant.resources.cpus is None:
        judged.append(_throttled(record))
    if record.link is not None and record.link.after_ms is not None:
        judged.append(_drift(record.link, record.link.after_ms))
    if rows is not None:
        judged.extend(_of_rows(record.load, rows))
    return judged


def reasons(judged: list[Gate]) -> list[str]:
    """Say why a trial is invalid; nothing where it is valid."""
    return [gate.reason for gate in judged if not gate.passed]


def _books(record: TrialRecord) -> Iterator[Gate]:
    yield _responses(record)
    yield _upstream_calls(record)
    if record.load.outcomes.get("stale", 0) == 0:  # a stale answer's refresh happens behind it, or not at all
        yield _responses_and_calls(record)


def _not_applicable(name: str, because: str) -> Gate:
    said = f"not applicable, because {because}"
    return Gate(name, said, "none", True, said, applicable=False)


def _responses(record: TrialRecord) -> Gate:
    name, load, app = "books: responses", record.load, record.app
    if app is None:
        return _not_applicable(name, "the app's metrics could not be read: nobody counted but the load side")
    words = sorted({*load.outcomes, *app.outcomes})
    differ = [word for word in words if load.outcomes.get(word, 0) != app.outcomes.get(word, 0)]
    counted = "; ".join(
        f"{word}: {load.outcomes.get(word, 0)} by the load side, {app.outcomes.get(word, 0)} by the app"
        for word in differ
    )
    others = "" if record.deployed else ": others use it, or it was restarted"
    return Gate(
        name,
        counted or f"{sum(load.outcomes.values())} agree",
        "equal to the last one",
        not differ,
        f"load side and app disagree on what happened ({counted}){others}",
    )


def _upstream_calls(record: TrialRecord) -> Gate:
    name, app, upstream = "books: upstream calls", record.app, record.upstream
    if app is None or not record.deployed:
        return _not_applicable(name, "no stub stands behind a target that would count its calls again")
    return Gate(
        name,
        f"{app.upstream_calls} by the app, {upstream.calls} by the upstream",
        "equal to the last one",
        app.upstream_calls == upstream.calls,
        f"the app counted {app.upstream_calls} upstream calls, the upstream {upstream.calls}",
    )


def _responses_and_calls(record: TrialRecord) -> Gate:
    name, upstream = "books: responses and calls", record.upstream
    if upstream.counted_by == "headers":
        return _not_applicable(name, "upstream calls are known from the responses alone")
    low, high = implied_calls(record.load.outcomes)
    implied, by = f"{low}" if low == high else f"{low} to {high}", upstream.counted_by
    return Gate(
        name,
        f"{implied} by the responses, {upstream.calls} by the {by}",
        "equal to the last one",
        low <= upstream.calls <= high,
        f"the responses speak of {implied} upstream calls, the {by} counted {upstream.calls}",
    )


def implied_calls(outcomes: Mapping[str, int]) -> tuple[int, int]:
    """Return the fewest and the most upstream calls that the responses can stand for."""
    sure = sum(outcomes.get(word, 0) for word in _ONE_CALL)
    return sure, sure + outcomes.get("error", 0)


def _errors(load: LoadFacts, wanted: float) -> Gate:
    errors = load.outcomes.get("error", 0)
    ratio = errors / max(load.requests, 1)
    bound = ERROR_RATIO + wanted
    return Gate(
        "errors",
        f"{ratio:.2%}",
        f"≤ {bound:.2%}",
        ratio <= bound,
        f"{errors} of {load.requests} requests failed ({ratio:.1%})",
    )


def _bypasses(load: LoadFacts, variant: Variant | None) -> Iterator[Gate]:
    """Judge how many requests went past Redis: without a cache all do, with one hardly any should."""
    if variant is None or variant.topology == "none":
        return
    bypasses = load.outcomes.get("bypass", 0)
    ratio = bypasses / max(load.requests, 1)
    yield Gate(
        "Redis answered",
        f"{1 - ratio:.2%} of requests",
        f"≥ {1 - BYPASS_RATIO:.0%}",
        ratio <= BYPASS_RATIO,
        f"the app could not ask Redis for {bypasses} of {load.requests} requests ({ratio:.1%})",
    )


def _all_sent(load: LoadFacts) -> Gate:
    off = abs(load.requests - load.offered) / max(load.offered, 1)
    return Gate(
        "requests sent",
        f"{load.requests} of {load.offered}",
        f"within {RATE_OFF:.0%}",
        load.offered > 0 and off <= RATE_OFF,
        f"{load.requests} requests were sent where {load.offered} were due",
    )


def _generator(load: LoadFacts) -> Gate:
    return Gate(
        "generator CPU",
        f"{load.cpu_ratio:.0%} of a core",
        f"≤ {CPU_RATIO:.0%}",
        load.cpu_ratio <= CPU_RATIO,
        f"the load generator was saturated ({load.cpu_ratio:.0%} of a core): lower workload.rate",
    )


def _machine(machine: MachineFacts) -> Iterator[Gate]:
    yield Gate(
        "stolen CPU",
        f"{machine.stolen_ratio:.1%}",
        f"≤ {STOLEN_RATIO:.0%}",
        machine.stolen_ratio <= STOLEN_RATIO,
        f"the hypervisor took {machine.stolen_ratio:.1%} of the CPU time",
    )
    yield Gate(
        "CPU in use",
        f"{machine.busy_ratio:.0%} of all CPUs",
        f"≤ {BUSY_RATIO:.0%}",
        machine.busy_ratio <= BUSY_RATIO,
        f"{machine.busy_ratio:.0%} of all CPU time was in use, so requests waited for a CPU",
    )
    step_ms = machine.clock_step_s * 1000
    yield Gate(
        "clock step",
        f"{step_ms:+.1f} ms",
        f"≤ {CLOCK_STEP_S * 1000:.0f} ms",
        abs(machine.clock_step_s) <= CLOCK_STEP_S,
        f"the wall clock, by which Redis expires keys, was moved by {step_ms:+.0f} ms",
    )


def _throttled(record: TrialRecord) -> Gate:
    """Judge throttling where no limit was asked for; where one was, it is part of what is measured."""
    if not record.deployed:
        return _not_applicable("throttled CPU", "what a target's processes use is not seen from here")
    seconds = max((used.throttled_s or 0.0 for used in record.usage), default=0.0)
    ratio = seconds / max(record.load.warmup_s + record.load.duration_s, 1e-9)
    return Gate(
        "throttled CPU",
        f"{ratio:.1%}",
        f"≤ {THROTTLED_RATIO:.0%}",
        ratio <= THROTTLED_RATIO,
        f"a process was held back by a CPU limit for {ratio:.0%} of the time, though the scenario sets none",
    )


def _drift(link: LinkFacts, after_ms: float) -> Gate:
    drift = after_ms - link.achieved_ms
    bound = max(DRIFT_MS, DRIFT_RATIO * link.achieved_ms)
    return Gate(
        "RTT drift",
        f"{drift:+.3f} ms",
        f"≤ {bound:.3f} ms",
        abs(drift) <= bound,
        f"the link's round trip went from {link.achieved_ms:.3f} to {after_ms:.3f} ms during the trial",
    )


def _of_rows(load: LoadFacts, rows: pd.DataFrame) -> Iterator[Gate]:
    yield Gate(
        "rows",
        f"{len(rows)}",
        f"{load.requests}",
        len(rows) == load.requests,
        f"{len(rows)} requests are stored where {load.requests} were sent",
    )
    begin, end = load.warmup_s * 1e6, (load.warmup_s + load.duration_s) * 1e6
    due = int(rows["intended_us"].between(begin, end, inclusive="left").sum())
    sent = int(rows["sent_us"].between(begin, end, inclusive="left").sum())
    off = abs(sent - due) / max(due, 1)
    yield Gate(
        "achieved rate",
        f"{sent / load.duration_s:.1f}/s of {due / load.duration_s:.1f}/s",
        f"within {RATE_OFF:.0%}",
        due > 0 and off <= RATE_OFF,
        f"{sent / load.duration_s:.1f} requests/s were sent where {due / load.duration_s:.1f} were due",
    )
    measured = rows[rows["intended_us"] >= begin]
    if len(measured) == 0:
        return
    yield _little(measured, begin, end)
    lag_ms = float((measured["sent_us"] - measured["intended_us"]).quantile(0.99)) / 1000
    median_ms = float((measured["end_us"] - measured["intended_us"]).median()) / 1000
    bound = max(LAG_MS, median_ms)
    yield Gate(
        "send lag, p99",
        f"{lag_ms:.2f} ms",
        f"≤ {bound:.1f} ms",
        lag_ms <= bound,
        f"requests were sent late (p99 {lag_ms:.1f} ms, where the median latency is {median_ms:.1f} ms)",
    )


def _little(measured: pd.DataFrame, begin: float, end: float) -> Gate:
    """Judge by Little's law: requests under way = their rate × the time that each takes.

    It holds while the system is in balance; where a backlog grows or drains, the requests under way
    within the window are not those that came in it. (J. D. C. Little, Operations Research 9, 1961.)
    """
    span = end - begin
    under_way = (measured["end_us"].clip(upper=end) - measured["intended_us"]).clip(lower=0).sum() / span
    expected = (measured["end_us"] - measured["intended_us"]).sum() / span
    off = abs(under_way - expected) / expected if expected else 0.0
    return Gate(
        "Little's law",
        f"{under_way:.2f} under way, rate × latency {expected:.2f}",
        f"within {LITTLE_OFF:.0%}",
        bool(off <= LITTLE_OFF),
        f"requests piled up: {under_way:.1f} under way where rate × latency makes {expected:.1f}",
    )
