"""What is answered from the cache, what is fetched, and what is stored. Imports store and upstream."""
