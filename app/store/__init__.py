"""The cache in Redis: the client, connections, and what happens where Redis does not answer."""
