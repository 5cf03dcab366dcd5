"""Which requests: arrivals, keys, routing and access logs. Pure: no network, no Locust.

Imports `scenarios` alone; `simulation`, `loadtests`, `compose`, `reports` and `bench` may import it.
"""
