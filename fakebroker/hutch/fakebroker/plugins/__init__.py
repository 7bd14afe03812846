"""RabbitMQ's plugins: the event exchange, the firehose, and the exchange types of plugins."""
