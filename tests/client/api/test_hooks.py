"""What lies below the methods with names: promises, methods by their ids, frames. On every target.

Where py-amqp can reach the target too, it has to give the same results.
"""

from collections.abc import Callable
from typing import Any

import amqp
import amqp.method_framing
import pytest

from hutch.client import (
    Channel,
    Connection,
    ConnectionForced,
    FrameSyntaxError,
    Message,
    NotAllowed,
    NotFound,
    RecoverableConnectionError,
    promise,
    spec,
)
from hutch.client.method_framing import OnFrame, OnMethod, WriteFrame, frame_handler, frame_writer
from hutch.client.serialization import dumps, loads
from hutch.wire.frames import Frame
from hutch.wire.url import parse_url
from tests.client.api.reference import shows
from tests.client.api.steps import drain_until
from tests.client.api.test_threads import in_threads
from tests.targets import PATIENCE, Target


def same_as_py_amqp(target: Target, steps: Callable[[Any, type], object]) -> object:
    """What ``steps`` return, given an open connection and the class of messages; py-amqp has to return the same."""
    mine = steps(target.connect(), Message)
    (address,) = parse_url(target.url)
    if address.scheme == "amqp":
        theirs = amqp.Connection(
            f"{address.host}:{address.port}",
            address.userid,
            address.password,
            virtual_host=address.virtual_host,
            connect_timeout=PATIENCE,
        )
        theirs.connect()
        try:
            assert mine == steps(theirs, amqp.Message)
        finally:
            theirs.collect()
    return mine


# methods by their ids


@shows(
    "Channel.send_method(sig, format, args, content, wait, callback, returns_tuple)",
    "Channel.wait(method, callback, timeout, returns_tuple)",
)
def test_a_session_by_ids(target: Target) -> None:
    """Declare, publish, confirm, get, purge, all by ids."""
    queue = target.name("ids")

    def steps(connection: Any, message_class: type) -> list[object]:
        channel = connection.channel()
        send, seen = channel.send_method, []
        declare = (0, queue, False, False, True, False, False, {"x-max-length": 9})
        seen.append(send(spec.Queue.Declare, "BsbbbbbF", declare, wait=spec.Queue.DeclareOk, returns_tuple=True))
        seen.append(send(spec.Confirm.Select, "b", (False,), wait=spec.Confirm.SelectOk))
        publish = (0, "", queue, True, False)
        sent = send(
            spec.Basic.Publish,
            "Bssbb",
            publish,
            message_class(b"hello", priority=3),
            callback=lambda: seen.append("sent"),
        )
        seen.append(sent.ready)
        seen.append(channel.wait([spec.Basic.Ack, spec.Basic.Nack], timeout=PATIENCE, returns_tuple=True))
        send(spec.Basic.Publish, "Bssbb", publish, message_class(b"again"))
        seen.append(channel.wait(spec.Basic.Ack, callback=lambda *arguments: seen.append(arguments)))
        either = [spec.Basic.GetOk, spec.Basic.GetEmpty]
        *got, message = send(spec.Basic.Get, "Bsb", (0, queue, True), wait=either, returns_tuple=True)
        seen += [got, message.body, message.properties]
        seen.append(send(spec.Queue.Purge, "Bsb", (0, queue, False), wait=spec.Queue.PurgeOk))
        seen.append(send(spec.Basic.Get, "Bsb", (0, queue, True), wait=either, returns_tuple=True))
        seen.append(send(spec.Queue.Delete, "Bsbbb", (0, queue, False, False, False), wait=spec.Queue.DeleteOk))
        seen.append(send(spec.Channel.Close, "BsBB", (0, "", 0, 0), wait=spec.Channel.CloseOk))
        connection.close()
        return seen

    assert same_as_py_amqp(target, steps) == [
        (queue, 0, 0),
        (),
        "sent",
        True,
        (1, False),
        (spec.Basic.Ack, 2, False),
        (),
        [1, False, "", queue, 1],
        b"hello",
        {"priority": 3},
        1,
        ("",),
        0,
        (),
    ]


def test_waiting_for_deliveries_and_returns(target: Target) -> None:
    queue = target.name("ids")

    def steps(connection: Any, message_class: type) -> list[object]:
        channel = connection.channel()
        channel.events["basic_return"].add(lambda *_: None)
        channel.queue_declare(queue, exclusive=True)
        channel.basic_consume(queue, "tag", callback=lambda _: None, no_ack=True)
        channel.basic_publish(message_class(b"1"), routing_key=queue)
        *delivered, message = channel.wait(spec.Basic.Deliver, returns_tuple=True)
        channel.basic_publish(message_class(b"2"), routing_key=target.name("nowhere"), mandatory=True)
        code, text, exchange, _, returned = channel.wait(spec.Basic.Return, returns_tuple=True)
        seen = [*delivered, message.body, code, text, exchange, returned.body]
        channel.basic_cancel("tag")
        # otherwise 4.3 may keep the name of an exclusive queue for a moment after close-ok
        channel.queue_delete(queue)
        connection.close()
        return seen

    assert same_as_py_amqp(target, steps) == ["tag", 1, False, "", queue, b"1", 312, "NO_ROUTE", "", b"2"]


def test_ids_and_names_share_one_order(target: Target, channel: Channel, queue: str) -> None:
    for body in (b"1", b"2", b"3"):
        channel.basic_publish(Message(body), routing_key=queue)
    channel.send_method(spec.Queue.Purge, "Bsb", (0, queue, False))
    declared = channel.queue_declare(queue, passive=True)
    assert declared is not None
    assert declared.message_count == 0
    channel.send_method(spec.Queue.Purge, "Bsb", (0, queue, False))
    assert channel.queue_delete(queue) == 0
    with pytest.raises(TimeoutError):
        channel.wait(spec.Queue.PurgeOk, timeout=0.01)  # the answer arrived during another wait


def test_threads_get_their_own_answers_by_ids(target: Target, connection: Connection) -> None:
    channel = connection.channel()

    def declare(number: int) -> None:
        for count in range(20):
            name = target.name(f"ids-{number}-{count}")
            arguments = (0, name, False, False, True, True, False, None)
            declared = channel.send_method(spec.Queue.Declare, "BsbbbbbF", arguments, wait=spec.Queue.DeclareOk)
            assert declared == name

    in_threads(4, declare)


def test_errors_by_ids(target: Target, channel: Channel) -> None:
    arguments: tuple[Any, ...] = (0, target.name("missing"), True, False, False, False, False, {})
    with pytest.raises(NotFound, match=r"^Queue.declare: \(404\) NOT_FOUND - no queue"):
        channel.send_method(spec.Queue.Declare, "BsbbbbbF", arguments, wait=spec.Queue.DeclareOk)
    assert channel.is_open
    with pytest.raises(FrameSyntaxError):
        channel.send_method(spec.Queue.Declare, "BsbbbbbF", (0, "q"))
    with pytest.raises(TimeoutError, match=r"basic.nack"):
        channel.wait(spec.Basic.Nack, timeout=0.01)


@shows(
    "Connection.send_method(sig, format, args, content, wait, callback, returns_tuple)",
    "Connection.wait(method, callback, timeout, returns_tuple)",
)
def test_the_connection_by_ids(target: Target) -> None:
    def steps(connection: Any, _: type) -> list[object]:
        with pytest.raises(TimeoutError):
            connection.wait([spec.Connection.Blocked], callback=None, timeout=0.01, returns_tuple=True)
        called: list[object] = []
        close = (0, "", 0, 0)
        answer = connection.send_method(
            spec.Connection.Close,
            "BsBB",
            args=close,
            content=None,
            wait=spec.Connection.CloseOk,
            callback=lambda: called.append("sent"),
            returns_tuple=True,
        )
        return [answer, called, bool(connection.connected)]

    assert same_as_py_amqp(target, steps) == [(), ["sent"], False]


@shows(
    "Channel.dispatch_method(method_sig, payload, content)", "Connection.dispatch_method(method_sig, payload, content)"
)
def test_taking_methods_by_ids(target: Target) -> None:
    def steps(connection: Any, message_class: type) -> list[object]:
        channel = connection.channel()
        seen: list[Any] = []
        channel.basic_consume(channel.queue_declare(exclusive=True).queue, "tag", callback=seen.append)
        deliver = b"\0\x3c\0\x3c" + dumps("sLbss", ("tag", 9, True, "x", "k"))
        channel.dispatch_method(spec.Basic.Deliver, deliver, message_class("é", content_encoding="utf-8"))
        channel.events["basic_ack"].add(lambda *arguments: seen.append(arguments))
        channel.dispatch_method(spec.Basic.Ack, b"\0\x3c\0\x50" + dumps("Lb", (5, True)), None)
        message, ack = seen
        return [message.body, message.delivery_info, message.channel is channel, ack]

    how = {"consumer_tag": "tag", "delivery_tag": 9, "redelivered": True, "exchange": "x", "routing_key": "k"}
    assert same_as_py_amqp(target, steps) == ["é", how, True, (5, True)]
    connection = target.connect()
    close = dumps("BsBB", (320, "CONNECTION_FORCED - by a test", 0, 0))
    with pytest.raises(ConnectionForced, match="by a test"):
        connection.dispatch_method(spec.Connection.Close, b"\0\x0a\0\x32" + close, None)
    assert not connection.connected


# promises


@shows("Connection.then(on_success, on_error)")
def test_then_on_a_connection(target: Target) -> None:
    opened: list[object] = []
    errors: list[BaseException] = []
    connection = target.connection(on_tune_ok=promise(opened.append))
    connection.then(lambda one: opened.append(("then", one)), errors.append)
    assert opened == []
    connection.connect()
    connection.then(lambda one: opened.append(("late", one)))
    assert opened == [connection, ("then", connection), ("late", connection)]
    assert not errors

    chained = target.connection(on_open=lambda one: ("opened", one))
    chained.then(opened.append)
    chained.connect()
    assert opened.pop() == ("opened", chained)

    refused = target.connection(virtual_host=target.name("no-such-vhost"))
    refused.then(opened.append, errors.append)
    with pytest.raises(NotAllowed) as caught:
        refused.connect()
    assert errors == [caught.value]
    assert len(opened) == 3


@shows("Channel.then(on_success, on_error)")
def test_then_on_a_channel(connection: Connection) -> None:
    opened: list[object] = []
    channel = connection.channel(callback=promise(lambda one: opened.append(one) or "opened"))  # type: ignore[func-returns-value]
    channel.then(lambda one: opened.append(("then", one)), opened.append)
    assert opened == [channel, ("then", "opened")]
    connection.channel().then(opened.append)
    assert isinstance(opened[-1], Channel)
    errors: list[BaseException] = []
    connection.close()
    late = promise(pytest.fail, on_error=errors.append)
    with pytest.raises(RecoverableConnectionError):
        connection.channel(callback=late)
    assert not late.ready


@shows("Channel.method_queue", "Connection.method_queue", "Channel.returned_messages")
def test_what_is_never_used(connection: Connection, channel: Channel) -> None:
    assert connection.method_queue == channel.method_queue == []
    assert channel.returned_messages.empty()


# frames


class Trace:
    """A frame handler and a frame writer that note what passes them: methods by their ids, heartbeats by ``None``."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.received: list[Frame] = []
        self.sent: list[Any] = []
        self.messages: list[Any] = []

    def handler(self, connection: Connection, callback: OnMethod) -> OnFrame:
        on_frame = self.module.frame_handler(connection, callback)

        def take(frame: Frame) -> bool:
            self.received.append(frame)
            return bool(on_frame(frame))

        return take

    def writer(self, connection: Connection, transport: Any) -> WriteFrame:
        write_frame = self.module.frame_writer(connection, transport)

        def write(kind: int, channel: int, sig: Any, args: Any, content: Any) -> None:
            self.sent.append(sig)
            if content is not None:
                self.messages.append(content)
            write_frame(kind, channel, sig, args, content)

        return write

    def methods_received(self) -> list[Any]:
        return [loads("BB", payload, 0)[0] for kind, _, payload in self.received if kind == 1]


class Mine:
    frame_handler = staticmethod(frame_handler)
    frame_writer = staticmethod(frame_writer)


@shows(
    "Connection.__init__(frame_handler, frame_writer)",
    "Connection.on_inbound_frame",
    "Connection.on_inbound_method",
    "Connection.frame_writer",
)
@pytest.mark.parametrize("module", [Mine, amqp.method_framing], ids=["own", "py-amqp's"])
def test_a_whole_session_passes_them(target: Target, module: Any) -> None:
    trace = Trace(module)
    connection = target.connect(
        frame_handler=trace.handler, frame_writer=trace.writer, confirm_publish=True, heartbeat=60
    )
    channel = connection.channel()
    queue = target.name("traced")
    channel.queue_declare(queue, exclusive=True)
    got: list[Message] = []
    channel.basic_consume(queue, callback=got.append)
    large = b"x" * 300_000
    channel.basic_publish(Message("é", application_headers={"a": [1, None]}), routing_key=queue)
    channel.basic_publish(Message(large, delivery_mode=2), routing_key=queue)
    drain_until(connection, lambda: len(got) == 2)
    assert [message.body for message in got] == ["é", large]
    assert got[0].headers == {"a": [1, None]}
    channel.basic_ack(got[1].delivery_tag or 0, multiple=True)
    connection.send_heartbeat()
    connection.frame_writer(8, 0, None, None, None)
    assert connection.on_inbound_frame((8, 0, b"")) is False
    with pytest.raises(NotFound):
        channel.exchange_declare(target.name("missing"), "direct", passive=True)
    channel.close()
    connection.close()

    basic, steps = spec.Basic, spec.Connection
    assert trace.sent == [
        *[steps.StartOk, steps.TuneOk, steps.Open, spec.Channel.Open, spec.Queue.Declare, basic.Consume],
        *[spec.Confirm.Select, basic.Publish, basic.Publish, basic.Ack, None, None],
        *[spec.Exchange.Declare, spec.Channel.CloseOk, spec.Channel.Open, spec.Channel.Close, steps.Close],
    ]
    assert [message.body for message in trace.messages] == ["é".encode(), large]
    received = trace.methods_received()
    assert [list(steps.Start), list(steps.Tune), list(steps.OpenOk)] == received[:3]
    assert received[-3:] == [list(spec.Channel.OpenOk), list(spec.Channel.CloseOk), list(steps.CloseOk)]
    assert received.count(list(basic.Deliver)) == 2
    assert received.count(list(spec.Channel.Close)) == 1
    assert sum(len(payload) for kind, _, payload in trace.received if kind == 3) == len("é".encode()) + len(large)


def test_they_may_be_set_while_it_is_open(connection: Connection, channel: Channel, queue: str) -> None:
    trace: list[str] = []
    on_frame, write_frame = connection.on_inbound_frame, connection.frame_writer

    def take(frame: Frame) -> bool:
        trace.append("in")
        return on_frame(frame)

    def write(*arguments: Any) -> None:
        trace.append("out")
        write_frame(*arguments)

    channel.basic_publish(Message(b"before"), routing_key=queue)
    connection.on_inbound_frame, connection.frame_writer = take, write
    got = channel.basic_get(queue, no_ack=True)
    assert got is not None
    assert got.body == b"before"
    assert trace == ["out", "in", "in", "in"]
    connection.on_inbound_method(channel.channel_id or 0, spec.Channel.Flow, b"\0\x14\0\x14\0", None)
    assert not channel.active
    assert trace[4:] == ["out"]


@shows(
    "Connection.last_heartbeat_received",
    "Connection.last_heartbeat_sent",
    "Connection.prev_recv",
    "Connection.prev_sent",
)
def test_the_books_of_heartbeats(target: Target) -> None:
    connection = target.connect(heartbeat=60)
    assert connection.transport is not None
    connection.heartbeat_tick()
    now = connection.transport.monotonic()
    assert now - PATIENCE <= connection.last_heartbeat_sent <= now
    assert now - PATIENCE <= connection.last_heartbeat_received <= now
    assert (connection.prev_sent, connection.prev_recv) == (connection.bytes_sent, connection.bytes_recv)


def test_a_new_secret(connection: Connection, channel: Channel) -> None:
    """A broker whose users have passwords takes any; only what checks tokens looks at it."""
    connection.update_secret("a token", "the old one expires")
    assert channel.queue_declare(exclusive=True) is not None
