"""The load by hand: Locust's own page has a field for whatever a workload says."""

from __future__ import annotations

import subprocess
import sys


def test_locust_s_page_has_fields_for_the_load() -> None:
    # In a process of its own: importing Locust patches the standard library.
    listed = (
        "from locust.argument_parser import get_empty_argument_parser as made;"
        "from loadtests import locustfile; parser = made(); locustfile.add_arguments(parser);"
        "print(*parser.args_included_in_web_ui)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", listed], capture_output=True, text=True, timeout=60, check=False
    )
    fields = set(ended.stdout.split())
    assert {"rate", "arrivals", "keys", "exponent", "access_log", "speedup", "seed"} <= fields, ended.stderr
