"""The state of a node as data: what is dumped, and loaded again."""
