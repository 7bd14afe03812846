"""``memory://``: a broker of this process, reached by URL."""

import pytest

from hutch.client import Message, NotAllowed, connect
from hutch.fakebroker import Broker, ManualClock


def test_a_url_for_clients_of_this_process() -> None:
    with Broker(clock=ManualClock(), users={"s h/op": "p@ss"}, vhosts=["a/b"]) as broker:
        with connect(broker.memory_url) as connection:
            channel = connection.channel()
            channel.queue_declare("q")
            channel.basic_publish(Message("x"), routing_key="q")
        assert broker.queue("q", vhost="a/b").ready == 1
        assert broker.memory_url == broker.memory_url


def test_brokers_are_not_mixed_up() -> None:
    with Broker() as one, Broker() as other:
        with connect(one.memory_url) as connection:
            connection.channel().queue_declare("q")
        assert one.queue("q").ready == 0
        with pytest.raises(LookupError):
            other.queue("q")


def test_the_path_is_the_virtual_host() -> None:
    with Broker() as broker, pytest.raises(NotAllowed, match="vhost elsewhere not found"):
        connect(f"{broker.memory_url}elsewhere")


def test_a_closed_broker_cannot_be_reached() -> None:
    with Broker() as broker:
        url = broker.memory_url
    with pytest.raises(ConnectionRefusedError, match=r"no broker in this process is named 'broker-\d+'"):
        connect(url)
    with pytest.raises(RuntimeError, match="closed"):
        _ = broker.memory_url
