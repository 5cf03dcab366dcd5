"""A task's budget, in either version of cgroups, on a tree of plain folders."""

from pathlib import Path

import pytest

from compose.host import cgroups, ownership
from compose.host.cgroups import Budgets
from scenarios.model import Resources

HALF = Resources(cpus=0.5, memory=256_000_000)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    return tmp_path


def run() -> str:
    """Return where this process's budgets are; its folder has another name once it was released."""
    return f"sidecar-bench/{ownership.own().name}/run"


@pytest.fixture
def one(root: Path) -> Path:
    """Lay out version 1: a hierarchy for each controller."""
    for controller in ("cpu", "memory", "pids"):
        (root / controller).mkdir()
    return root


@pytest.fixture
def two(root: Path) -> Path:
    """Lay out version 2: one hierarchy for all."""
    (root / "cgroup.controllers").write_text("cpu memory pids")
    return root


def test_version_1_sets_quota_and_memory_on_the_parent(one: Path) -> None:
    settings, note = Budgets("run", "cgroupfs").task("task-1", HALF)
    assert (settings, note) == ({"cgroup_parent": f"/{run()}/task-1"}, None)
    cpu, memory = (one / controller / run() / "task-1" for controller in ("cpu", "memory"))
    quota, period = ((cpu / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
    assert int(quota) / int(period) == 0.5
    assert (memory / "memory.limit_in_bytes").read_text() == "256000000"


def test_version_2_sets_both_in_one_place_and_hands_the_controllers_down(two: Path) -> None:
    Budgets("run", "cgroupfs").task("task-1", HALF)
    task = two / run() / "task-1"
    assert (task / "cpu.max").read_text() == "50000 100000"
    assert (task / "memory.max").read_text() == "256000000"
    for above in (two, two / "sidecar-bench", (two / run()).parent, two / run()):
        assert (above / "cgroup.subtree_control").read_text() == "+cpu +memory"


def test_no_limit_makes_no_cgroup(one: Path) -> None:
    assert Budgets("run", "cgroupfs").task("task-1", Resources()) == ({}, None)
    assert not (one / "cpu/sidecar-bench").exists()


def test_one_limit_leaves_the_other_open(one: Path) -> None:
    Budgets("run", "cgroupfs").task("task-1", Resources(cpus=0.5))
    assert not (one / "memory" / run() / "task-1/memory.limit_in_bytes").exists()


def test_where_systemd_keeps_the_tree_containers_are_limited_one_by_one_and_it_is_said(one: Path) -> None:
    settings, note = Budgets("run", "systemd").task("task-1", HALF)
    assert settings == {"cpus": 0.5, "mem_limit": 256_000_000}
    assert note
    assert "each container has the limits of its task separately" in note
    assert not (one / "cpu/sidecar-bench").exists()


def test_a_run_removes_its_own_cgroups_only(one: Path) -> None:
    mine, other = Budgets("mine", "cgroupfs"), Budgets("other", "cgroupfs")
    for budgets in (mine, other):
        budgets.task("task-1", Resources())
        for controller in ("cpu", "memory", "pids"):
            # Docker makes a parent in every hierarchy; the kernel's own files go with their folder.
            (one / controller / budgets._folder / "task-1/container").mkdir(parents=True)
    mine.remove()
    assert {path.name for path in cgroups.left_behind()} == {"other"}
    other.remove()
    assert list(one.glob("*/sidecar-bench")) == []


@pytest.mark.parametrize("version", ["one", "two"])
def test_a_process_enters_through_one_door_a_hierarchy(version: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(version)
    budgets = Budgets("run", "cgroupfs")
    budgets.task("task-1", HALF)
    tops = ["cpu/", "memory/"] if version == "one" else [""]
    assert budgets.doors("task-1") == [root / f"{top}{run()}/task-1/processes/cgroup.procs" for top in tops]
