"""pytest-rabbitmq's fixture on the live RabbitMQ at $RABBITMQ. $RABBITMQCTL cleans behind each test: all queues and
exchanges of the virtual host /.
"""

import os
from pathlib import Path

import pika
import pytest
from pytest_rabbitmq.factories.executor import RabbitMqExecutor

from hutch.wire.url import parse_url

ADDRESS = parse_url(os.environ["RABBITMQ"])[0]


@pytest.fixture(scope="session")
def rabbitmq_proc() -> RabbitMqExecutor:
    """What runs already, in the place of a RabbitMQ that pytest-rabbitmq starts for the session."""
    nowhere = Path(os.devnull)
    arguments = {"logpath": nowhere, "path": nowhere, "plugin_path": nowhere}
    return RabbitMqExecutor("true", ADDRESS.host, ADDRESS.port, 0, os.environ["RABBITMQCTL"], **arguments)


def test_empty() -> None:
    pass


def test_tcp(rabbitmq: pika.BlockingConnection) -> None:
    channel = rabbitmq.channel()
    channel.queue_declare("orders", durable=True)
    channel.basic_publish("", "orders", b"order 17")
    method, _, body = channel.basic_get("orders")
    assert body == b"order 17"
    channel.basic_ack(method.delivery_tag)
