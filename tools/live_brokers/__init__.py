"""Private live RabbitMQ brokers for the tests: install, start, find and stop them."""
