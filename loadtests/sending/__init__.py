"""Requests sent when they are due: the open loop, its client and timers, and the rows that it records."""
