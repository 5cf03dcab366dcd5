"""The sizes in which Fargate sells tasks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.reading.document import ScenarioError
from scenarios.sizing.fargate import SIZES, fargate_size

SOLD = [(cpus, mib) for cpus, steps in SIZES.items() for mib in steps]


@pytest.mark.parametrize(
    ("cpus", "mib", "size"),
    [
        (0.25, 512, (0.25, 512)),
        (0.25, 513, (0.25, 1024)),
        (0.25, 2049, (0.5, 3072)),
        (0.3, 100, (0.5, 1024)),
        (1, 8193, (2.0, 9216)),
        (4, 30 * 1024 + 1, (8.0, 32 * 1024)),
        (16, 120 * 1024, (16.0, 120 * 1024)),
    ],
)
def test_the_next_size_is_taken(cpus: float, mib: int, size: tuple[float, int]) -> None:
    assert fargate_size(cpus, mib) == size


@given(st.floats(0.01, 16), st.integers(1, 120 * 1024))
def test_a_task_is_sold_holds_both_and_none_that_does_has_fewer_cpus_or_less_memory(
    cpus: float, mib: int
) -> None:
    found = fargate_size(cpus, mib)
    holding = [size for size in SOLD if size[0] >= cpus and size[1] >= mib]
    assert found == min(holding)


@pytest.mark.parametrize(("cpus", "mib"), [(16.1, 512), (1, 120 * 1024 + 1)])
def test_more_than_fargate_has_is_refused_with_what_to_lower(cpus: float, mib: int) -> None:
    with pytest.raises(ScenarioError, match=r"resources\.cpus"):
        fargate_size(cpus, mib)
