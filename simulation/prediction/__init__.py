"""Predictions: what caches do with days of requests, in virtual time, for many settings at once.

    stream.py    the requests: of a log, or drawn
    routing.py   which replica each request goes to
    life.py      deployments and crashes: when a cache begins empty again
    counting.py  calls and hits by TTL and hour, of one topology with one number of replicas
    kernels.py   the loop that counts them, compiled

Caches without a limit of memory are counted key by key, for all TTLs at once. Imports `simulation`, `traffic`
and `scenarios`.
"""
