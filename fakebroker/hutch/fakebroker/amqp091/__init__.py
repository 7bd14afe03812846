"""AMQP 0-9-1 in front of the engine: what its methods ask for becomes calls of the engine, which knows none of them."""
