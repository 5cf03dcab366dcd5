"""Caches that are filled before a load, on the embedded stack: each its own, at one moment, in no count."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from compose import counts
from compose.filling import Place, Warming
from compose.local.stack import ProcessStack
from compose.stack import Deployment, Held, StackError
from scenarios.facts import FillingFacts
from scenarios.model import Variant

pytestmark = pytest.mark.slow

TROUBLED = {"latency_ms": 400, "body": 100, "error_ratio": 0.9, "rate_limit": 3}


def variant(topology: str, **changed: Any) -> Variant:
    return Variant(id=topology, levels={}, topology=topology, **{"cache": {"ttl": 60}} | changed)


@pytest.fixture
def stack(run_id: str) -> ProcessStack:
    return ProcessStack(run_id)


def answered(deployment: Deployment, replica: int, name: str) -> int:
    return counts.get(deployment.targets[replica], f"/content/{name}")[0]


@pytest.mark.parametrize(
    "asked_for",
    [
        variant("sidecar", upstream=TROUBLED),
        variant("sidecar", upstream=TROUBLED, cache={"ttl": 60, "sidecar_transport": "unix"}),
        variant("separate", upstream=TROUBLED),
        variant("separate", upstream=TROUBLED, link={"rtt_ms": 0}),
    ],
    ids=["sidecar", "sidecar over a Unix socket", "separate", "separate without a delay"],
)
def test_what_is_held_is_hit_whatever_the_upstream_is_like_and_nothing_of_it_is_counted(
    stack: ProcessStack,
    tmp_path: Path,
    asked_for: Variant,
    marked: Callable[[str], list[psutil.Process]],
    run_id: str,
) -> None:
    shared = asked_for.topology == "separate"
    held = [Held(0, "/content/both", 50)] + ([] if shared else [Held(1, "/content/both", 50)])
    held += [Held(0, f"/content/first/{number}", 50) for number in range(30)]
    with stack.deploy(asked_for, seed=1, folder=tmp_path) as deployment:
        before = len(marked(run_id))
        with deployment.fill(held) as filling:
            filling.fetched()
            filled = filling.store(time.time() + 0.2)
            assert (filled.wanted, filled.filled, filled.failed) == (len(held), len(held), {})
            assert filled.calls == 31, "each response is fetched once, whoever holds it"
            filling.close()
            assert len(marked(run_id)) == before
        assert deployment.upstream_counts().calls == 0
        assert deployment.app_counts().outcomes == {}
        assert deployment.app_counts().upstream_calls == 0
        assert {answered(deployment, 0, f"first/{number}") for number in range(30)} == {200}
        assert answered(deployment, 0, "both") == answered(deployment, 1, "both") == 200
        assert deployment.app_counts().outcomes == {"hit": 32}
        # The upstream is as troubled as it was, and its quota whole.
        statuses = [answered(deployment, 1, "first/0"), answered(deployment, 0, "other")]
        assert statuses[0] == (200 if shared else 502)
        assert statuses[1] in (200, 502)
        assert deployment.upstream_counts().calls == (1 if shared else 2)


def test_a_second_moment_takes_the_place_of_the_first(stack: ProcessStack, tmp_path: Path) -> None:
    with stack.deploy(variant("sidecar"), seed=1, folder=tmp_path) as deployment:
        with deployment.fill([Held(0, "/content/a", 0.5), Held(0, "/content/b", 30)]) as filling:
            filling.fetched()
            filling.store(time.time() - 10)
            began_s = time.time()
            assert filling.store(began_s + 1).filled == 2
            while time.time() < began_s + 1.4:  # of the first moment it expired long ago
                assert answered(deployment, 0, "a") == 200
            assert deployment.app_counts().outcomes.keys() == {"hit"}
        assert answered(deployment, 0, "b") == 200


def test_a_filling_that_fails_says_why_and_leaves_no_process(
    stack: ProcessStack, tmp_path: Path, marked: Callable[[str], list[psutil.Process]], run_id: str
) -> None:
    with stack.deploy(variant("sidecar"), seed=1, folder=tmp_path) as deployment:
        before = len(marked(run_id))
        with (
            deployment.fill([Held(0, "/elsewhere", 1)]) as filling,
            pytest.raises(StackError, match=r"app\.warm ended with exit code 1.*\n.*does not begin with"),
        ):
            filling.fetched()
        assert len(marked(run_id)) == before


def test_a_filling_that_is_left_before_it_is_done_ends_at_once(
    stack: ProcessStack, tmp_path: Path, marked: Callable[[str], list[psutil.Process]], run_id: str
) -> None:
    held = [Held(0, f"/content/{number}", 50) for number in range(3000)]
    with stack.deploy(variant("sidecar"), seed=1, folder=tmp_path) as deployment:
        before = len(marked(run_id))
        with pytest.raises(KeyboardInterrupt), deployment.fill(held):
            raise KeyboardInterrupt
        assert len(marked(run_id)) == before


def test_one_place_that_fails_names_itself_beside_others_that_do_not(tmp_path: Path) -> None:
    said = 'read line; echo \'{"fetched": 0, "calls": 0}\'; sleep 60'
    places = [
        Place(["sh", "-c", "read line; echo no such thing >&2; exit 3"], tmp_path / "a.log", [0], {}),
        Place(["sh", "-c", said], tmp_path / "b.log", [1], {"PATH": "/usr/bin:/bin"}),
    ]
    with Warming(places, [], lambda: None) as filling, pytest.raises(StackError) as error:
        filling.fetched()
    assert "exit code 3" in str(error.value)
    assert "no such thing" in str(error.value)


def test_each_place_is_told_of_its_own_caches_and_of_each_name_once(tmp_path: Path) -> None:
    def place(name: str, caches: list[int]) -> Place:
        heard = f"""while read -r line && [ "$line" ]; do echo "$line" >> {tmp_path / name}; done"""
        said = """echo '{"fetched": 0, "calls": 2}'; read -r moment; echo "$moment" >> """ + str(
            tmp_path / name
        )
        done = """; echo '{"wanted": 3, "filled": 2, "failed": {"over": 1}, "calls": 2}'"""
        command = ["sh", "-c", f"{heard}; {said}{done}"]
        return Place(command, tmp_path / f"{name}.log", caches, {"PATH": "/usr/bin:/bin"})

    held = [Held(0, "/a", 5), Held(1, "/a", -1.5), Held(2, "/b c", 7)]
    fetched = []
    with Warming([place("x", [0, 1]), place("y", [2])], held, lambda: fetched.append(True)) as filling:
        filling.fetched()
        assert fetched == [True]
        assert filling.store(12.5) == FillingFacts(wanted=6, filled=4, failed={"over": 2}, calls=4)
    assert (tmp_path / "x").read_text() == "5.000000,-1.500000 /a\n12.5\n"
    assert (tmp_path / "y").read_text() == "7.000000 /b c\n12.5\n"
