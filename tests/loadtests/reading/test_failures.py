"""Which failures had to come, and which paths are named for the others."""

from __future__ import annotations

import numpy as np

from loadtests.reading.failures import told_of_failures
from traffic.keys import Requests


def told(*of: tuple[str, int, int]) -> dict:
    """Tell of failed requests: the path of each, what the log says of it, what was answered."""
    paths = list(dict.fromkeys(path for path, _, _ in of))
    requests = Requests(
        at_us=np.arange(len(of), dtype=np.int64),
        keys=np.array([paths.index(path) for path, _, _ in of], np.int32),
        replicas=np.zeros(len(of), np.int16),
        paths=dict(enumerate(paths)),
        span_s=1.0,
        statuses=np.array([logged for _, logged, _ in of], np.int16),
    )
    return told_of_failures(requests, np.arange(len(of)), np.array([said for _, _, said in of], np.int16))


def test_what_is_refused_by_rule_or_was_an_error_in_the_log_had_to_fail() -> None:
    found = told(("/a/../b", 200, 400), ("/x%00", 200, 400), ("/err", 503, 503), ("/err", 200, 503))
    assert found == {"expected_errors": 4, "failed_paths": []}


def test_other_failures_are_told_by_their_paths_the_most_frequent_first() -> None:
    found = told(
        ("/err", 503, 502), ("/a", 200, 400), ("/a", 200, 400), ("/a/../b", 200, 0), ("/c", 404, 500),
        ("/d" + "d" * 900, 200, 0),
    )  # fmt: skip
    assert found["expected_errors"] == 0
    assert found["failed_paths"][0] == {"path": "/a", "status": 400, "requests": 2}
    assert len(found["failed_paths"]) == 3


def test_without_a_log_nothing_but_what_is_refused_has_to_fail() -> None:
    requests = Requests(np.arange(1), np.zeros(1, np.int32), np.zeros(1, np.int16), {0: "repos/x"}, 1.0)
    assert told_of_failures(requests, np.arange(1), np.array([502], np.int16))["expected_errors"] == 0
