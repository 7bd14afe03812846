"""Publishing, getting and answering requests without a client."""

import threading

import pytest

from hutch.client import Channel, Message, ReceivedMessage, connect
from hutch.pytest_plugin import FakeBroker


@pytest.fixture
def channel(fakebroker: FakeBroker) -> Channel:
    channel = fakebroker.connect().channel()
    channel.queue_declare("orders", durable=True, auto_delete=False)
    return channel


class TestPublish:
    def test_json(self, fakebroker: FakeBroker, channel: Channel) -> None:
        assert fakebroker.publish("orders", json={"id": 1}, headers={"x-attempt": 1}, message_id="a") == ["orders"]
        got = channel.basic_get("orders", no_ack=True)
        assert got is not None
        assert got.body == b'{"id": 1}'
        assert got.properties["content_type"] == "application/json"
        assert got.properties["message_id"] == "a"
        assert got.headers == {"x-attempt": 1}

    def test_bytes_and_text(self, fakebroker: FakeBroker, channel: Channel) -> None:
        fakebroker.publish("orders", b"\x00")
        fakebroker.publish("orders", "gr\u00fcn")
        assert [message.body for message in fakebroker.queue("orders").messages] == [b"\x00", "gr\u00fcn".encode()]

    def test_json_null_is_a_body(self, fakebroker: FakeBroker, channel: Channel) -> None:
        fakebroker.publish("orders", json=None)
        assert fakebroker.get("orders").body == b"null"

    def test_to_an_exchange(self, fakebroker: FakeBroker, channel: Channel) -> None:
        channel.queue_bind("orders", "amq.topic", "order.*")
        assert fakebroker.publish("order.created", "one", exchange="amq.topic") == ["orders"]
        (event,) = fakebroker.published("order.created", count=1).events
        assert event.user == "rmq-cli"

    def test_a_consumer_gets_it(self, fakebroker: FakeBroker, channel: Channel) -> None:
        got: list[ReceivedMessage] = []
        channel.basic_consume("orders", callback=got.append)
        fakebroker.publish("orders", "one")
        assert channel.connection is not None
        channel.connection.drain_events(timeout=1)
        assert [message.body for message in got] == [b"one"]

    @pytest.mark.usefixtures("channel")
    def test_what_nobody_gets_is_a_mistake(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(LookupError, match=r"no queue 'order' in vhost '/'; did you mean 'orders'\?"):
            fakebroker.publish("order", "one")
        with pytest.raises(LookupError, match="no exchange 'events' in vhost '/'"):
            fakebroker.publish("order", "one", exchange="events")
        with pytest.raises(LookupError, match=r"no queue gets .* exchange 'amq.topic' with key 'order': no binding"):
            fakebroker.publish("order", "one", exchange="amq.topic")

    @pytest.mark.usefixtures("channel")
    def test_what_is_no_message(self, fakebroker: FakeBroker) -> None:
        with pytest.raises(TypeError, match="either a body or json"):
            fakebroker.publish("orders", "one", json=1)
        with pytest.raises(TypeError, match=r"a body is bytes or text, not \{\}; json="):
            fakebroker.publish("orders", {})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="no basic property is named colour"):
            fakebroker.publish("orders", "one", colour="red")
        with pytest.raises(ValueError, match="ACCESS_REFUSED - cannot publish to internal exchange"):
            fakebroker.publish("orders", "one", exchange="amq.rabbitmq.trace")


def test_a_stopped_broker_does_nothing(fakebroker: FakeBroker, channel: Channel) -> None:
    fakebroker.stop()
    with pytest.raises(RuntimeError, match="the broker is stopped"):
        fakebroker.publish("orders", "one")
    with pytest.raises(RuntimeError, match="the broker is stopped"):
        fakebroker.get("orders")
    fakebroker.start()
    fakebroker.publish("orders", "one")
    fakebroker.close()
    with pytest.raises(RuntimeError, match="the broker is closed"):
        fakebroker.get("orders")


class TestGet:
    def test_the_next_message(self, fakebroker: FakeBroker, channel: Channel) -> None:
        for body in "12":
            channel.basic_publish(Message(body), routing_key="orders")
        assert fakebroker.get("orders").body == b"1"
        queue = fakebroker.queue("orders")
        assert (queue.ready, queue.unacked) == (1, 0)

    def test_of_an_empty_queue(self, fakebroker: FakeBroker, channel: Channel) -> None:
        retry = {"x-message-ttl": 300_000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "orders"}
        channel.queue_declare("orders.wait", durable=True, auto_delete=False, arguments=retry)
        channel.basic_publish(Message(b"one"), routing_key="orders.wait")
        with pytest.raises(LookupError) as failure:
            fakebroker.get("orders")
        assert str(failure.value) == (
            "no message is ready in 'orders'. 1 message waits in 'orders.wait', due in 300 s of the broker's clock: "
            "call clock.advance(minutes=5)."
        )
        fakebroker.clock.advance(minutes=5)
        assert fakebroker.get("orders").headers["x-first-death-reason"] == "expired"

    def test_where_there_is_none(self, fakebroker: FakeBroker, channel: Channel) -> None:
        with pytest.raises(LookupError, match="did you mean 'orders'"):
            fakebroker.get("order")
        channel.queue_declare("log", durable=True, auto_delete=False, arguments={"x-queue-type": "stream"})
        with pytest.raises(ValueError, match="NOT_IMPLEMENTED"):
            fakebroker.get("log")


def body_of(message: ReceivedMessage) -> str:
    return message.body if isinstance(message.body, str) else message.body.decode()


def ask(channel: Channel, body: bytes) -> bytes:
    """A client's request by direct reply-to, and what it gets."""
    got: list[ReceivedMessage] = []
    tag = channel.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=got.append)
    channel.basic_publish(
        Message(body, reply_to="amq.rabbitmq.reply-to", correlation_id=body.decode()), routing_key="orders"
    )
    connection = channel.connection
    assert connection is not None
    while not got:
        connection.drain_events(timeout=5)
    assert isinstance(tag, str)
    channel.basic_cancel(tag)
    assert got[0].properties["correlation_id"] == body.decode()
    assert isinstance(got[0].body, bytes)
    return got[0].body


class TestReplyTo:
    def test_in_process_and_over_tcp(self, fakebroker: FakeBroker, channel: Channel) -> None:
        fakebroker.reply_to("orders", lambda request: {"echo": body_of(request)})
        assert ask(channel, b"one") == b'{"echo": "one"}'
        with connect(fakebroker.url) as connection, connection.channel() as other:
            assert ask(other, b"two") == b'{"echo": "two"}'
        fakebroker.wait_until(lambda: fakebroker.acked(queue="orders", count=2))

    @pytest.mark.parametrize(("answer", "body"), [(b"\x00", b"\x00"), ("text", b"text"), ([1], b"[1]")])
    def test_bodies(self, fakebroker: FakeBroker, channel: Channel, answer: object, body: bytes) -> None:
        fakebroker.reply_to("orders", lambda _: answer)
        assert ask(channel, b"one") == body

    def test_the_function_may_use_the_broker(self, fakebroker: FakeBroker, channel: Channel) -> None:
        fakebroker.reply_to("orders", lambda _: len(fakebroker.published("orders")))
        assert ask(channel, b"one") == b"1"

    def test_no_answer(self, fakebroker: FakeBroker, channel: Channel) -> None:
        fakebroker.reply_to("orders", lambda _: None)
        fakebroker.publish("orders", "one")
        fakebroker.wait_until(lambda: fakebroker.acked(queue="orders", count=1))
        fakebroker.published.never(lambda key: key != "orders")

    def test_a_function_that_raises(
        self, fakebroker: FakeBroker, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reported: list[threading.ExceptHookArgs] = []
        monkeypatch.setattr(threading, "excepthook", reported.append)
        fakebroker.reply_to("orders", lambda request: 1 / len(request.body))
        fakebroker.publish("orders", reply_to="a")
        fakebroker.wait_until(lambda: fakebroker.nacked(queue="orders", count=1) and reported)
        assert reported[0].exc_type is ZeroDivisionError
        fakebroker.publish("orders", "longer", reply_to="nobody")
        fakebroker.wait_until(lambda: fakebroker.acked(queue="orders", count=1))

    def test_its_thread_ends_with_the_broker(self) -> None:
        before = threading.active_count()
        with FakeBroker() as broker:
            broker.connect().channel().queue_declare("rpc")
            broker.reply_to("rpc", lambda _: None)
            assert threading.active_count() == before + 1
        assert threading.active_count() == before
