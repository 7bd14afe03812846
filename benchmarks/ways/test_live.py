"""A live RabbitMQ, at $RABBITMQ. The test's queue is exclusive, so nothing is left behind."""

import os

import amqp

from hutch.wire.url import parse_url
from ways.steps import one_message

ADDRESS = parse_url(os.environ["RABBITMQ"])[0]


def test_empty() -> None:
    pass


def test_tcp() -> None:
    login = {"userid": ADDRESS.userid, "password": ADDRESS.password, "virtual_host": ADDRESS.virtual_host}
    with amqp.Connection(f"{ADDRESS.host}:{ADDRESS.port}", **login) as connection:
        one_message(connection, amqp.Message(b"order 17"))
