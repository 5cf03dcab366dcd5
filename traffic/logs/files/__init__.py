"""The files that a log is in: which they are, and their bytes as lines, packed or not."""
