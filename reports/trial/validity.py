"""Judges whether a trial is valid: gates, each with its figure, its bound and its reason.

Bounds are explained in docs/statistics.md. Light to import: the conductor judges trials as they end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from reports.stored.records import TrialRecord
from reports.trial import load_gates
from reports.trial.faults import of_fault, of_outcomes
from reports.trial.gate import Gate, not_applicable
from reports.trial.surroundings import OF_THE_MACHINE, of_limits, of_link, of_machine
from scenarios.facts import LoadFacts
from scenarios.metrics import KINDS, Kind
from scenarios.outcomes import CALLING
from scenarios.tried import as_tried

if TYPE_CHECKING:
    import pandas as pd

    from scenarios.model import Variant

LAG_MS: Final = 1.5
LAG_RATIO: Final = 0.5
LITTLE_OFF: Final = 0.1
UNDER_WAY_OFF: Final = 0.01
# A mean lag of this share of the TTL moves a hit ratio h by at most h(1 − h) of it: half a point.
LAG_OF_TTL: Final = 0.02


def gates(
    record: TrialRecord, rows: pd.DataFrame | None = None, variant: Variant | None = None
) -> list[Gate]:
    """Judge a trial by its record, and by its requests if given.

    With the variant, errors that the scenario configures are allowed. A trial with a fault gets only that
    gate, because most other failures would follow from it. A trial without measured requests gets no gates
    on latencies either.
    """
    if record.fault is not None:
        return [of_fault(record.fault)]
    if load_gates.nothing_measured(record.load, rows):
        return [*_counts(record), load_gates.nothing(record.load)]
    wanted_errors = variant.upstream.error_ratio if variant is not None else 0.0
    limited = variant is not None and variant.resources.cpus is not None
    judged = [
        *_counts(record),
        load_gates.own_means(record.load),
        load_gates.errors(record.load, wanted_errors),
        *load_gates.bypasses(record, variant),
        *of_outcomes(record, variant),
        load_gates.all_sent(record.load),
        load_gates.generator(record.load),
        *of_machine(record, limited=limited),
        of_limits(record, limited=limited),
    ]
    if record.link is not None and record.link.after_ms is not None:
        judged.append(of_link(record.link, record.link.after_ms))
    if rows is not None:
        judged.extend(_of_rows(record.load, rows, variant))
    return _with_errors_of_the_machine(judged)


def reasons(judged: Sequence[Gate], kind: Kind | None = None) -> list[str]:
    """Return why a trial's counts or times are invalid; without a kind, the reasons for both."""
    return [gate.reason for gate in judged if (not gate.passed if kind is None else gate.refuses(kind))]


def stands(judged: Sequence[Gate], kind: Kind) -> bool:
    """Whether a trial's counts or times are valid."""
    return not any(gate.refuses(kind) for gate in judged)


def _with_errors_of_the_machine(judged: list[Gate]) -> list[Gate]:
    """Also refuse the counts if requests failed on a machine that was out of CPU time.

    A slow machine turns answers into timeouts. Such errors are not caused by the variant.
    """
    if not any(not gate.passed and gate.name in OF_THE_MACHINE for gate in judged):
        return judged
    return [replace(gate, kinds=KINDS) if gate.name == "errors" else gate for gate in judged]


def _counts(record: TrialRecord) -> Iterator[Gate]:
    yield _responses(record)
    yield _upstream_calls(record)
    if record.load.outcomes.get("stale", 0) == 0:  # a stale answer's refresh happens behind it, or not at all
        yield _responses_and_calls(record)


def _responses(record: TrialRecord) -> Gate:
    name, load, app = "counts: responses", record.load, record.app
    if app is None:
        return not_applicable(name, "the app's metrics could not be read; only the load generator counted")
    words = sorted({*load.outcomes, *app.outcomes})
    differ = [word for word in words if load.outcomes.get(word, 0) != app.outcomes.get(word, 0)]
    counted = "; ".join(
        f"{word}: {load.outcomes.get(word, 0)} by the load generator, {app.outcomes.get(word, 0)} by the app"
        for word in differ
    )
    others = "" if record.deployed else ": someone else used it, or it was restarted"
    return Gate(
        name,
        counted or f"{sum(load.outcomes.values())} agree",
        "exactly equal",
        not differ,
        f"load generator and app disagree ({counted}){others}",
    )


def _upstream_calls(record: TrialRecord) -> Gate:
    name, app, upstream = "counts: upstream calls", record.app, record.upstream
    if app is None or not record.deployed:
        return not_applicable(name, "a target has no stub upstream that counts its calls")
    return Gate(
        name,
        f"{app.upstream_calls} by the app, {upstream.calls} by the upstream",
        "exactly equal",
        app.upstream_calls == upstream.calls,
        f"the app counted {app.upstream_calls} upstream calls, the upstream {upstream.calls}",
    )


def _responses_and_calls(record: TrialRecord) -> Gate:
    name, upstream = "counts: responses and calls", record.upstream
    if upstream.counted_by in ("headers", "unknown", "nobody"):
        return not_applicable(name, "upstream calls are known only from the responses")
    if upstream.counted_by == "url":
        return not_applicable(name, "a miss of another service may make any number of calls")
    low, high = implied_calls(record.load.outcomes)
    implied, by = f"{low}" if low == high else f"{low} to {high}", upstream.counted_by
    return Gate(
        name,
        f"{implied} by the responses, {upstream.calls} by the {by}",
        "exactly equal",
        low <= upstream.calls <= high,
        f"the responses imply {implied} upstream calls, the {by} counted {upstream.calls}",
    )


def implied_calls(outcomes: Mapping[str, int]) -> tuple[int, int]:
    """Return the smallest and largest number of upstream calls that the responses imply."""
    sure = sum(outcomes.get(word, 0) for word in CALLING)
    return sure, sure + outcomes.get("error", 0) + outcomes.get("unknown", 0)


def _of_rows(load: LoadFacts, rows: pd.DataFrame, variant: Variant | None) -> Iterator[Gate]:
    yield Gate(
        "rows",
        f"{len(rows)}",
        f"{load.requests}",
        len(rows) == load.requests,
        f"{len(rows)} requests are stored, but {load.requests} were sent",
    )
    begin, end = load.warmup_s * 1e6, (load.warmup_s + load.duration_s) * 1e6
    due = int(rows["intended_us"].between(begin, end, inclusive="left").sum())
    sent = int(rows["sent_us"].between(begin, end, inclusive="left").sum())
    off = abs(sent - due) / max(due, 1)
    yield Gate(
        "achieved rate",
        f"{sent / load.duration_s:.1f}/s of {due / load.duration_s:.1f}/s",
        f"within {load_gates.RATE_OFF:.0%}",
        due > 0 and off <= load_gates.RATE_OFF,
        f"{sent / load.duration_s:.1f} requests/s were sent, but {due / load.duration_s:.1f} were scheduled",
        strain=off / load_gates.RATE_OFF,
    )
    measured = rows[rows["intended_us"] >= begin]
    if len(measured) == 0:
        return
    yield _under_way(load, rows, begin, end)
    yield _little(load, measured, begin, end)
    lag_us = measured["sent_us"] - measured["intended_us"]
    if variant is not None and variant.layout.cached:
        yield _lag_beside_ttl(float(lag_us.mean()) / 1e6, as_tried(variant).cache.ttl)
    lag_ms = float(lag_us.quantile(0.99)) / 1000
    median_ms = float((measured["end_us"] - measured["intended_us"]).median()) / 1000
    bound = max(LAG_MS, LAG_RATIO * median_ms)
    yield Gate(
        "send lag, p99",
        f"{lag_ms:.2f} ms",
        f"≤ {bound:.1f} ms",
        lag_ms <= bound,
        f"requests were sent late (p99 {lag_ms:.1f} ms, with a median latency of {median_ms:.1f} ms)",
        strain=lag_ms / bound,
    )


def _lag_beside_ttl(lag_s: float, ttl_s: float) -> Gate:
    share = lag_s / ttl_s
    return Gate(
        "send lag vs. TTL",
        f"{share:.2%} of {ttl_s:g} s",
        f"≤ {LAG_OF_TTL:.0%}",
        share <= LAG_OF_TTL,
        f"requests were sent {lag_s * 1000:.1f} ms late on average, {share:.1%} of the TTL, which changes "
        "which of them are hits",
        strain=share / LAG_OF_TTL,
    )


def _under_way(load: LoadFacts, rows: pd.DataFrame, begin: float, end: float) -> Gate:
    """Compare the requests in flight by the rows with the generator's running count."""
    name, counted = "time in flight", load.under_way
    if counted is None:
        return not_applicable(name, "this version of the generator had no running count")
    told = (rows["end_us"].clip(begin, end) - rows["sent_us"].clip(begin, end)).sum() / (end - begin)
    off = abs(told - counted) / counted if counted else abs(told)
    return Gate(
        name,
        f"{told:.3f} by rows, {counted:.3f} counted",
        f"within {UNDER_WAY_OFF:.0%}",
        bool(off <= UNDER_WAY_OFF),
        f"{told:.3f} requests were in flight by the rows, {counted:.3f} by the generator's count: "
        "the times in the rows are wrong",
        strain=float(off) / UNDER_WAY_OFF,
    )


def _little(load: LoadFacts, measured: pd.DataFrame, begin: float, end: float) -> Gate:
    """Judge by Little's law: requests in flight = their rate × the time that each takes.

    It holds while the system is in balance. If a backlog grows or drains, the requests in flight
    within the window are not those that arrived in it. (J. D. C. Little, Operations Research 9, 1961.)
    """
    span, under_way, time = end - begin, load.under_way, "service time"
    if under_way is not None:
        expected = (measured["end_us"] - measured["sent_us"]).sum() / span
    else:  # an older version: from the rows alone
        time = "latency"
        under_way = (measured["end_us"].clip(upper=end) - measured["intended_us"]).clip(lower=0).sum() / span
        expected = (measured["end_us"] - measured["intended_us"]).sum() / span
    off = abs(under_way - expected) / expected if expected else 0.0
    return Gate(
        "Little's law",
        f"{under_way:.2f}, expected {expected:.2f}",
        f"within {LITTLE_OFF:.0%}",
        bool(off <= LITTLE_OFF),
        f"requests queued up: {under_way:.1f} in flight, but rate × {time} is {expected:.1f}",
        strain=float(off) / LITTLE_OFF,
    )
