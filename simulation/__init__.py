"""Caches in virtual time: which requests hit, how many upstream calls they cause. Pure.

Imports `traffic` and `scenarios` alone; `loadtests`, `compose`, `reports` and `bench` may import it.
"""
