"""Several generators in one trial: what master and workers tell each other. Imports sending."""
