"""Channels, and the methods that declare, bind and delete: what goes out, what comes back."""

from collections.abc import Callable

import pytest

from hutch.client import (
    Channel,
    Connection,
    ConnectionError,  # noqa: A004
    FrameSyntaxError,
    RecoverableConnectionError,
    ResourceError,
)
from hutch.wire.declaration import Method
from hutch.wire.methods import (
    BasicCancel,
    BasicCancelOk,
    BasicConsume,
    BasicNack,
    BasicQos,
    BasicQosOk,
    BasicRecover,
    BasicRecoverAsync,
    BasicRecoverOk,
    BasicReject,
    ChannelClose,
    ChannelCloseOk,
    ChannelFlow,
    ChannelFlowOk,
    ChannelOpen,
    ChannelOpenOk,
    ConfirmSelect,
    ConfirmSelectOk,
    ConnectionClose,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionUpdateSecret,
    ConnectionUpdateSecretOk,
    ExchangeBind,
    ExchangeBindOk,
    ExchangeDeclare,
    ExchangeDeclareOk,
    ExchangeDelete,
    ExchangeDeleteOk,
    ExchangeUnbind,
    ExchangeUnbindOk,
    QueueBind,
    QueueBindOk,
    QueueDeclare,
    QueueDeclareOk,
    QueueDelete,
    QueueDeleteOk,
    QueuePurge,
    QueuePurgeOk,
    QueueUnbind,
    QueueUnbindOk,
)
from tests.client.scripted import Server, connected

Call = Callable[[Channel], object]

#: Each row: a call, the method it sends, the answer, and the return value.
CALLS: list[tuple[Call, Method, Method, object]] = [
    (
        lambda channel: channel.exchange_declare("e", "topic"),
        ExchangeDeclare(exchange="e", type="topic", auto_delete=True),
        ExchangeDeclareOk(),
        None,
    ),
    (
        lambda channel: channel.exchange_declare("e", "fanout", True, True, False, False, {"alternate-exchange": "a"}),
        ExchangeDeclare(exchange="e", type="fanout", passive=True, durable=True, arguments={"alternate-exchange": "a"}),
        ExchangeDeclareOk(),
        None,
    ),
    (
        lambda channel: channel.exchange_delete("e", if_unused=True),
        ExchangeDelete(exchange="e", if_unused=True),
        ExchangeDeleteOk(),
        None,
    ),
    (
        lambda channel: channel.exchange_bind("d", "s", "k", arguments={"x": 1}),
        ExchangeBind(destination="d", source="s", routing_key="k", arguments={"x": 1}),
        ExchangeBindOk(),
        None,
    ),
    (
        lambda channel: channel.exchange_unbind("d", "s", "k", arguments={"x": 1}),
        ExchangeUnbind(destination="d", source="s", routing_key="k", arguments={"x": 1}),
        ExchangeUnbindOk(),
        None,
    ),
    (
        lambda channel: channel.queue_declare("q"),
        QueueDeclare(queue="q", auto_delete=True),
        QueueDeclareOk("q", 3, 2),
        ("q", 3, 2),
    ),
    (
        lambda channel: channel.queue_declare("q", True, True, True, False, False, {"x-max-length": 5}),
        QueueDeclare(queue="q", passive=True, durable=True, exclusive=True, arguments={"x-max-length": 5}),
        QueueDeclareOk("q", 0, 0),
        ("q", 0, 0),
    ),
    (
        lambda channel: channel.queue_bind("q", "e", "k", arguments={"x-match": "all"}),
        QueueBind(queue="q", exchange="e", routing_key="k", arguments={"x-match": "all"}),
        QueueBindOk(),
        None,
    ),
    (
        lambda channel: channel.queue_unbind("q", "e", "k", arguments={"x-match": "all"}),
        QueueUnbind(queue="q", exchange="e", routing_key="k", arguments={"x-match": "all"}),
        QueueUnbindOk(),
        None,
    ),
    (
        lambda channel: channel.queue_delete("q", if_unused=True, if_empty=True),
        QueueDelete(queue="q", if_unused=True, if_empty=True),
        QueueDeleteOk(7),
        7,
    ),
    (lambda channel: channel.queue_purge("q"), QueuePurge(queue="q"), QueuePurgeOk(4), 4),
    (lambda channel: channel.basic_qos(0, 10, False), BasicQos(0, 10, False), BasicQosOk(), None),
    (lambda channel: channel.basic_qos(0, 10, True), BasicQos(0, 10, True), BasicQosOk(), None),
    (lambda channel: channel.basic_cancel("tag"), BasicCancel("tag"), BasicCancelOk("tag"), "tag"),
    (lambda channel: channel.confirm_select(), ConfirmSelect(), ConfirmSelectOk(), None),
    (lambda channel: channel.flow(True), ChannelFlow(True), ChannelFlowOk(True), None),
]

#: Calls that send a method without waiting for an answer.
SENDS: list[tuple[Call, Method]] = [
    (
        lambda channel: channel.exchange_declare("e", "direct", nowait=True),
        ExchangeDeclare(exchange="e", auto_delete=True, nowait=True),
    ),
    (lambda channel: channel.exchange_delete("e", nowait=True), ExchangeDelete(exchange="e", nowait=True)),
    (lambda channel: channel.exchange_bind("d", "s", nowait=True), ExchangeBind(0, "d", "s", nowait=True)),
    (lambda channel: channel.exchange_unbind("d", "s", nowait=True), ExchangeUnbind(0, "d", "s", nowait=True)),
    (lambda channel: channel.queue_declare("q", nowait=True), QueueDeclare(0, "q", auto_delete=True, nowait=True)),
    (lambda channel: channel.queue_bind("q", "e", nowait=True), QueueBind(0, "q", "e", nowait=True)),
    (lambda channel: channel.queue_unbind("q", "e", nowait=True), QueueUnbind(0, "q", "e")),
    (lambda channel: channel.queue_delete("q", nowait=True), QueueDelete(0, "q", nowait=True)),
    (lambda channel: channel.queue_purge("q", nowait=True), QueuePurge(0, "q", nowait=True)),
    (lambda channel: channel.basic_cancel("tag", nowait=True), BasicCancel("tag", nowait=True)),
    (lambda channel: channel.confirm_select(nowait=True), ConfirmSelect(nowait=True)),
    (lambda channel: channel.basic_reject(5, requeue=True), BasicReject(5, True)),
    (lambda channel: channel.basic_reject(5, requeue=False), BasicReject(5, False)),
    (lambda channel: channel.basic_nack(5), BasicNack(5, False, True)),
    (lambda channel: channel.basic_nack(5, multiple=True, requeue=False), BasicNack(5, True, False)),
    (lambda channel: channel.basic_recover(requeue=True), BasicRecover(True)),
    (lambda channel: channel.basic_recover_async(requeue=True), BasicRecoverAsync(True)),
    (
        lambda channel: channel.basic_consume("q", "tag", nowait=True),
        BasicConsume(queue="q", consumer_tag="tag", nowait=True),
    ),
]


@pytest.mark.parametrize(("call", "method", "answer", "result"), CALLS, ids=lambda value: getattr(value, "NAME", ""))
def test_calls_that_wait(
    server: Server, channel: Channel, call: Call, method: Method, answer: Method, result: object
) -> None:
    server.answers[type(method)] = lambda _: answer
    assert call(channel) == result
    assert server.log == [(1, method)]


@pytest.mark.parametrize(("call", "method"), SENDS, ids=lambda value: getattr(value, "NAME", ""))
def test_calls_that_do_not_wait(server: Server, channel: Channel, call: Call, method: Method) -> None:
    call(channel)
    assert server.log == [(1, method)]


def test_answers_nobody_waits_for_are_dropped(server: Server, channel: Channel) -> None:
    server.answers[QueueUnbind] = lambda _: QueueUnbindOk()
    server.answers[BasicRecover] = lambda _: BasicRecoverOk()
    server.answers[QueuePurge] = lambda _: QueuePurgeOk(6)
    channel.queue_unbind("q", "e", nowait=True)
    channel.basic_recover(requeue=True)
    channel.queue_unbind("q", "e")
    assert channel.queue_purge("q") == 6


def test_none_stands_for_an_empty_name(server: Server, channel: Channel) -> None:
    server.answers[QueueBind] = lambda _: QueueBindOk()
    channel.queue_bind("q", None, None)  # type: ignore[arg-type]
    assert server.log == [(1, QueueBind(queue="q"))]


def test_an_argument_that_has_no_field_type(server: Server, channel: Channel) -> None:
    with pytest.raises(FrameSyntaxError, match=r"Queue.declare: \(502\) 'x-odd'"):
        channel.queue_declare("q", arguments={"x-odd": object()})
    with pytest.raises(ValueError, match="255 bytes at most"):
        channel.queue_declare("q" * 256)
    with pytest.raises(TypeError, match="does not fit its field"):
        channel.queue_declare(17)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="prefetch_count=-1"):
        channel.basic_qos(0, -1, False)
    with pytest.raises(TypeError, match="delivery tag"):
        channel.basic_ack(None)  # type: ignore[arg-type]
    assert server.log == []
    server.answers[QueuePurge] = lambda _: QueuePurgeOk(0)
    assert channel.queue_purge("q") == 0  # does not wait for an answer to the unsent method


# channels


def test_channel_numbers(server: Server) -> None:
    connection = connected(server)
    first, second = connection.channel(), connection.channel()
    assert (first.channel_id, second.channel_id) == (1, 2)
    assert connection.channel(2) is second
    assert connection.channel(40).channel_id == 40
    first.close()
    assert connection.channel().channel_id == 1
    assert connection.channels is not None
    assert sorted(connection.channels) == [0, 1, 2, 40]
    with pytest.raises(ConnectionError, match="channel 2 is already open"):
        Channel(connection, 2)


def test_all_numbers_in_use(server: Server) -> None:
    server.answers[ConnectionStartOk] = lambda _: ConnectionTune(2, 131072, 0)
    connection = connected(server)
    connection.channel()
    connection.channel()
    with pytest.raises(ResourceError, match="all 2 channel numbers are in use"):
        connection.channel()


def test_a_channel_that_cannot_be_opened(server: Server) -> None:
    connection = connected(server, read_timeout=1)
    server.answers[ChannelOpen] = lambda _: None
    server.answers[ChannelClose] = lambda _: None
    with pytest.raises(TimeoutError):
        connection.channel()
    assert server.log == [(1, ChannelOpen()), (1, ChannelClose(0, "", 0, 0))]
    with pytest.raises(ConnectionError, match="channel 1 is already open"):
        connection.channel(1)
    server.say(ChannelOpenOk(), ChannelCloseOk(), channel=1)  # late answers are legal
    connection.drain_events(timeout=0)
    connection.drain_events(timeout=0)
    assert connection.channels == {0: connection}
    del server.answers[ChannelClose]
    server.answers[ChannelOpen] = lambda _: ChannelOpenOk()
    assert connection.channel().channel_id == 1


def test_a_callback_that_fails_while_a_channel_opens(server: Server, connection: Connection, channel: Channel) -> None:
    def fail(message: object) -> None:
        raise KeyError("of the application")

    channel.basic_consume("q", callback=fail)
    server.deliver()
    with pytest.raises(KeyError):
        connection.channel()
    connection.drain_events(timeout=0)
    connection.drain_events(timeout=0)
    with pytest.raises(KeyError):
        connection.channel(callback=fail)
    connection.drain_events(timeout=0)
    assert connection.channels == {0: connection, 1: channel}


def test_no_channel_on_a_connection_that_was_never_open() -> None:
    connection = Connection()
    for _ in range(2):
        with pytest.raises(RecoverableConnectionError, match=r"channel.open: connection already closed"):
            connection.channel(7)
    assert connection.channels == {0: connection}


def test_opened_and_closed(server: Server) -> None:
    connection = connected(server)
    opened: list[Channel] = []
    with connection.channel(callback=opened.append) as channel:
        assert channel.is_open
        assert channel.connection is connection
        assert channel.auto_decode
        assert opened == [channel]
        channel.open()
        assert len(server.sent(ChannelOpen)) == 1
    assert not channel.is_open
    assert channel.connection is None
    assert channel.channel_id is None
    assert connection.channels == {0: connection}
    channel.close()
    assert len(server.sent(ChannelClose)) == 1


def test_a_reason_to_close(server: Server, connection: Connection, channel: Channel) -> None:
    channel.close(541, "no more", (60, 60))
    connection.close(541, "gone", (20, 40))
    assert server.sent(ChannelClose) == [ChannelClose(541, "no more", 60, 60)]
    assert server.sent(ConnectionClose) == [ConnectionClose(541, "gone", 20, 40)]


def test_the_broker_pauses_a_channel(server: Server, connection: Connection, channel: Channel) -> None:
    server.say(ChannelFlow(False), channel=1)
    connection.drain_events(timeout=1)
    assert not channel.active
    assert server.log == [(1, ChannelFlowOk(False))]


@pytest.mark.parametrize("secret", ["token", b"token"])
def test_update_secret(server: Server, connection: Connection, secret: str | bytes) -> None:
    server.answers[ConnectionUpdateSecret] = lambda _: ConnectionUpdateSecretOk()
    connection.update_secret(secret, "expired")
    assert server.log == [(0, ConnectionUpdateSecret(b"token", "expired"))]
