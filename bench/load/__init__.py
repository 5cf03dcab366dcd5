"""The load generator's processes, started and followed."""
