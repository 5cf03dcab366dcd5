"""What a run tells while it is under way: events, their file, its readers. Imports `bench.store` alone."""
