"""The explorer in a real browser: what it says is what Python says of the same point."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import browsing
import predictions
import pytest

from reports.prediction import explorer
from reports.prediction.explorer import Setting
from reports.prediction.grid import At, Link
from reports.prediction.model import Prediction
from reports.prediction.page import page as rendered

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SLIDERS = ("ttl", "replicas", "rtt", "upstream", "quota")


@pytest.fixture(scope="module")
def browser() -> Any:
    yield from browsing.launched()


def written(folder: Path, made: Prediction) -> Path:
    file = folder / "prediction.html"
    file.write_text(rendered(made), encoding="utf-8")
    return file


def opened(browser: Any, file: Path, **context: Any) -> Any:
    page = browser.new_context(**context).new_page()
    page.goto(file.as_uri())
    return page


def move(page: Any, stops: dict[str, int]) -> None:
    for name, stop in stops.items():
        page.locator(f"#slide-{name}").evaluate(
            "(slider, stop) => { slider.value = stop; slider.dispatchEvent(new Event('input')); }", str(stop)
        )


def setting_of(made: Prediction, stops: dict[str, int]) -> Setting:
    given = explorer.data(made)
    return Setting(
        At(stops["ttl"], stops["replicas"]),
        Link(given["rtt_ms"][stops["rtt"]], given["upstream_ms"][stops["upstream"]]),
        given["quota"][stops["quota"]],
    )


@pytest.mark.parametrize("rate", [0.5, 80.0, 9000.0])
def test_the_script_says_what_python_says(browser: Any, tmp_path: Path, rate: float) -> None:
    made = predictions.prediction(rate=rate, quota=777)
    page = opened(browser, written(tmp_path, made))
    given, draw = explorer.data(made), random.Random(rate)
    ends = {name: int(page.get_attribute(f"#slide-{name}", "max")) for name in SLIDERS}
    assert ends["ttl"] == len(given["ttl_s"]) - 1
    said = set()
    for _ in range(60):
        stops = {name: draw.randint(0, end) for name, end in ends.items()}
        move(page, stops)
        expected = explorer.sentence(made, setting_of(made, stops))
        assert page.text_content("[data-sentence]") == expected, stops
        said.add(expected)
    assert len(said) > 30, "different settings say different things"


def test_it_begins_at_the_readers_own_setting_and_goes_back_to_it(browser: Any, tmp_path: Path) -> None:
    made = predictions.prediction()
    page = opened(browser, written(tmp_path, made))
    own = explorer.sentence(made, explorer.own_setting(made))
    assert page.text_content("[data-sentence]") == own
    move(page, {"ttl": 0, "quota": 0})
    assert page.text_content("[data-sentence]") != own
    page.get_by_role("button", name="Back to your setting").click()
    assert page.text_content("[data-sentence]") == own


def test_keys_move_it_and_what_it_is_at_is_told(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, written(tmp_path, predictions.prediction()))
    slider = page.get_by_label("TTL", exact=True)
    slider.focus()
    assert slider.get_attribute("aria-valuetext") == "1 h"
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "2 h"
    assert "a TTL of 2 h" in page.text_content("[data-sentence]")
    page.keyboard.press("Home")
    assert "a TTL of 1 min" in page.text_content("[data-sentence]")


def test_curves_and_table_follow_the_sliders(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, written(tmp_path, predictions.prediction()))

    def drawn() -> list[str]:
        return page.evaluate(
            "[...document.querySelectorAll('#explorer polyline')].map(line => line.getAttribute('points'))"
        )

    before, row = drawn(), page.text_content("#explorer tbody tr:nth-child(2)")
    assert len(before) == 9, "three curves of three topologies"
    assert all(before)
    move(page, {"replicas": 0, "rtt": 0})
    assert drawn() != before
    assert page.text_content("#explorer tbody tr:nth-child(2)") != row


def test_without_a_script_the_page_is_whole_and_hides_it(browser: Any, tmp_path: Path) -> None:
    made = predictions.prediction()
    page = opened(browser, written(tmp_path, made), java_script_enabled=False)
    assert not page.locator("#explorer").is_visible()
    assert page.locator("h1").is_visible()
    assert page.locator("figure:visible").count() >= 6


@pytest.mark.parametrize("described", [False, True])
def test_the_page_in_a_real_browser(browser: Any, tmp_path: Path, described: bool) -> None:
    browsing.look(browser, written(tmp_path, predictions.prediction(described=described)))


@pytest.mark.parametrize("width", [320, 360, 540, 721, 900, 1600])
def test_nothing_overflows_at_any_width(browser: Any, tmp_path: Path, width: int) -> None:
    page = opened(
        browser, written(tmp_path, predictions.prediction()), viewport={"width": width, "height": 800}
    )
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_printed_it_is_light_and_its_tables_are_open(browser: Any, tmp_path: Path) -> None:
    file = written(tmp_path, predictions.prediction())
    page = opened(browser, file, color_scheme="dark", viewport={"width": 720, "height": 1000})
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") in (
        "rgb(255, 255, 255)",
        "rgb(252, 252, 250)",
    )
    assert not page.get_by_label("TTL", exact=True).is_visible()


def test_headings_descend_by_one_and_controls_are_named(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, written(tmp_path, predictions.prediction()))
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for name in ("TTL", "Replicas", "Round trip to a separate Redis", "Upstream latency", "Quota"):
        assert page.get_by_role("slider", name=name).count() == 1, name
    assert page.evaluate("document.documentElement.lang") == "en"
    unnamed = page.evaluate(
        "[...document.querySelectorAll('figure, .scroll, .card')]"
        ".filter(one => !one.getAttribute('aria-label')).length"
    )
    assert unnamed == 0
