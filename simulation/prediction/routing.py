"""Which replica each request goes to."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from simulation.prediction.stream import Stream

Routing = Literal["random", "round-robin", "least-outstanding", "sticky", "hash"]
RANDOM: Final[tuple[Routing, ...]] = ("random", "sticky", "hash")  # another seed, another assignment
Replicas = NDArray[np.int16]


def route(stream: Stream, routing: Routing, replicas: int, seed: int) -> Replicas:
    """Return the replica of each request, in the order of time.

    sticky: each client has its replica. hash: each key has. Which one is drawn.

    Raises:
        ValueError: clients are to stick, and the stream does not know them; or the routing depends on how
            long requests take.
    """
    count, random = stream.at_us.size, np.random.default_rng([seed, 3])
    if replicas == 1:
        return np.zeros(count, np.int16)
    if routing == "random":
        return random.integers(0, replicas, count, dtype=np.int16)
    if routing == "round-robin":
        return (np.arange(count) % replicas).astype(np.int16)
    if routing == "least-outstanding":
        raise ValueError("least-outstanding routing depends on how long requests take")
    names = stream.keys if routing == "hash" else stream.clients
    if names is None:
        raise ValueError("nothing tells the clients apart")
    chosen = random.integers(0, replicas, int(names.max(initial=-1)) + 1, dtype=np.int16)
    return np.asarray(chosen[names])
