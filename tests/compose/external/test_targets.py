"""Services that run already: what they have counted is a difference, or said to be unknown."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import free_port, serving

from compose.external import stack as external
from compose.external.stack import TargetDeployment, TargetStack, check_answers, is_here
from compose.stack import StackError
from scenarios.facts import AppFacts
from scenarios.model import Variant


class Service:
    """An ASGI service that answers what it is told to, by path; `metrics` gives the text of each reading."""

    def __init__(
        self, metrics: Callable[[], str] | None = None, healthz: int = 200, content: int = 200
    ) -> None:
        self._metrics = metrics
        self._statuses = {"/healthz": healthz, "/content/healthz": content}

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        status, body = self._statuses.get(scope["path"], 404), b""
        if scope["path"] == "/metrics" and self._metrics is not None:
            status, body = 200, self._metrics().encode()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


class Counters:
    """The counters of a replica, as text."""

    def __init__(self, **counts: int) -> None:
        self.counts = counts

    def __call__(self) -> str:
        lines = ["# TYPE cache_requests counter"]
        lines += [
            f'cache_requests_total{{outcome="{word}"}} {self.counts.get(word, 0)}' for word in ("hit", "miss")
        ]
        lines.append("# TYPE upstream_requests counter")
        lines.append(f'upstream_requests_total{{status="200"}} {self.counts.get("calls", 0)}')
        return "\n".join(lines) + "\n"


@pytest.fixture
def serve() -> Iterator[Callable[[Service], str]]:
    opened = []

    def start(service: Service) -> str:
        opened.append(serving(service))
        return opened[-1].__enter__()

    yield start
    for server in opened:
        server.__exit__(None, None, None)


def test_what_a_trial_counted_is_the_difference_over_all_replicas(serve) -> None:
    first, second = Counters(hit=10, miss=5, calls=5), Counters(hit=100, miss=50, calls=51)
    urls = (serve(Service(first)), serve(Service(second)))
    with TargetDeployment("sidecar", urls) as deployment:
        first.counts = {"hit": 13, "miss": 6, "calls": 6}
        second.counts = {"hit": 100, "miss": 52, "calls": 53}
        assert deployment.app_counts() == AppFacts(outcomes={"hit": 3, "miss": 3}, upstream_calls=3)
        upstream = deployment.upstream_counts()
    assert upstream is not None
    assert (upstream.calls, upstream.counted_by) == (3, "app")
    assert any("no stub" in note for note in deployment.notes)


@pytest.mark.parametrize(
    "service", [Service(), Service(lambda: "process_cpu_seconds_total 1\n"), Service(lambda: "{")]
)
def test_a_service_without_the_apps_metrics_is_counted_by_nobody_else(serve, service: Service) -> None:
    with TargetDeployment("separate", (serve(service),)) as deployment:
        assert deployment.app_counts() is None
        assert deployment.upstream_counts() is None
    assert any("Cache-Status headers alone" in note for note in deployment.notes)


def test_metrics_that_differ_between_readings_are_not_those_of_one_replica(serve) -> None:
    replicas = itertools.cycle([Counters(hit=1), Counters(hit=2)])
    with TargetDeployment("separate", (serve(Service(lambda: next(replicas)())),)) as deployment:
        assert deployment.app_counts() is None
    assert any("several replicas" in note for note in deployment.notes)


def test_replicas_that_are_told_apart_only_after_the_load_are_not_counted_either(serve) -> None:
    first, second = Counters(), Counters()
    replicas = itertools.cycle([first, second])
    with TargetDeployment("separate", (serve(Service(lambda: next(replicas)())),)) as deployment:
        first.counts = {"hit": 4}
        assert deployment.app_counts() is None
        assert deployment.upstream_counts() is None


def test_a_restart_within_a_trial_is_not_hidden(serve) -> None:
    counters = Counters(hit=10, miss=5, calls=5)
    with TargetDeployment("sidecar", (serve(Service(counters)),)) as deployment:
        counters.counts = {"hit": 2, "miss": 6, "calls": 6}
        # Not the load side's counts: the books will not balance.
        assert deployment.app_counts() == AppFacts(outcomes={"hit": 2, "miss": 6}, upstream_calls=6)
    assert any("went back" in note for note in deployment.notes)


def test_a_target_has_no_link_no_usage_and_no_upstream_to_set(serve) -> None:
    with TargetDeployment("sidecar", (serve(Service(Counters())),)) as deployment:
        assert deployment.link is None
        assert list(deployment.usage()) == []
        with pytest.raises(StackError):
            deployment.measure_link()
        with pytest.raises(StackError):
            deployment.set_upstream(latency_ms=1)
        with pytest.raises(StackError):
            _ = deployment.faults


def test_a_variant_gets_the_urls_of_its_label(serve, tmp_path: Path) -> None:
    old, new = serve(Service(Counters())), serve(Service(Counters()))
    with TargetStack("run", {"old": (old,), "new": (new,)}) as stack:
        variant = Variant(id="new", levels={}, label="new")
        assert stack.deploy(variant, seed=1, folder=tmp_path).targets == (new,)


def test_a_target_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    stack = TargetStack("run", {"old": (gone,)})
    with pytest.raises(StackError, match=f"the target old at {gone} does not answer"):
        stack.deploy(Variant(id="old", levels={}, label="old"), seed=1, folder=tmp_path)


@pytest.mark.parametrize(
    ("healthz", "content", "answers"),
    [(200, 500, True), (404, 200, True), (404, 404, True), (503, 503, False), (404, 502, False)],
)
def test_a_service_answers_by_its_health_or_by_content(
    serve, healthz: int, content: int, answers: bool
) -> None:
    url = serve(Service(healthz=healthz, content=content))
    if answers:
        check_answers("old", url)
    else:
        with pytest.raises(StackError, match=rf"/content/healthz: status {content}"):
            check_answers("old", url)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("localhost", True),
        ("93.184.215.14", False),
        ("0.0.0.0", False),
    ],
)
def test_this_machine_is_told_from_others(host: str, here: bool) -> None:
    assert is_here(f"http://{host}:8000") is here


def test_an_address_of_an_interface_is_this_machine() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it only picks the interface
        except OSError:
            pytest.skip("this machine has no way out")
        address = probe.getsockname()[0]
    assert is_here(f"http://{address}:8000")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70])
def test_a_host_that_stands_for_nothing_is_named(host: str) -> None:
    with pytest.raises(StackError, match=f"the host {host} has no known IPv4 address"):
        is_here(f"http://{host}:8000")


def test_a_name_that_leads_elsewhere_meanwhile_is_not_loaded(
    serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = TargetStack("run", {"old": (serve(Service(Counters())),)})
    monkeypatch.setattr(external, "is_here", lambda _: False)
    with pytest.raises(StackError, match="pointed to this machine when the run began"):
        stack.deploy(Variant(id="old", levels={}, label="old"), seed=1, folder=tmp_path)
