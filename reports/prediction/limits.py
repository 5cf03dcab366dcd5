"""What a prediction does not tell, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from reports.prediction import words
from reports.prediction.model import Prediction


def limits(prediction: Prediction) -> Iterator[str]:
    """Yield what a reader should not conclude."""
    assumed = [one.label for one in prediction.assumptions if one.origin == "assumed"]
    if assumed:
        yield (
            f"{len(assumed)} {'value is' if len(assumed) == 1 else 'values are'} assumed, not measured on "
            "your service. Latencies are as good as these; hits and calls hardly depend on them."
        )
    if prediction.span.kind == "log":
        yield (
            "The log’s requests are taken as they are. Another service would be asked for other things: "
            "people retry, crawlers slow down, and next week differs from this one."
        )
        yield (
            "A log does not say which responses may be kept, or for how long. A path is taken as one "
            "response to all, unless --key changes that."
        )
    else:
        yield (
            "The traffic is described by numbers. Real traffic has busy hours and passing interests, which "
            "change both hit ratios and the busiest hour. A log has them."
        )
    if prediction.own.routing == "random":
        yield (
            "Requests go to replicas at random. The counts of sidecars are means; one day differs from the "
            "mean by chance."
        )
    if prediction.start == "cold":
        yield "Caches begin empty, so the first TTL of the traffic has more calls than later ones."
    else:
        yield "Caches begin filled, as those of a service that has run for long."
    yield (
        "Waiting in the app’s queue is computed for the mean rate (M/G/1: random arrivals, one thread). "
        "Bursts wait longer."
    )
    yield "Redis, the network and the upstream are taken not to fail, and Redis to have CPU to spare."
    if not prediction.deploys_per_day:
        yield "No deployments are in the counts; --deploys adds them."
    yield (
        "Prices are list prices of one region, for app and Redis tasks and for traffic between zones. Load "
        "balancers, logs and NAT are the same for both and left out."
    )
    if prediction.grid.memory_total is None:
        yield "Caches have as much memory as they need; --maxmemory limits them."
    times = prediction.times
    yield (
        f"In the explorer and the map, which requests hit is as computed for an upstream latency of "
        f"{words.given_ms(times.upstream_ms)}. A much slower upstream makes more requests wait "
        "for a call under way."
    )
