from __future__ import annotations

from pathlib import Path
from typing import Any

import browsing
import pytest

import reports

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> Any:
    yield from browsing.launched()


@pytest.fixture
def report(made_up: Any, request: pytest.FixtureRequest) -> Path:
    run = made_up(**request.param)
    reports.write(run)
    return Path(run) / "report.html"


RUNS = {
    "two variants": {},
    "a sweep": {
        "topology": ["sidecar", "separate", "none"],
        "cache": {"ttl": [2, 8]},
        "schedule": {"warmup": 1, "duration": 4, "blocks": 3},
    },
}


@pytest.mark.parametrize("report", RUNS.values(), ids=RUNS.keys(), indirect=True)
def test_the_report_in_a_real_browser(browser: Any, report: Path) -> None:
    browsing.look(browser, report)
