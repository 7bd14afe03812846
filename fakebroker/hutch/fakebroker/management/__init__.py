"""RabbitMQ's management API (https://www.rabbitmq.com/docs/http-api-reference) for a broker."""
