"""What is timed here is timed as in a run: on cores that are kept awake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.run import awake


@pytest.fixture(autouse=True)
def cores_awake() -> Iterator[None]:
    with awake.cores() as kept:
        print("idle cores are kept awake" if kept else "idle cores fall asleep: expect wake-ups in the tails")
        yield
