"""A run, from its request to its end: checked, begun, held, told. Imports run, events, load, targets."""
