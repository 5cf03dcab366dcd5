"""What is told of a log, in sentences: what it holds, what is left out, and what a trial takes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from scenarios.model import Workload
from traffic.logs.errors import LogError
from traffic.logs.formats.entry import shown
from traffic.logs.lines import UNREADABLE
from traffic.logs.log import AccessLog, Facts
from traffic.logs.paths import sent
from traffic.spelling import is_plain, normal, refused, spelled

MOST_UNREADABLE: Final = 0.5
WARNED_UNREADABLE: Final = 0.01
_GAP_S: Final = 60.0
_GAP_MEANS: Final = 30  # a gap is as long as so many requests take on average
_GAPS_SHARE: Final = 0.05
_KINDS: Final = 6


def figures(facts: Facts) -> dict[str, Any]:
    """Return what is known of a log without looking at its requests again."""
    return {
        "format": facts.format,
        "detected": list(facts.detected),
        "lines": facts.lines,
        "requests": facts.requests,
        "resources": facts.resources,
        "left_out": [kind.model_dump() for kind in facts.left_out],
        "first": moment(facts.first_us),
        "last": moment(facts.last_us),
        "span_s": (facts.last_us - facts.first_us) / 1e6,
        "methods": facts.methods,
        "statuses": facts.statuses,
        "asked_once": facts.asked_once / facts.resources,
    }


def of_trial(log: AccessLog, workload: Workload, span_s: float) -> Iterator[str]:
    """Say what a trial of `span_s` seconds leaves out of a log, and what becomes of what it takes."""
    yield from left_out(log.facts)
    yield from told_apart(log)
    for sentence in (gaps(log), window(log, workload, span_s)):
        if sentence is not None:
            yield sentence


def check(facts: Facts) -> None:
    """Refuse a log most of which cannot be read.

    Raises:
        LogError: more than half of its lines are not in its format.
    """
    if facts.unreadable > MOST_UNREADABLE * facts.lines:
        raise LogError(
            f"{name_of(facts)}: {_unreadable(facts)}; too many to replay the rest in their place: name a "
            "log in one format throughout (docs/logs.md)"
        )


def left_out(facts: Facts) -> Iterator[str]:
    """Say what is left out of a log and why, with the first of each kind; and what else is odd about it."""
    if facts.unreadable > WARNED_UNREADABLE * facts.lines:
        yield f"Warning: {_unreadable(facts)}"
    total = sum(kind.lines for kind in facts.left_out)
    if total:
        yield f"{total:,} of {facts.lines:,} lines were skipped:"
    for kind in facts.left_out[:_KINDS]:
        yield f"  {kind.lines:,} × {kind.reason}" + (f", the first: {kind.first}" if kind.first else "")
    if others := facts.left_out[_KINDS:]:
        yield f"  {sum(kind.lines for kind in others):,} of {len(others)} other kinds"
    if facts.far:
        yield (
            f"{_count(facts.far, 'request')} far from all others in time: not replayed, and not in the span "
            "of the log"
        )
    for remark in facts.remarks:
        yield remark[0].upper() + remark[1:]


def told_apart(log: AccessLog) -> Iterator[str]:
    """Say which of a log's resources our app answers as one, and which it refuses."""
    names: dict[bytes, list[int]] = defaultdict(list)
    refusals: dict[str, list[int]] = defaultdict(list)
    odd = [key for key, resource in enumerate(log.resources) if not is_plain(resource)]
    for key in odd:
        path = sent(log.resources[key]).encode()
        if (why := refused(path)) is not None:
            refusals[why].append(key)
        else:
            names[spelled(path)].append(key)
    equal = {normal(name) for name in names}
    known = set(odd)
    for key, resource in enumerate(log.resources) if names else ():
        if key not in known and resource in equal:
            names[resource].append(key)
    counts = np.bincount(log.keys, minlength=len(log.resources))
    merged = [keys for keys in names.values() if len(keys) > 1]
    if merged:
        one, other = (shown(log.resources[key], 60) for key in sorted(merged[0])[:2])
        yield (
            f"{sum(map(len, merged)):,} resources are {len(merged):,} to our app, which cannot tell them "
            f"apart (a fragment, an empty query, or how a sign is encoded): {one} and {other}"
        )
    spellings: dict[bytes, list[int]] = defaultdict(list)
    for name, keys in names.items():
        spellings[normal(name)].append(keys[0])
    apart = [keys for keys in spellings.values() if len(keys) > 1]
    if apart:
        one, other = (shown(log.resources[key], 60) for key in sorted(apart[0])[:2])
        yield (
            f"{sum(map(len, apart)):,} resources differ only in how signs are encoded, which means nothing "
            f"by RFC 3986; our app keeps them apart, as they were sent: {one} and {other}"
        )
    for why, keys in refusals.items():
        yield (
            f"{_count(int(counts[keys].sum()), 'request')} will be refused by our app (400), by design: "
            "the path "
            f"{why}, such as {shown(log.resources[keys[0]], 60)}"
        )


def gaps(log: AccessLog) -> str | None:
    """Say where a log has gaps, if they are a good part of it."""
    between_s = np.diff(log.at_us) / 1e6
    if not between_s.size:
        return None
    least_s = max(_GAP_S, _GAP_MEANS * float(between_s.mean()))
    long_s = between_s[between_s > least_s]
    if long_s.sum() < _GAPS_SHARE * log.end_us / 1e6:
        return None
    longest = int(between_s.argmax())
    return (
        f"Gaps: {_count(long_s.size, 'time')} no request came for more than {spoken(least_s)}, "
        f"{long_s.sum() * 1e8 / log.end_us:.0f}% of the log's time; the longest is {spoken(long_s.max())}, "
        f"from {moment(log.facts.first_us + int(log.at_us[longest]))}"
    )


def window(log: AccessLog, workload: Workload, span_s: float) -> str | None:
    """Say what a trial of `span_s` seconds leaves out of a log, and how to take it in; None: nothing."""
    if workload.arrivals != "log":
        return None
    from_us, until_us = workload.from_ * 1e6, (workload.from_ + span_s * workload.speedup) * 1e6
    before, until = np.searchsorted(log.at_us, [from_us, until_us])
    taken, after = int(until - before), int(log.at_us.size - until)
    if taken == log.at_us.size:
        return None
    rest_s = (log.end_us - from_us) / 1e6
    said = (
        f"A trial takes {taken:,} of the log's {log.at_us.size:,} requests: "
        f"{spoken(span_s * workload.speedup)} of {spoken(log.end_us / 1e6)}"
    )
    if before:
        said += f". {_count(int(before), 'request')} are before workload.from"
    if after:
        said += (
            f". {_count(after, 'request')} come later: --duration {_rounded_up(rest_s / workload.speedup)}s "
            f"or --set workload.speedup={_rounded_up(rest_s / span_s)} takes them in"
        )
    return said


def moment(at_us: int) -> str:
    """Return a time of a log as ISO 8601, in UTC."""
    return (
        str(np.datetime_as_string(np.datetime64(at_us, "us"), unit="ms" if at_us % 1_000_000 else "s")) + "Z"
    )


def spoken(seconds: float) -> str:
    """Return a duration as people say it: `5 h 33 min`."""
    whole = round(seconds)
    if seconds < 1:
        return f"{seconds:.3g} s"
    if whole < 120:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if minutes < 120:
        return f"{minutes} min {whole % 60} s" if whole % 60 else f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} days {hours % 24} h" if hours % 24 else f"{days} days"


def name_of(facts: Facts) -> str:
    """Return what to call a log in a sentence."""
    return facts.names[0] if len(facts.names) == 1 else f"{facts.names[0]} and {len(facts.names) - 1} more"


def _unreadable(facts: Facts) -> str:
    first = next(kind.first for kind in facts.left_out if kind.reason in UNREADABLE)
    return (
        f"{facts.unreadable:,} of {facts.lines:,} lines ({facts.unreadable / facts.lines:.0%}) are not in "
        f"{facts.format}, the first: {first}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _rounded_up(value: float) -> str:
    """Return a value with three digits, no less than it is."""
    digits = 2 - int(np.floor(np.log10(value)))
    return f"{np.ceil(value * 10.0**digits) / 10.0**digits:g}"
