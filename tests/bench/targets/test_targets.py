"""Targets on the command line: what is read, what is refused before a request is sent, and a whole run."""

from __future__ import annotations

import socket
import string
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import sidecar_bench
from hypothesis import given
from hypothesis import strategies as st
from servers import free_port

from bench.errors import UserError
from bench.targets import guard, services
from compose.stack import StackError
from reports.stored.records import RunRecord, StackChoice, TargetsChoice
from scenarios.model import Variant
from scenarios.reading import document

FAR = "http://198.51.100.7:80"  # an address for documentation: it is nobody's, and not this machine's
HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)
PORTS = st.integers(1, 65535)
SCHEMES = st.sampled_from(["http", "https"])


def asked(*urls: str, labels: list[str] | None = None, **options: Any) -> services.Asked:
    names = [f"t{number}" for number in range(len(urls))] if labels is None else labels
    usual = {"owned": False, "rate_cap": None, "duration_cap": None}
    return services.asked(list(urls), names, **(usual | options))


def chosen(*urls: str, **options: Any) -> TargetsChoice:
    choice = asked(*urls, **options).choice
    assert choice is not None
    return choice


@given(SCHEMES, HOSTS, PORTS, st.sampled_from(["", "/"]))
def test_a_plain_url_is_read_as_it_is_written(scheme: str, host: str, port: int, slash: str) -> None:
    assert services.replicas(f"{scheme}://{host}:{port}{slash}") == [f"{scheme}://{host}:{port}"]


@given(SCHEMES, HOSTS)
def test_a_url_without_a_port_gets_that_of_its_scheme(scheme: str, host: str) -> None:
    assert services.replicas(f"{scheme}://{host}") == [
        f"{scheme}://{host}:{443 if scheme == 'https' else 80}"
    ]


@given(st.lists(st.tuples(HOSTS, PORTS), min_size=1, max_size=5))
def test_a_list_of_replicas_is_read_in_its_order(found: list[tuple[str, int]]) -> None:
    urls = [f"http://{host}:{port}" for host, port in found]
    assert services.replicas(",".join(urls)) == urls


@given(HOSTS, st.text(string.ascii_letters + string.digits, min_size=12, max_size=20), st.sampled_from(
    ["http://u:{}@{}", "http://{}@{}:80", "https://{1}/?token={0}", "http://{1}#{0}", "http://{1}:80/?{0}"]
))  # fmt: skip
def test_what_may_be_secret_is_refused_and_not_repeated(host: str, secret: str, form: str) -> None:
    with pytest.raises(UserError) as refused:
        services.replicas(form.format(secret, host))
    assert secret not in str(refused.value)


@given(st.text())
def test_whatever_is_given_is_a_plain_url_or_a_sentence(text: str) -> None:
    read, said = [], ""
    try:
        read = services.replicas(text)
    except UserError as error:
        said = str(error)
    assert bool(read) != said.startswith("--target: ")
    for url in read:
        scheme, host, port = url.split(":")
        assert scheme in ("http", "https")
        assert host.startswith("//")
        assert set(host[2:]) <= set(string.ascii_letters + string.digits + "._-")
        assert 0 < int(port) < 65536
        assert services.replicas(url) == [url]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:8000", "http:// or https://"),
        ("ftp://127.0.0.1", "http:// or https://"),
        ("unix:///run/app.sock", "http:// or https://"),
        ("http://127.0.0.1:8000/api", "has a path"),
        ("http://127.0.0.1:99999", "cannot be read"),
        ("http://127.0.0.1:0", "port 0"),
        ("http://[::1]:8000", "IPv4"),
        ("http://127.0.0.1:1,", "is empty"),
        ("http://127.0.0.1\n.evil.example", "space or another character"),
        ("http://127.0.0.1\\@evil.example", "user or password"),
        ("http://127.0.0.1%2f.evil.example", "no valid host"),
        ("http://", "no valid host"),
    ],
)
def test_what_is_no_base_url_is_refused_with_a_reason(url: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        services.replicas(url)


@pytest.mark.parametrize(
    ("urls", "labels", "said"),
    [
        (["http://a", "http://b"], [], "give each target a label"),
        (["http://a", "http://b"], ["one"], "give each target a label"),
        ([], ["one"], "--label needs a --target"),
        (["http://a", "http://b"], ["one", "one"], "two targets have the same label"),
        (["http://a", "http://A:80/"], ["one", "two"], "is given twice"),
        (["http://a"], ["Not.A.Label"], "lower-case letters and digits"),
        (["http://a", "http://b"], ["none", "mine"], "use either topologies"),
    ],
)
def test_labels_tell_targets_apart(urls: list[str], labels: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        asked(*urls, labels=labels)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate_cap": float("nan")}, "is not a rate"),
        ({"rate_cap": float("inf")}, "is not a rate"),
        ({"rate_cap": 0.0}, "is not a rate"),
        ({"duration_cap": "soon"}, "is not a duration"),
        ({"duration_cap": "0"}, "is not a duration"),
    ],
)
def test_caps_are_numbers(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        asked("http://127.0.0.1", **options)


def test_labels_that_say_where_the_cache_is_set_the_topology() -> None:
    choice = chosen("http://a,http://b", "http://c", labels=["separate", "sidecar"])
    read = services.load("quick", {}, "auto", choice)
    assert [(v.id, v.topology, v.replicas) for v in read.variants] == [
        ("separate", "separate", 2), ("sidecar", "sidecar", 1),
    ]  # fmt: skip
    assert read.factors == {"topology": ["separate", "sidecar"]}


def test_the_traffic_is_the_scenarios_and_of_the_rest_nothing_is_claimed() -> None:
    choice = chosen("http://a", "http://b", labels=["old", "new"])
    read = services.load("quick", {"workload.rate": 50, "schedule.blocks": 3}, "auto", choice)
    plain = Variant(id="x", levels={})
    assert read.factors == {"label": ["old", "new"]}
    for variant in read.variants:
        assert variant.levels == {"label": variant.id}
        assert (variant.workload.rate, variant.workload.keys.count) == (50, 400)
        assert (variant.cache, variant.upstream, variant.link) == (plain.cache, plain.upstream, plain.link)
    assert read.schedule.blocks == 3
    assert read == type(read).model_validate_json(read.model_dump_json())


@pytest.mark.parametrize(
    ("name", "changed", "said"),
    [
        ("ttl-sweep", {}, "compares .*cache.ttl.*, but with targets only .*such as quick"),
        ("quick", {"workload.rate": [50, 100]}, "give it one value, such as --set workload.rate=50"),
        ("quick", {"cache.ttl": 5}, "cache.ttl: describes how a variant is deployed"),
        ("quick", {"topology": "sidecar"}, "use --label"),
        ("quick", {"replicas": 4}, "replicas: describes how"),
        ("quick", {"thresholds": ["separate.p50_ms <= 5"]}, "no variant 'separate'"),
    ],
)
def test_what_a_target_cannot_be_asked_for_is_refused(name: str, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        services.load(name, changed, "auto", chosen("http://a", "http://b", labels=["old", "new"]))


def test_a_stack_and_targets_do_not_go_together() -> None:
    with pytest.raises(UserError, match="--stack docker: with --target, nothing is deployed"):
        services.load("quick", {}, "docker", chosen("http://a"))


@pytest.fixture
def listening() -> Iterator[tuple[str, list[bytes]]]:
    """A server on this machine that notes what it is sent, and answers that all is well."""
    asked_for: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked_for.append(connection.recv(4096))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked_for
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_a_target_elsewhere_that_nobody_owns_is_refused_before_anything_is_sent(listening) -> None:
    url, sent = listening
    choice = chosen(url, FAR)
    with pytest.raises(UserError, match="--i-own-this-target"):
        guard.check(services.load("quick", {"workload.rate": 10}, "auto", choice), choice)
    assert sent == []


@pytest.mark.parametrize(
    ("changed", "caps", "said"),
    [
        ({"workload.rate": 201}, {}, "--rate-cap 201"),
        ({"workload.rate": 301}, {"rate_cap": 300.0}, "is 300: lower it"),
        ({"schedule.duration": 60, "schedule.warmup": 1}, {}, "--duration-cap 61s"),
        ({"schedule.duration": 90}, {"duration_cap": "80s"}, "is 80 s: shorten it"),
    ],
)
def test_the_caps_hold_for_targets_elsewhere(
    listening, changed: dict[str, Any], caps: dict[str, Any], said: str
) -> None:
    url, sent = listening
    choice = chosen(url, FAR, owned=True, **caps)
    read = services.load("quick", {"workload.rate": 100} | changed, "auto", choice)
    with pytest.raises(UserError, match=said):
        guard.check(read, choice)
    assert sent == []


def test_a_logs_busiest_second_counts(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    line = '127.0.0.1 - - [10/Oct/2026:13:55:{:02d} +0000] "GET /a HTTP/1.1" 200 1\n'
    log.write_text("".join(line.format(second) for second in (0, 10, 20, *[30] * 250)))
    choice = chosen(FAR, owned=True)
    fields = {"workload.arrivals": "log", "workload.log": str(log), "schedule.duration": 50}
    with pytest.raises(UserError, match="requests/s, but the limit for targets on other machines is 200"):
        guard.check(services.load("quick", fields, "auto", choice), choice)


def test_no_cap_holds_on_this_machine(listening) -> None:
    url, sent = listening
    choice = chosen(url)
    read = services.load("quick", {"workload.rate": 5000, "schedule.duration": 600}, "auto", choice)
    guard.check(read, choice)
    assert b"GET /healthz" in sent[0]


def test_a_target_that_does_not_answer_is_named(listening) -> None:
    url, _ = listening
    gone = f"http://127.0.0.1:{free_port()}"
    choice = chosen(url, gone, labels=["sidecar", "separate"])
    with pytest.raises(StackError, match=f"the target separate at {gone} does not answer"):
        guard.check(services.load("quick", {}, "auto", choice), choice)


def stored(choice: TargetsChoice | None) -> RunRecord:
    return RunRecord(
        run_id="a-run", scenario=document.load("quick"), command=[], started="2026-01-31T15:45:00+00:00",
        stack=StackChoice(name="targets" if choice else "processes", reason="", targets=choice),
        environment={},
    )  # fmt: skip


def test_a_run_that_goes_on_keeps_its_targets_and_may_be_allowed_more() -> None:
    choice = chosen("http://a", rate_cap=300.0)
    nothing = services.asked(None, None, owned=False, rate_cap=None, duration_cap=None)
    assert nothing.again(stored(choice)) == choice
    more = services.asked(None, None, owned=True, rate_cap=None, duration_cap="2m")
    assert more.again(stored(choice)) == choice.model_copy(update={"owned": True, "duration_cap_s": 120.0})
    with pytest.raises(UserError, match="uses the targets of the run"):
        asked("http://b").again(stored(choice))
    assert nothing.again(stored(None)) is None
    with pytest.raises(UserError, match="has no targets"):
        more.again(stored(None))
    with pytest.raises(UserError, match="need --target"):
        _ = more.choice


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", FAR, "--label", "mine"], "--i-own-this-target"),
        (["--target", FAR, "--label", "mine", "--i-own-this-target", "--rate", "500"], "--rate-cap 500"),
        (["--target", "http://u:hushhush@127.0.0.1", "--label", "mine"], "user or password"),
        (["--target", "http://127.0.0.1:1", "--label", "mine", "--ttl", "5"], "cache.ttl: describes how"),
    ],
)
def test_a_refusal_is_a_sentence_and_leaves_nothing(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = sidecar_bench("run", "quick", *arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    assert "hushhush" not in ended.stderr + ended.stdout
    assert not list(tmp_path.iterdir())
