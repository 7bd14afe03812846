"""Erlang in RabbitMQ's answers: how it prints, orders and hashes terms, and its regular expressions."""
