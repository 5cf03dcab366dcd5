"""What a container has used, in the files of either version of cgroups."""

import os
from pathlib import Path

import pytest

from compose.docker.gauges import Gauges
from scenarios.facts import UsageFacts


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_version_1_keeps_a_folder_a_controller(tmp_path: Path) -> None:
    write(tmp_path / "proc" / "7", cgroup="3:cpuacct:/docker/ab\n2:memory:/docker/ab\n1:cpu:/docker/ab\n")
    write(tmp_path / "cpuacct/docker/ab", cpuacct__usage="1500000000\n")
    write(tmp_path / "memory/docker/ab", memory__max_usage_in_bytes="4096\n")
    write(tmp_path / "cpu/docker/ab", cpu__stat="nr_periods 9\nthrottled_time 250000000\n")
    assert Gauges.of(7, tmp_path, tmp_path / "proc").read("redis") == UsageFacts(
        name="redis", cpu_s=1.5, memory_bytes=4096, throttled_s=0.25
    )


def test_controllers_of_version_1_may_share_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "proc" / "7", cgroup="3:cpu,cpuacct:/docker/ab\n2:memory:/docker/ab\n")
    shared = {"cpuacct__usage": "2000000000\n", "cpu__stat": "throttled_time 0\n"}
    write(tmp_path / "cpu,cpuacct/docker/ab", **shared)
    write(tmp_path / "memory/docker/ab", memory__max_usage_in_bytes="1\n")
    assert Gauges.of(7, tmp_path, tmp_path / "proc").read("redis") == UsageFacts(
        name="redis", cpu_s=2.0, memory_bytes=1, throttled_s=0.0
    )


@pytest.mark.parametrize(("kernel", "memory"), [("new", 8192), ("old", 4096)])
def test_version_2_keeps_one_folder(tmp_path: Path, kernel: str, memory: int) -> None:
    write(tmp_path, cgroup__controllers="cpu memory\n")
    write(tmp_path / "proc" / "7", cgroup="0::/bench/ab\n")
    folder = tmp_path / "bench/ab"
    write(folder, cpu__stat="usage_usec 1500000\nthrottled_usec 250000\n", memory__current="4096\n")
    if kernel == "new":
        write(folder, memory__peak="8192\n")
    assert Gauges.of(7, tmp_path, tmp_path / "proc").read("redis") == UsageFacts(
        name="redis", cpu_s=1.5, memory_bytes=memory, throttled_s=0.25
    )


def test_a_process_that_is_gone_has_none(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cgroup"):
        Gauges.of(7, tmp_path, tmp_path / "proc")


def test_this_very_process_has_some() -> None:
    assert Gauges.of(os.getpid()).folders


def test_under_a_tasks_quota_what_the_task_lost_counts(tmp_path: Path) -> None:
    write(tmp_path, cgroup__controllers="cpu memory\n")
    write(tmp_path / "proc" / "7", cgroup="0::/sidecar-bench/run/task-1/ab\n")
    task = tmp_path / "sidecar-bench/run/task-1"
    write(task, cpu__stat="throttled_usec 500000\n")
    write(task / "ab", cpu__stat="usage_usec 1000000\nthrottled_usec 0\n", memory__current="1\n")
    assert Gauges.of(7, tmp_path, tmp_path / "proc").read("app").throttled_s == 0.5
