"""The client and the emulated broker together, in-process and over TCP."""

from collections.abc import Callable, Iterator

import pytest

from hutch.client import (
    Channel,
    ChannelError,
    Connection,
    ConnectionForced,
    ConsumerCancelled,
    Message,
    NotFound,
    PreconditionFailed,
    RecoverableConnectionError,
    connect,
)
from hutch.fakebroker.broker import Broker
from hutch.fakebroker.clocks import ManualClock

Connect = Callable[..., Connection]


def in_process(broker: Broker, **parameters: object) -> Connection:
    connection = Connection(transport=broker.transport, **parameters)  # type: ignore[arg-type]
    connection.connect()
    return connection


def over_tcp(broker: Broker, **parameters: object) -> Connection:
    return connect(broker.url, **{"connect_timeout": 5, "read_timeout": 5, **parameters})


@pytest.fixture(params=["4.3", "3.10"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with Broker(profile=request.param) as broker:
        yield broker


@pytest.fixture(params=[in_process, over_tcp])
def connection(request: pytest.FixtureRequest, broker: Broker) -> Iterator[Connection]:
    connection: Connection = request.param(broker)
    yield connection
    connection.close()


@pytest.fixture
def channel(connection: Connection) -> Channel:
    return connection.channel()


def test_there_and_back(connection: Connection, channel: Channel) -> None:
    channel.exchange_declare("orders", "topic", auto_delete=False, durable=True)
    channel.queue_declare("new", auto_delete=False, durable=True)
    channel.queue_bind("new", "orders", "order.#")
    channel.basic_publish(
        Message(b"1", message_id="m", application_headers={"a": [1, None]}), "orders", "order.created"
    )
    got: list[Message] = []

    def take(message: Message) -> None:
        got.append(message)
        channel.basic_ack(message.delivery_tag or 0)

    tag = channel.basic_consume("new", callback=take)
    while not got:
        connection.drain_events(timeout=5)
    channel.basic_cancel(tag)
    assert got[0].properties == {"message_id": "m", "application_headers": {"a": [1, None]}}
    assert got[0].delivery_info is not None
    assert got[0].delivery_info["routing_key"] == "order.created"
    assert channel.queue_declare("new", passive=True) == ("new", 0, 0)


@pytest.mark.parametrize("size", [0, 1, 131064, 131065, 1000000])
def test_large_and_small(channel: Channel, size: int) -> None:
    channel.queue_declare("q", auto_delete=False)
    body = bytes(range(256)) * (size // 256 + 1)
    channel.basic_publish_confirm(Message(body[:size]), routing_key="q")
    message = channel.basic_get("q", no_ack=True)
    assert message is not None
    assert message.body == body[:size]
    assert channel.basic_get("q") is None


def test_many_messages(connection: Connection, channel: Channel) -> None:
    channel.queue_declare("q", auto_delete=False)
    for number in range(500):
        channel.basic_publish(Message(str(number).encode()), routing_key="q")
    got: list[str | bytes] = []
    channel.basic_consume("q", no_ack=True, callback=lambda message: got.append(message.body))
    while len(got) < 500:
        connection.drain_events(timeout=5)
    assert got == [str(number).encode() for number in range(500)]


def test_errors_and_going_on(connection: Connection, channel: Channel) -> None:
    with pytest.raises(NotFound, match=r"Queue.declare: \(404\) NOT_FOUND - no queue 'q' in vhost '/'"):
        channel.queue_declare("q", passive=True)
    channel.queue_declare("q", auto_delete=False)
    with pytest.raises(PreconditionFailed, match="inequivalent arg 'durable'"):
        channel.queue_declare("q", auto_delete=False, durable=True)
    channel.basic_publish(Message(b"x"), "missing")
    with pytest.raises(NotFound, match=r"Basic.publish"):
        connection.drain_events(timeout=5)
    channel.basic_ack(99)
    with pytest.raises(PreconditionFailed, match="unknown delivery tag 99"):
        connection.drain_events(timeout=5)
    with pytest.raises(ChannelError, match="NO_ROUTE"):
        channel.basic_publish_confirm(Message(b"x"), routing_key="nowhere", mandatory=True)
    assert channel.queue_delete("q") == 0


def test_the_broker_cancels(connection: Connection, channel: Channel) -> None:
    channel.queue_declare("q", auto_delete=False)
    channel.basic_consume("q", callback=lambda _: None)
    connection.channel().queue_delete("q")
    with pytest.raises(ConsumerCancelled):
        connection.drain_events(timeout=5)


def test_unacknowledged_messages_go_back(connection: Connection, channel: Channel) -> None:
    channel.queue_declare("q", auto_delete=False)
    channel.basic_publish_confirm(Message(b"x"), routing_key="q")
    first = channel.basic_get("q")
    assert first is not None
    channel.close()
    other = connection.channel()
    again = other.basic_get("q")
    assert again is not None
    assert again.delivery_info is not None
    assert again.delivery_info["redelivered"]


def test_a_callback_that_publishes_with_confirm(broker: Broker) -> None:
    connection = in_process(broker, confirm_publish=True)
    channel = connection.channel()
    channel.queue_declare("in", auto_delete=False)
    channel.queue_declare("out", auto_delete=False)
    for number in range(1200):
        channel.basic_publish(Message(str(number).encode()), routing_key="in")

    def forward(message: Message) -> None:
        channel.basic_publish(message, routing_key="out")
        channel.basic_ack(message.delivery_tag or 0)

    channel.basic_consume("in", callback=forward)
    while broker.queue("out").ready < 1200:
        connection.drain_events(timeout=5)
    connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("how", [in_process, over_tcp])
def test_the_broker_goes_down(broker: Broker, how: Connect) -> None:
    connection = how(broker)
    channel = connection.channel()
    broker.close()
    with pytest.raises(ConnectionForced):
        channel.queue_declare("q")
    assert not connection.connected
    with pytest.raises(RecoverableConnectionError):
        channel.queue_declare("q")
    connection.close()


def test_time_by_hand() -> None:
    clock = ManualClock()
    with Broker(clock=clock) as broker, in_process(broker, heartbeat=10) as connection:
        channel = connection.channel()
        before = clock.monotonic()
        channel.queue_declare("delayed", auto_delete=False, arguments={"x-message-ttl": 60000})
        channel.basic_publish(Message(b"x"), routing_key="delayed")
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=300)
        assert clock.monotonic() == before + 300
        assert connection.connected
        assert channel.queue_declare("delayed", passive=True) == ("delayed", 0, 0)
