"""Exchanges and the types of AMQP."""
