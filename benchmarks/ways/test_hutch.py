"""hutch: a broker for each test, and one for all."""

import amqp

from hutch.client import Message
from hutch.pytest_plugin import FakeBroker
from ways.steps import one_message


def test_empty() -> None:
    pass


def test_in_process(fakebroker: FakeBroker) -> None:
    one_message(fakebroker.connect(), Message(b"order 17"))


def test_in_process_session(fakebroker_session: FakeBroker) -> None:
    one_message(fakebroker_session.connect(), Message(b"order 17"))


def test_tcp(fakebroker: FakeBroker) -> None:
    with amqp.Connection(fakebroker.url.split("@")[1].rstrip("/")) as connection:
        one_message(connection, amqp.Message(b"order 17"))


def test_tcp_session(fakebroker_session: FakeBroker) -> None:
    with amqp.Connection(fakebroker_session.url.split("@")[1].rstrip("/")) as connection:
        one_message(connection, amqp.Message(b"order 17"))
