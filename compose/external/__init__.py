"""Running services: nothing is deployed, only called and asked for their counts."""
