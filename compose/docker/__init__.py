"""The Docker stack: each variant as containers. Imports host and link, and what stacks share."""
