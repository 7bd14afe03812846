"""Definitions: what a broker has but for messages and connections, in the JSON of RabbitMQ's files
(https://www.rabbitmq.com/docs/definitions).
"""
