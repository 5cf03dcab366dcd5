from __future__ import annotations

import json
import re
from html import unescape

import predictions
import pytest

from reports.prediction import grid, words
from reports.prediction.figures import curves, maps
from reports.prediction.grid import Link
from reports.prediction.page import page


@pytest.fixture(scope="module")
def html() -> str:
    return page(predictions.prediction())


def test_the_page_stands_alone(html: str) -> None:
    assert len(html.encode()) < 3_000_000
    links = set(re.findall(r"""(?:src|href)=["']([^"'#][^"']*)""", html)) - {"data:,"}
    assert links == set()
    assert not re.search(r"url\((?!#)", html)
    assert "@import" not in html
    assert html.count("<script") == 2, "the grid, and the script that draws it"


def test_the_script_is_small_and_writes_no_markup(html: str) -> None:
    script = html[html.rindex("<script>") : html.rindex("</script>")]
    assert len(script.encode()) < 60_000
    for writes in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert writes not in script


def test_the_page_says_everything(html: str) -> None:
    made = predictions.prediction()
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))
    assert all(sentence in text for sentence in re.split(r"(?<=\.) (?=[A-Z])", made.answer))
    for said in (
        "What it is based on", "How it changes with the TTL", "How it changes with replicas",
        "How it changes with memory", "Where the two change places", "Hour by hour",
        "What a deployment costs",
        "What was in the log", "What this does not tell you", "measured", "assumed", "from the scenario",
        "method POST: not cached", "131,000", "GET: 129,000", "404: 1,000", "Hours over the quota",
        "round trip of 3.40 ms", *made.notes, *made.traffic["remarks"],
        *(one.label for one in made.assumptions), *(one.source for one in made.assumptions),
    ):  # fmt: skip
        assert said in text, said
    assert "1,060" in text, "the sidecars' calls in the busiest hour"
    assert f"{predictions.miss_ratio('sidecar', 6, 3600, 0.5) * 2880:.0f}" == "1060", "by the formula"


def test_what_comes_from_outside_is_escaped(html: str) -> None:
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_the_grid_in_the_page_is_json_whatever_is_in_it(html: str) -> None:
    found = re.search(r'<script type="application/json" id="explorer-data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    grid = json.loads(found[1])
    assert grid["ttl_s"] == predictions.TTLS
    assert grid["replicas"] == predictions.REPLICAS
    assert "<" not in found[1]


def test_ids_are_unique_and_colours_are_the_pages_own(html: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    svgs = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "var(--series-0)" in svgs
    assert "var(--series-1-shade-3)" in svgs
    assert not re.search(r"#0[0-9a-f]0[0-9]0[0-9]", svgs)


def test_the_same_prediction_gives_the_same_page(html: str) -> None:
    assert page(predictions.prediction()) == html


def test_the_same_number_stands_wherever_a_combination_is_shown() -> None:
    """The grid has fewer routings than the points: where both have a combination, the points' is taken."""
    made = predictions.prediction()
    own = made.point(made.own.sidecar)
    hourly = own.upstream_calls_per_hour.model_copy(update={"busiest": 987.0})
    changed = own.model_copy(update={"upstream_calls_per_hour": hourly})
    points = [changed if one.id == own.id else one for one in made.points]
    html = page(made.model_copy(update={"points": points}))
    assert "sidecars 987 (" in html, "in the explorer's sentence"
    assert ">987<" in html, "in tables"
    curves = json.loads(re.findall(r'id="explorer-data">(.*?)</script>', html)[0])["series"]
    assert next(one for one in curves if one["topology"] == "sidecar")["busiest"][4][3] == 987


def test_lines_left_out_are_listed_once() -> None:
    said = ["12 of 131,000 lines are left out:", "  12 × method POST: not cached"]
    made = predictions.prediction(notes=said)
    html = page(made.model_copy(update={"traffic": made.traffic | {"remarks": said}}))
    assert html.count("lines are left out; “What was in the log” has each kind.") == 1
    assert html.count("method POST: not cached") == 1


def test_every_figure_has_a_table_behind_it(html: str) -> None:
    for section in re.findall(r"<section.*?</section>", html, re.DOTALL):
        if "<figcaption>" in section and 'id="explorer"' not in section:
            assert "<table" in section, section[:200]


def test_described_traffic_without_a_quota_has_a_page_too() -> None:
    made = predictions.prediction(
        described=True, quota=None, memory=[], crossings=[], deployments=[], notes=[]
    )
    html = page(made)
    assert "The traffic" in html
    assert "Hours over the quota" not in html
    assert "Hour by hour" not in html
    assert "Near your settings, the order of the mean latencies does not change" in html


def test_replicas_that_cannot_serve_the_traffic_have_no_latency() -> None:
    html = page(predictions.prediction(rate=30_000.0))
    assert "does not fit" in html
    assert "So few replicas cannot serve the busiest hour." in html


def test_a_grid_of_one_point_has_a_page() -> None:
    made = predictions.prediction()
    series = [
        one.model_copy(
            update={
                field: [[getattr(one, field)[4][3]]]
                for field in (
                    "calls", "quota_calls", "hits", "l1_hits", "delayed", "busiest", "quota_busiest",
                )
            }
        )
        for one in made.grid.series
    ]  # fmt: skip
    grid = made.grid.model_copy(
        update={"ttl_s": [3600.0], "replicas": [6], "requests": [1e5], "hours": [72.0], "series": series}
    )
    assert "1 h" in page(made.model_copy(update={"grid": grid}))


def test_a_month_of_hours_is_folded_into_a_week() -> None:
    html = page(predictions.prediction(days=30))
    assert "of the mean week" in html


def test_the_map_of_links_says_what_the_grid_says_at_each_of_them() -> None:
    made = predictions.prediction()
    rtts, upstreams, found = maps.over_links(made)
    for row, column in ((0, 0), (5, 30), (32, 32), (16, 16)):
        link = Link(float(rtts[column]), float(upstreams[row]))
        assert found[row, column] == pytest.approx(maps.difference(made, grid.own_place(made), link))


def test_curves_beside_the_own_one_are_few() -> None:
    made = predictions.prediction()
    shown = [predictions.REPLICAS[column] for column in curves.counts_shown(made)]
    assert shown[0] == 1
    assert shown[-1] == 16
    assert 6 not in shown
    assert len(shown) <= 4


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (0.5, 0, "1"),
        (2.5, 0, "3"),
        (1234.5, 0, "1,235"),
        (0.125, 2, "0.13"),
        (1e6, 0, "1,000,000"),
        (3, 1, "3.0"),
    ],
)
def test_numbers_are_rounded_half_up(value: float, digits: int, said: str) -> None:
    assert words.rounded(value, digits) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.5, "0.5 s"), (45, "45 s"), (60, "1 min"), (90, "1 min 30 s"), (3600, "1 h"), (7800, "2 h 10 min"),
        (86_400, "24 h"), (172_800, "2 days"), (604_800, "7 days"), (180_000, "2 days 2 h"),
    ],
)  # fmt: skip
def test_durations_are_said_in_two_units_at_most(seconds: float, said: str) -> None:
    assert words.span(seconds) == said
