"""A real browser for tests that look at pages, and what they look for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def launched() -> Iterator[Any]:
    """Yield a headless Chromium; skip the test, or fail it where CI asks for that, if there is none."""
    if CHROMIUM is None:
        reason = "no Chromium on PATH: apt-get install chromium, to look at the report in a browser"
        if os.environ.get("SIDECAR_BENCH_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def look(browser: Any, file: Path) -> None:
    """Open a page wide, narrow, light and dark: it is silent, asks for nothing, fits and is legible."""
    for width in (1280, 400):
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            said: list[str] = []
            asked: list[str] = []
            page.on("console", lambda message, said=said: said.append(message.text))
            page.on("pageerror", lambda error, said=said: said.append(str(error)))
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(file.as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert said == []
            assert [url for url in asked if url not in (file.as_uri(), "data:,")] == []
            nothing_is_cut_off(page, width)
            contrast_is_legible(page)
            page.close()


def nothing_is_cut_off(page: Any, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """() => [...document.querySelectorAll('body *')].filter(element => {
            const box = element.getBoundingClientRect();
            if (!box.width || element.closest('.scroll, pre, .unseen, thead')) return false;
            return box.right > document.documentElement.clientWidth + 0.5 || box.left < -0.5;
        }).map(element => element.outerHTML.slice(0, 120))"""
    )
    assert outside == []
    # What a table cannot show it must let be scrolled to, by keyboard as well.
    assert page.evaluate(
        """() => [...document.querySelectorAll('.scroll')].every(
            box => getComputedStyle(box).overflowX === 'auto' && box.tabIndex === 0)"""
    )
    sizes = page.evaluate(
        """() => [...document.querySelectorAll('figure svg')].filter(svg => svg.getBoundingClientRect().width)
            .map(svg => 12 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"""
    )
    assert sizes
    assert min(sizes) >= 11, "the text of a figure is shrunk"


def contrast_is_legible(page: Any) -> None:
    """Text must stand out from the paper by the 4.5 to 1 of WCAG 2.2, criterion 1.4.3."""
    pairs = page.evaluate(
        """() => {
            const paper = getComputedStyle(document.body).backgroundColor;
            const texts = document.querySelectorAll('p, td span, th, h1, h2, figcaption, svg text');
            return [...texts].map(text => {
                const style = getComputedStyle(text);
                return [text.closest('svg') ? style.fill : style.color, paper];
            });
        }"""
    )
    for text, paper in {tuple(pair) for pair in pairs}:
        lighter, darker = sorted((_luminance(text), _luminance(paper)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, paper)


def _luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
