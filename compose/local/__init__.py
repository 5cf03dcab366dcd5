"""The embedded stack: each variant as local processes. Imports host and link, and what stacks share."""
