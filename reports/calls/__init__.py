"""Upstream calls per hour at the workload's own rate: computed, measured, and whether the two agree.

    longrun.py    what a variant does in the long run, by formula or by simulation
    counting.py   the interval of a number of calls, few or many
    hourly.py     both of a variant, side by side
    model.py      the same as summary.json has it
    sentences.py  in words
    tables.py     in the report's tables
    quota.py      what an hourly quota allows
    outlook.py    what a scenario's trials cannot show, before they are run

Nothing is extrapolated that was not stationary: a cold start is never multiplied up to an hour. Imports
`reports` (statistics, theory, measures), `simulation` and `scenarios`; `reports` above it may import it.
"""
