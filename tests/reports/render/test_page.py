from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest

import reports
from reports.analysis.run import Analysis, analyse
from reports.render import causes, tables
from reports.render.page import page


@pytest.fixture(scope="module")
def analysis(quick_run: Path) -> Analysis:
    return analyse(quick_run)


@pytest.fixture(scope="module")
def html(analysis: Analysis) -> str:
    return page(analysis)


def test_the_page_stands_alone(html: str) -> None:
    assert len(html.encode()) < 3_000_000
    assert "<script" not in html
    links = set(re.findall(r"""(?:src|href)=["']([^"'#][^"']*)""", html)) - {"data:,"}
    assert links == set()
    assert not re.search(r"url\((?!#)", html)
    assert "@import" not in html


def test_the_page_says_everything(analysis: Analysis, html: str) -> None:
    assert analysis.summary.verdict in unescape(html)
    for trial in analysis.summary.trials:
        assert f">{trial.id}<" in html
        assert f"{trial.id}: valid" in html
    for text in (
        "AMD EPYC", "sidecar-bench run quick", "no Docker engine", "Quota of 5,000 per hour", "by theory",
        "Where the time goes", "The Redis hop", "Why upstream was called", "Avoided by sharing",
        "Where the hits go in the long run", "Upstream calls per hour", "after a cold start",
        "Avoidable by one shared cache", "furthest",
        "Smallest detectable effect", "Counts: upstream calls", "standard errors from the expected", "Little",
    ):  # fmt: skip
        assert text in html


def test_ids_are_unique_and_colours_are_the_pages_own(html: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    svgs = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "var(--series-0)" in svgs
    assert not re.search(r"#0[0-9a]0[0-9]0[0-9]", svgs)
    assert "DejaVu" not in html


def test_the_same_run_gives_the_same_page(quick_run: Path, html: str) -> None:
    assert page(analyse(quick_run)) == html


def test_what_comes_from_outside_is_escaped_and_thresholds_are_shown(made_up: Any) -> None:
    run = made_up(
        description="<script>alert(1)</script>",
        thresholds=["hit_ratio >= 99%"],
        schedule={"warmup": 0, "duration": 2, "blocks": 3},
    )
    html = page(analyse(run))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "hit_ratio &gt;= 99%" in html
    assert '<span class="value worse">fail</span>' in html


def test_a_run_with_nothing_valid_still_has_a_page(made_up: Any) -> None:
    run = made_up(
        lambda record: record.model_copy(
            update={"upstream": record.upstream.model_copy(update={"calls": 0})}
        ),
        schedule={"warmup": 0, "duration": 2, "blocks": 1},
    )
    reports.write(run)
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "No result" in html
    assert "the upstream 0" in html


def test_the_theorys_row_has_what_was_counted_expected_and_how_far_apart(analysis: Analysis) -> None:
    row = dict(zip(causes.theory(analysis).heads[4:], causes.theory(analysis).rows[0][4:], strict=True))
    trials = [trial for trial in analysis.summary.trials if trial.variant == "sidecar"]
    assert row["Upstream calls per trial"].text == f"{sum(one.upstream_calls for one in trials) / 5:,.0f}"
    assert row["by theory"].text == f"{trials[0].expected_calls:,.0f}"
    assert row["by theory"].under == f"± {trials[0].expected_calls_error:.0f}"
    furthest = max((one.z for one in trials if one.z is not None), key=abs)
    assert row["z"].under == f"furthest {furthest:+.2f}".replace("-", "−")


def test_where_theory_is_silent_its_row_says_why(made_up: Any) -> None:
    cache = {"ttl": 3, "ttl_jitter": [0, 0.2]}
    run = made_up(cache=cache, topology="sidecar", schedule={"warmup": 0, "duration": 2, "blocks": 2})
    even, uneven = causes.theory(analyse(run)).rows
    assert even[2].text != "–"
    assert uneven[2].under == "no prediction: copies do not live equally long"


def test_the_page_says_why_where_theory_is_silent_of_every_variant(made_up: Any) -> None:
    run = made_up(upstream={"error_ratio": 0.3}, schedule={"warmup": 0, "duration": 2, "blocks": 2})
    assert "no prediction: the upstream fails, and what failed is not kept" in page(analyse(run))


def test_undecided_says_how_many_blocks_it_takes_among_many_comparisons(made_up: Any) -> None:
    run = made_up(cache={"ttl": [1, 4]}, schedule={"warmup": 0, "duration": 2, "blocks": 3})
    words = [cell.word for row in tables.compared(analyse(run)).rows for cell in row if cell.word]
    open_questions = [word for word in words if word.startswith("undecided")]
    assert open_questions
    assert all("more block" in word or "out of reach" in word for word in open_questions)


def test_many_variants_fit_the_page(made_up: Any) -> None:
    run = made_up(
        cache={"ttl": [1, 2, 4]},
        link={"rtt_ms": [0.1, 0.8]},
        schedule={"warmup": 0, "duration": 2, "blocks": 2},
    )
    html = page(analyse(run))
    assert len(set(re.findall(r"separate-\S+ compared with sidecar-\S+(?=<)", html))) == 6


def test_the_conductor_does_not_pay_for_the_page() -> None:
    code = (
        "import sys, reports, reports.stored.records, reports.trial.validity\n"
        "heavy = {'pandas', 'scipy', 'matplotlib', 'pyarrow', 'numpy', 'jinja2'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
