"""One plan on several workers: nothing is sent twice, left out, or lost on the way back."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.distributed.protocol import (
    BATCH,
    DistributedError,
    Done,
    Hello,
    Merger,
    Rows,
    batches,
    fingerprint,
    is_loopback,
    is_near,
    own_version,
    refusal,
    share,
    share_size,
)
from loadtests.order import Part
from loadtests.sending.recorder import Recorder
from scenarios.model import Keys, Workload
from scenarios.outcomes import OUTCOMES
from traffic.keys import Requests, requests

WORKERS = st.integers(1, 9)


@st.composite
def plans(draw) -> Requests:
    """Any plan that a scenario can ask for, of up to some hundred requests."""
    workload = Workload(
        rate=draw(st.floats(1, 300)),
        arrivals=draw(st.sampled_from(["poisson", "constant"])),
        keys=Keys(count=draw(st.integers(1, 50))),
    )
    span_s, replicas = draw(st.floats(0.01, 1)), draw(st.integers(1, 4))
    return requests(workload, replicas, span_s, draw(st.integers(0, 2**32 - 1)))


def rows_of(plan: Requests) -> list[tuple[int, int, int]]:
    return list(zip(plan.at_us.tolist(), plan.keys.tolist(), plan.replicas.tolist(), strict=True))


@given(plans(), WORKERS)
def test_the_shares_together_are_the_plan_and_have_nothing_in_common(plan, workers) -> None:
    shares = [rows_of(share(plan, worker, workers)) for worker in range(workers)]
    assert [len(part) for part in shares] == [
        share_size(plan.at_us.size, worker, workers) for worker in range(workers)
    ]
    together = [shares[number % workers][number // workers] for number in range(plan.at_us.size)]
    assert together == rows_of(plan)
    assert sum(map(len, shares)) == len(together)


@given(plans(), WORKERS)
def test_a_share_keeps_the_order_in_which_requests_are_due(plan, workers) -> None:
    for worker in range(workers):
        assert np.all(np.diff(share(plan, worker, workers).at_us) >= 0)


def sent_by_hand(plan: Requests, worker: int, workers: int) -> Recorder:
    """A worker's recorder after a trial in which each row says whose it is."""
    recorder = Recorder(share(plan, worker, workers))
    for index, at_us in enumerate(recorder.requests.at_us.tolist()):
        number = worker + index * workers
        recorder.row(index, at_us + number, at_us + number + 7, 200, 1 + number % 6, number)
    return recorder


def packed(recorder: Recorder, size: int) -> list[Rows]:
    count = recorder.requests.at_us.size
    places = [(first, min(size, count - first)) for first in range(0, count, size)]
    return [
        Rows(first=first, count=n, columns=recorder.packed(slice(first, first + n))) for first, n in places
    ]


@given(plans(), WORKERS, st.integers(1, 40), st.randoms(use_true_random=False))
def test_merging_keeps_every_row_in_its_place_however_batches_come(
    tmp_path_factory, plan, workers, size, order
) -> None:
    recorders = [sent_by_hand(plan, worker, workers) for worker in range(workers)]
    queues = [packed(recorder, size) for recorder in recorders]
    merger = Merger(plan, workers)
    while any(queues):
        worker = order.choice([number for number, queue in enumerate(queues) if queue])
        batch = queues[worker].pop(0)
        merger.take(worker, batch)
        if order.random() < 0.2:
            merger.take(worker, batch)  # its receipt was lost, and it was sent again
    merger.check([Done(outcomes=recorder.outcomes(), cpu_ratio=0.1) for recorder in recorders])
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    merger.recorder.write(path, workers)
    table = pq.read_table(path).to_pydict()
    count = plan.at_us.size
    assert table["bytes"] == list(range(count))
    assert table["intended_us"] == plan.at_us.tolist()
    assert table["sent_us"] == (plan.at_us + np.arange(count)).tolist()
    assert [OUTCOMES.index(name) for name in table["outcome"]] == [1 + n % 6 for n in range(count)]
    assert table.get("worker", [0] * count) == [n % workers for n in range(count)]


def plan_of(count: int) -> Requests:
    return requests(Workload(rate=count, arrivals="constant"), 1, 1.0, 1)


def test_rows_that_are_missing_are_never_passed_over() -> None:
    plan = plan_of(10)
    merger = Merger(plan, 2)
    first, second = (sent_by_hand(plan, worker, 2) for worker in (0, 1))
    merger.take(0, packed(first, 5)[0])
    merger.take(1, packed(second, 3)[0])
    assert not merger.whole()
    with pytest.raises(DistributedError, match="2 of 10 requests have no row"):
        merger.check([Done(outcomes=first.outcomes(), cpu_ratio=0)] * 2)


def test_a_gap_between_batches_is_refused() -> None:
    plan = plan_of(10)
    with pytest.raises(DistributedError, match=r"worker 2 sent rows 3 to 4 .* where 0 was next"):
        Merger(plan, 2).take(1, packed(sent_by_hand(plan, 1, 2), 3)[1])


def test_more_rows_than_a_share_has_are_refused() -> None:
    plan = plan_of(10)
    (batch,) = packed(sent_by_hand(plan, 0, 1), 10)
    with pytest.raises(DistributedError, match="worker 1 sent rows 0 to 9"):
        Merger(plan, 2).take(0, batch)


@pytest.mark.parametrize(
    "columns", [{}, {"sent_us": b"1"}, {name: bytes(3) for name in ("sent_us", "outcome", "bytes")}]
)
def test_rows_that_cannot_be_read_are_refused(columns) -> None:
    with pytest.raises(DistributedError, match="cannot be read"):
        Merger(plan_of(10), 2).take(0, Rows(first=0, count=5, columns=columns))


def test_workers_that_counted_something_else_than_their_rows_are_named() -> None:
    plan = plan_of(4)
    recorder = sent_by_hand(plan, 0, 1)
    merger = Merger(plan, 1)
    merger.take(0, packed(recorder, 4)[0])
    with pytest.raises(DistributedError, match="the workers counted"):
        merger.check([Done(outcomes={"hit": 4}, cpu_ratio=0)])


@given(st.integers(0, 5 * BATCH))
def test_batches_have_every_row_once(count) -> None:
    rows = [number for first, n in batches(count) for number in (first, first + n)]
    assert rows == sorted(rows)
    assert sum(n for _, n in batches(count)) == count
    assert all(n <= BATCH for _, n in batches(count))


def test_another_seed_key_or_path_is_another_plan() -> None:
    plan = plan_of(10)
    moved = Requests(plan.at_us + 1, plan.keys, plan.replicas, plan.paths, plan.span_s)
    other_keys = Requests(plan.at_us, plan.keys + 1, plan.replicas, plan.paths, plan.span_s)
    renamed = Requests(
        plan.at_us, plan.keys, plan.replicas, {key: f"{path}x" for key, path in plan.paths.items()}, 1.0
    )
    assert fingerprint(plan) == fingerprint(plan_of(10))
    assert len({fingerprint(other) for other in (plan, moved, other_keys, renamed)}) == 4


def test_the_most_requests_under_way_are_counted_over_all_workers() -> None:
    recorder = Recorder(plan_of(4))
    assert recorder.most_under_way() == 0
    for index, (sent_us, end_us) in enumerate([(0, 10), (5, 20), (9, 12), (20, 30)]):
        recorder.row(index, sent_us, end_us, 200, 1, 5)
    assert recorder.most_under_way() == 3


@pytest.mark.parametrize(
    ("url", "near", "loopback"),
    [
        ("http://127.0.0.1:8000", True, True),
        ("http://localhost:8000", True, True),
        ("http://[::1]:8000", True, True),
        ("http://10.1.2.3", True, False),
        ("http://192.168.7.1:80", True, False),
        ("http://172.32.0.1", False, False),
        ("http://93.184.215.14", False, False),
        ("http://[::ffff:93.184.215.14]", False, False),
        ("http://169.254.169.254", False, False),
        ("http://[2606:2800:21f:cb07::1]", False, False),
        ("http://" + "a" * 70, False, False),
    ],
)
def test_public_targets_are_told_from_private_ones(url, near, loopback) -> None:
    assert (is_near(url), is_loopback(url)) == (near, loopback)


def part(target: str, **workload) -> Part:
    return Part(
        targets=(target,), workload=Workload(**workload), seed=1, warmup_s=0, duration_s=1, timeout_s=1,
        worker=0, workers=1,
    )  # fmt: skip


def test_a_worker_elsewhere_is_not_sent_to_the_master_s_own_loopback() -> None:
    far = Hello(version=own_version(), host="far", boot="another")
    assert "cannot be reached from far" in (refusal(part("http://127.0.0.1:8000"), far, "mine") or "")
    assert refusal(part("http://10.0.0.7:8000"), far, "mine") is None
    assert refusal(part("http://127.0.0.1:8000"), far, "another") is None


def test_a_worker_elsewhere_cannot_read_the_master_s_access_log() -> None:
    far = Hello(version=own_version(), host="far", boot="another")
    replay = part("http://10.0.0.7:8000", log="access.log")
    assert "access.log" in (refusal(replay, far, "mine") or "")
    assert refusal(replay, far, "another") is None
