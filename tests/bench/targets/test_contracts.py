"""How a service is called and read: the options, before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import sidecar_bench
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.targets import contracts, services
from scenarios.contract import OURS, Contract, HitRule
from traffic.paths import PathsError, read_paths

TARGET = ("--target", "http://127.0.0.1:1")


def test_nothing_said_is_our_own_contract() -> None:
    assert contracts.asked() == contracts.NOTHING
    assert contracts.asked().contract == OURS


def test_a_service_with_paths_of_its_own_has_neither_our_metrics_nor_our_readiness() -> None:
    foreign = contracts.asked(path="/github/{key}").contract
    assert foreign == Contract(path="/github/{key}", ready=(), metrics=None, statuses=True)
    assert contracts.asked(own_keys=True).contract.path == "/{key}"
    assert contracts.asked(cache="redis", outcomes=["X-Cache:  *_HIT "]).contract == OURS.model_copy(
        update={"cache": "redis", "rules": (HitRule(header="X-Cache", glob="*_HIT"),)}
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"path": "/github"}, "--path /github: write a path that begins with /"),
        ({"outcomes": ["X-Cache"]}, "--outcome X-Cache: write a header and a glob"),
        ({"outcomes": [": HIT"]}, "write a header and a glob"),
        ({"headers": ["hushhush"]}, "--header: write 'NAME: VALUE'"),
        ({"headers": ["A: hush\r\nhush: 1"]}, "--header: write 'NAME: VALUE'"),
        ({"headers": ["Content-Length: 5"]}, "Content-Length is set by the connection"),
        ({"headers": ["A: 1", "a: 2"]}, "a is given twice"),
        ({"headers": ["@/no/such/file"]}, "--header @/no/such/file: cannot be read"),
        ({"count_url": "http://u:hushhush@a/"}, "user or password"),
        ({"count_url": "calls"}, "write a URL such as"),
        ({"count_url": "http://a:0/"}, "write a URL such as"),
    ],
)
def test_what_cannot_be_read_is_refused_without_repeating_what_may_be_secret(said, expected) -> None:
    with pytest.raises(UserError) as refused:
        contracts.asked(**said)
    assert expected in str(refused.value)
    assert "hush" not in str(refused.value)


def test_headers_can_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "headers.txt"
    file.write_text("Authorization: Bearer s3cret\n\nX-Tenant:one\n")
    assert contracts.asked(headers=[f"@{file}", "Accept: a/b"]).headers == {
        "Authorization": "Bearer s3cret", "X-Tenant": "one", "Accept": "a/b",
    }  # fmt: skip
    file.write_text("Accept: x\nnothing\n")
    with pytest.raises(UserError, match=r"headers.txt, line 2: write 'NAME: VALUE'"):
        contracts.asked(headers=[f"@{file}"])


@given(st.text(st.characters(codec="ascii", exclude_characters=":…"), min_size=5))
def test_a_stored_command_has_no_value_of_a_header(secret: str) -> None:
    command = [
        "run",
        "--header",
        f"Authorization: <{secret}>",
        f"--header=X-Key: <{secret}>",
        "--header",
        "@file",
    ]
    assert contracts.redacted(command) == [
        "run", "--header", "Authorization: …", "--header=X-Key: …", "--header", "@file",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--path", "/github/{key}"], "name it with --target"),
        (["--header", "A: hushhush"], "name it with --target"),
        (["--upstream-count", "http://a/"], "name it with --target"),
        ([*TARGET, "--path", "/github"], "has {key} once"),
        ([*TARGET, "--path", "/github/{key}"], "the target service at http://127.0.0.1:1 does not answer"),
        ([*TARGET, "--keys", "nowhere.txt"], "nowhere.txt: cannot be read"),
        (["--keys", "nowhere.txt"], "nowhere.txt: cannot be read"),
        (
            [*TARGET, "--header", "A: hushhush", "--expect-workers", "1", "--bind", "10.0.0.1"],
            "not encrypted",
        ),
    ],
)
def test_a_refusal_is_a_sentence_and_leaves_nothing(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = sidecar_bench("run", "quick", *arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    assert "hushhush" not in ended.stderr + ended.stdout
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_resumed_needs_its_headers_again_and_calls_as_before() -> None:
    def choice(**said):
        called = contracts.asked(**said)
        return services.asked(["http://a"], ["old"], False, None, None, called).choice

    def again(stored, **said):
        resumed = services.asked(None, None, False, None, None, contracts.asked(**said))
        return resumed.again(record(stored))

    def record(stored):
        from reports.stored.records import RunRecord, StackChoice
        from scenarios.reading import document

        return RunRecord(
            run_id="a-run", scenario=document.load("quick"), command=[], environment={},
            started="2026-01-31T15:45:00+00:00", stack=StackChoice(name="targets", reason="", targets=stored),
        )  # fmt: skip

    plain, secret = choice(path="/x/{key}"), choice(headers=["Authorization: s3cret"])
    assert "s3cret" not in secret.model_dump_json()
    assert again(plain) == plain
    assert again(secret, headers=["Authorization: other"]) == secret
    with pytest.raises(UserError, match=r"give them again, each with --header \(Authorization\)"):
        again(secret)
    with pytest.raises(UserError, match="calls the targets as the run did"):
        again(plain, path="/y/{key}")


def test_a_file_of_paths_is_read_in_its_order(tmp_path: Path) -> None:
    file = tmp_path / "paths.txt"
    file.write_text("# most asked for first\n/repos/a\n\nrepos/b?x=1\n//c\n")
    assert read_paths(file) == ("repos/a", "repos/b?x=1", "/c")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no paths"),
        ("# none\n", "has no paths"),
        ("a\nb c\n", "line 2: a path has a blank"),
        ("café\n", "line 1: a path has a blank, a # or a character that is not ASCII"),
        ("a#b\n", "line 1: a path has a blank, a #"),
        ("a\nb\n/a\n", "line 3: repeats line 1"),
        ("https://api.example/a\n", "line 1: is a URL"),
    ],
)
def test_a_file_of_paths_that_cannot_be_used_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "paths.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PathsError, match=said):
        read_paths(file)
