"""What a TTL cache does, by formula: expected upstream calls and hits from a cold or a steady start.

    renewal.py      the renewal process of the fills of one key: mean and variance of their number by a time
    expectation.py  calls, hits and delayed hits of all keys and caches
    variants.py     the same for a scenario's variant, or why there is no prediction

Source: J. Jung, A. W. Berger, H. Balakrishnan, "Modeling TTL-based Internet caches", INFOCOM 2003; for the
steady start D. R. Cox, "Renewal Theory", 1962. Imports `traffic` and `scenarios`.
"""

from reports.theory.expectation import Caches, Expected, calls_by, expected, steady
from reports.theory.variants import calls_of, no_long_run, no_prediction, of_variant, steady_of
from traffic.demand import Demand

__all__ = [
    "Caches",
    "Demand",
    "Expected",
    "calls_by",
    "calls_of",
    "expected",
    "no_long_run",
    "no_prediction",
    "of_variant",
    "steady",
    "steady_of",
]
