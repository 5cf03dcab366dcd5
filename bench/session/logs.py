"""The logs of a scenario: what trials leave out of them and bend is said, and a run stores them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.errors import UserError
from bench.store import write_text
from reports.stored.logs import SAID
from scenarios.contract import OURS
from scenarios.model import Scenario, Workload
from traffic import logs
from traffic.logs import handing, replay, telling


def examine(scenario: Scenario, say: Callable[[str], None], prefix: str = OURS.prefix) -> list[str]:
    """Read the logs of a scenario, and say what trials leave out of them, and bend; return what was said.

    Raises:
        LogError: a log cannot be used.
    """
    said: list[str] = []
    span_s = scenario.schedule.warmup + scenario.schedule.duration
    for workload in dict.fromkeys(variant.workload for variant in scenario.variants):
        if workload.log is None:
            continue
        read = replay.own(logs.read_once(workload.log), prefix)
        telling.check(read.facts)
        replay.window(read, workload.from_, span_s, workload.speedup)
        said += telling.of_trial(read, workload, span_s)
        said += _bent(scenario, workload)
    sentences = list(dict.fromkeys(said))
    for sentence in sentences:
        say(sentence)
    return sentences


def store(scenario: Scenario, said: Sequence[str], run: Path, prefix: str = OURS.prefix) -> None:
    """Store the logs of a scenario in a run's folder, where all its processes open them, and what was said.

    Raises:
        LogError: a log cannot be used.
        UserError: the folder cannot be written.
    """
    folder = run / handing.FOLDER
    named = dict.fromkeys(variant.workload.log for variant in scenario.variants if variant.workload.log)
    try:
        for log_path in named:
            handing.handed_on(log_path, folder, prefix)
    except OSError as error:
        raise UserError(
            f"{folder}: the log cannot be stored ({error.strerror}); free some space there"
        ) from error
    if said:
        write_text(folder / SAID, json.dumps(list(said), ensure_ascii=False, indent=2))


def _bent(scenario: Scenario, workload: Workload) -> Iterator[str]:
    """Say where a log's speedup bends hit ratios by more than a point, by how much, and what does not."""
    if workload.arrivals != "log" or workload.speedup <= 1:
        return
    from simulation import compression  # numba: only where there is something to simulate

    schedule, slower = scenario.schedule, workload.speedup
    span_s, steady = schedule.warmup + schedule.duration, schedule.start == "steady"
    for variant in scenario.variants:
        if variant.workload != workload:
            continue
        found = compression.bend(variant, span_s, scenario.seed, steady=steady)
        if found is None or abs(found.by) <= compression.MOST_BENT:
            continue
        fill_ms = variant.upstream.latency_ms + compression.OVERHEAD_MS
        yield (
            f"Warning: at {workload.speedup:g} times the log's speed, a fill of {fill_ms:g} ms takes "
            f"{telling.spoken(fill_ms / 1000 * workload.speedup)} of its time: {variant.id} would show a hit "
            f"ratio of {found.sped_up:.1%} where {found.own:.1%} is true ({found.by * 100:+.1f} points)"
        )
        slower = min(slower, compression.straight(variant, span_s, scenario.seed, steady=steady) or slower)
    if slower < workload.speedup:
        yield f"--set workload.speedup={slower:g} keeps that within a point"
