"""What the load generator's machine is short of is said before a run, and raised where it may be."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from bench.cli import doctor
from bench.run import limits, remarks
from loadtests.sending.limits import OpenFiles, ports, raise_open_files
from scenarios.reading import document


@pytest.fixture
def soft_limit():
    found = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda count: resource.setrlimit(resource.RLIMIT_NOFILE, (count, found[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, found)


def test_the_limit_is_raised_as_far_as_it_may_be(soft_limit) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft_limit(300)
    files = raise_open_files()
    assert files == OpenFiles(300, most, most)
    assert files.said == f"{most:,} (raised from 300)"
    assert raise_open_files().found == most


def test_where_it_may_not_be_raised_it_stays_and_the_doctor_says_so() -> None:
    """In a process of its own: a hard limit cannot be given back."""
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 400)); "
        "from bench.cli import doctor; print(doctor._open_files())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert "400 (raised from 200)" in ended.stdout
    assert "'poor'" in ended.stdout


def test_the_doctor_looks_at_files_and_ports() -> None:
    subjects = {finding.subject: finding for finding in (doctor._open_files(), doctor._ports())}
    assert set(subjects) == {"open files", "local ports"}
    assert ports() is None or ports() > 100


@pytest.mark.parametrize(
    ("users", "files", "free", "said"),
    [
        (256, 1024, 28_000, []),
        (256, 300, 28_000, ["ulimit -n 356"]),
        (5000, 1_000_000, 4000, ["widen net.ipv4.ip_local_port_range"]),
        (5000, 1024, None, ["ulimit -n 5100"]),
    ],
)
def test_a_run_that_would_be_short_of_something_says_so(monkeypatch, users, files, free, said) -> None:
    monkeypatch.setattr(limits, "ports", lambda: free)
    scenario = document.load("quick", {"workload.users": users})
    found = list(limits.remarks(scenario, OpenFiles(files, files, files)))
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, False),
        ({"upstream.body": "1MiB", "upstream.body_spread": 0}, False),
        ({"upstream.body": "500kB"}, True),
        ({"upstream.body_spread": 3}, True),
    ],
)
def test_bodies_that_the_stub_cannot_send_are_never_capped_silently(fields, said) -> None:
    found = [one for one in remarks.of(document.load("quick", fields)) if "larger than 1 MiB" in one]
    assert bool(found) == said
