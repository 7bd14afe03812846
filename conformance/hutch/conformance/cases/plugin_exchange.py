"""Exchanges that pick a queue at random, and the one that remembers: x-random, x-local-random, x-recent-history."""

from decimal import Decimal
from typing import Final

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.plugins import bound, declare, keys, needs_type, spread
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, fields, properties_of
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, FieldValue, Int8, Int16, Int64, UInt8, UInt16, UInt32, UInt64

_RANDOM: Final = "x-random"
_LOCAL: Final = "x-local-random"
_HISTORY: Final = "x-recent-history"


def _expect_random(rabbit: Rabbit, type_: str) -> None:
    """An exchange of this type must pick one of its bindings, each about as often."""
    channel = rabbit.raw().channel()
    exchange = declare(rabbit, channel, type_)
    channel.publish(exchange=exchange, routing_key="0", mandatory=True)
    equal(channel.message(amqp.BasicReturn).method, amqp.BasicReturn(312, "NO_ROUTE", exchange, "0"))
    queues = bound(rabbit, channel, exchange, ("", ""))
    for number in range(4):
        bind = amqp.QueueBind(queue=queues["a"], exchange=exchange, routing_key="", arguments={"n": number})
        channel.call(bind)
    more: FieldTable = {"CC": ["x", "y"]}
    picked = spread(channel, exchange, queues, [{**message, "headers": more} for message in keys() * 4])
    equal(set(picked), {"a", "b"}, "picked")
    # Queue a has five bindings of six. A fair random choice falls outside this range once in a billion times.
    true(140 < picked.count("a") < 236, f"{picked.count('a')} of 240 messages went to the queue with 5 of 6 bindings")


@case("EXCH-PLUGIN-08")
def random_exchanges(rabbit: Rabbit) -> None:
    """A random exchange picks one of its bindings for each message, whatever the keys; a queue that is bound several
    times is so much likelier.
    """
    needs_type(rabbit, _RANDOM)
    _expect_random(rabbit, _RANDOM)


@case("EXCH-PLUGIN-08", "EXCH-BIND-09")
def random_exchanges_and_exchanges(rabbit: Rabbit) -> None:
    """A random exchange picks among exchanges, too, and is picked."""
    needs_type(rabbit, _RANDOM)
    channel = rabbit.raw().channel()
    first, second, last = (declare(rabbit, channel, type_) for type_ in (_RANDOM, _RANDOM, "fanout"))
    channel.call(amqp.ExchangeBind(destination=second, source=first, routing_key="any"))
    channel.call(amqp.ExchangeBind(destination=last, source=second))
    queues = bound(rabbit, channel, last, ("", ""))
    equal(spread(channel, first, queues, keys("0", "1")), "(ab)(ab)")


@case("EXCH-PLUGIN-09", "EXCH-DECLARE-05", profiles=["3.10"])
def local_random_exchanges_are_unknown(rabbit: Rabbit) -> None:
    """3.x has no local random exchange."""
    channel = rabbit.raw().channel()
    channel.send(amqp.ExchangeDeclare(exchange=rabbit.name("x"), type=_LOCAL))
    channel.connection.expect_close(503, f"unknown exchange type '{_LOCAL}'", (40, 10))


@case("EXCH-PLUGIN-09", profiles=["4.3"])
def local_random_exchanges(rabbit: Rabbit) -> None:
    """4.x has a local random exchange, which picks one of its bindings for each message."""
    _expect_random(rabbit, _LOCAL)


@case("EXCH-PLUGIN-09", profiles=["4.3"])
def bindings_of_a_local_random_exchange(rabbit: Rabbit) -> None:
    """To a local random exchange queues are bound, with an empty key; the key is looked at first."""
    connection = rabbit.raw()
    channel = connection.channel(1)
    exchange, queue = declare(rabbit, channel, _LOCAL), rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    keyed = "Non empty binding '{}' key not permitted"
    for bind, text in (
        (amqp.QueueBind(queue=queue, exchange=exchange, routing_key="x"), keyed.format("x")),
        (amqp.ExchangeBind(destination="amq.fanout", source=exchange, routing_key="x"), keyed.format("x")),
        (amqp.ExchangeBind(destination="amq.fanout", source=exchange), "Destination not found"),
    ):
        channel = connection.channel(2)
        channel.send(bind)
        channel.expect_close(406, text, (bind.CLASS_ID, bind.METHOD_ID))
    # An empty queue name stands for the queue declared last. With it, an empty routing key stands for that queue's
    # name.
    channel = connection.channel(2)
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.send(amqp.QueueBind(queue="", exchange=exchange))
    channel.expect_close(406, keyed.format(queue), (50, 20))


def _remembering(rabbit: Rabbit, channel: RawChannel, length: int | None = None) -> str:
    return declare(rabbit, channel, _HISTORY, None if length is None else {"x-recent-history-length": length})


def _publish(channel: RawChannel, exchange: str, count: int) -> None:
    """So many messages, ``0``, ``1`` ...; the exchange has seen them all when this returns."""
    for number in range(count):
        channel.publish(b"%d" % number, exchange, "key", headers={"n": number})
    channel.call(amqp.ChannelFlow(active=True))


def _bodies(channel: RawChannel, queue: str, count: int) -> list[int]:
    """The messages of a queue, which must come to be so many."""
    channel.expect_ready(queue, count)
    return [int(channel.got(queue, no_ack=True).body) for _ in range(count)]


@case("EXCH-DECLARE-05")
def a_recent_history_exchange_remembers(rabbit: Rabbit) -> None:
    """Bound queues get what is published, whatever the key. A queue that is bound gets the last messages, oldest first,
    and again for each new binding.
    """
    needs_type(rabbit, _HISTORY)
    channel = rabbit.raw().channel()
    for length, last in ((3, [22, 23, 24]), (None, list(range(5, 25)))):
        exchange = _remembering(rabbit, channel, length)
        (first,) = bound(rabbit, channel, exchange, ["other"]).values()
        _publish(channel, exchange, 25)
        equal(_bodies(channel, first, 25), list(range(25)))
        queue = rabbit.name()
        channel.call(amqp.QueueDeclare(queue=queue))
        bind = amqp.QueueBind(queue=queue, exchange=exchange, routing_key="a")
        for again in (bind, amqp.QueueBind(queue=queue, exchange=exchange, routing_key="b")):
            channel.call(again)
            equal(_bodies(channel, queue, len(last)), last)
        channel.call(bind)
        channel.call(amqp.QueueUnbind(queue=queue, exchange=exchange, routing_key="a"))
        channel.call(bind)
        equal(_bodies(channel, queue, len(last)), last, "bound again")
        channel.call(amqp.ExchangeDelete(exchange=exchange))
        channel.call(amqp.ExchangeDeclare(exchange=exchange, type=_HISTORY))
        channel.call(bind)
        equal(channel.ready(queue), 0, "what a new exchange of the name remembers")


@case("EXCH-DECLARE-05")
def what_a_recent_history_exchange_remembers(rabbit: Rabbit) -> None:
    """Messages are remembered as they are, those that went nowhere or were rolled back too; but for those that say so
    with a header that is true.
    """
    needs_type(rabbit, _HISTORY)
    channel = rabbit.raw().channel()
    exchange = _remembering(rabbit, channel)
    for value in (True, 1, "true"):
        headers: FieldTable = {"x-recent-history-no-store": value, "CC": ["b", "c"]}
        channel.publish(b"1", exchange, "key", mandatory=True, headers=headers, message_id="m")
        channel.message(amqp.BasicReturn)
    channel.call(amqp.TxSelect())
    channel.publish(b"2", exchange, "key")
    channel.call(amqp.TxRollback())
    (queue,) = bound(rabbit, channel, exchange, [""]).values()
    channel.expect_ready(queue, 3)
    contents = [channel.got(queue, no_ack=True) for _ in range(3)]
    equal([content.body for content in contents], [b"1", b"1", b"2"])
    address = fields(contents[0])
    equal((address.exchange, address.routing_key, address.redelivered), (exchange, "key", False))
    kept = {"headers": {"x-recent-history-no-store": 1, "CC": ["b", "c"]}, "message_id": "m"}
    equal(properties_of(contents[0]), kept)


@case("EXCH-DECLARE-05", "EXCH-BIND-09")
def recent_history_by_way_of_an_exchange(rabbit: Rabbit) -> None:
    """When an exchange is bound, it is given the messages newest first; if one gets nowhere, that crashes."""
    needs_type(rabbit, _HISTORY)
    channel = rabbit.raw().channel()
    exchange = _remembering(rabbit, channel)
    _publish(channel, exchange, 3)
    topic = declare(rabbit, channel, "topic")
    (queue,) = bound(rabbit, channel, topic, ["#"]).values()
    channel.call(amqp.ExchangeBind(destination=topic, source=exchange))
    equal(_bodies(channel, queue, 3), [2, 1, 0])
    channel.call(amqp.QueueDelete(queue=queue))
    _expect_crash(rabbit, channel, topic, exchange, "again")


def _expect_crash(rabbit: Rabbit, channel: RawChannel, destination: str, source: str, key: str) -> None:
    channel.send(amqp.ExchangeBind(destination=destination, source=source, routing_key=key))
    wanted = {"3.10": ("", (0, 0)), "4.3": ("could not find queue/exchange ''", (40, 30))}
    channel.connection.expect_close(541, *rabbit.by_profile(wanted))


@case("EXCH-DECLARE-05", "EXCH-BIND-09", "EXCH-BIND-06")
def recent_history_that_gets_nowhere(rabbit: Rabbit) -> None:
    """Messages that get somewhere by way of an exchange are delivered, up to the one over which it crashes. In 4.x the
    binding is there then, and binding once more is no error; in 3.x it is not.
    """
    needs_type(rabbit, _HISTORY)
    channel = rabbit.raw().channel()
    exchange, between = _remembering(rabbit, channel), _remembering(rabbit, channel)
    last = declare(rabbit, channel, "direct")
    queues = bound(rabbit, channel, last, ["good"])
    channel.call(amqp.ExchangeBind(destination=last, source=between))
    for number, key in enumerate(("good", "bad", "good")):
        channel.publish(b"%d" % number, exchange, key)
    _expect_crash(rabbit, channel, between, exchange, "")
    channel = rabbit.raw().channel()
    equal(_bodies(channel, queues["a"], 1), [2])
    (remembering,) = bound(rabbit, channel, between, [""]).values()
    remembered = rabbit.by_profile({"3.10": [], "4.3": [2, 1]})
    equal(_bodies(channel, remembering, len(remembered)), remembered)
    if rabbit.profile == "4.3":
        channel.call(amqp.ExchangeBind(destination=between, source=exchange))
    channel.publish(b"3", exchange, "good")
    is_bound = rabbit.by_profile({"3.10": [], "4.3": [3]})
    for queue in (remembering, queues["a"]):
        equal(_bodies(channel, queue, len(is_bound)), is_bound)


@case("EXCH-DECLARE-05", "STREAM-09")
def recent_history_that_a_stream_cannot_keep(rabbit: Rabbit) -> None:
    """A stream is given the messages, up to one with a decimal in its headers. Over that 4.x crashes, and the binding
    stays. Streams of 3.x get none.
    """
    needs_type(rabbit, _HISTORY)
    channel = rabbit.raw().channel()
    exchange, queue = _remembering(rabbit, channel), rabbit.name()
    _publish(channel, exchange, 1)
    channel.publish(b"1", exchange, "key", headers={"n": Decimal("1.5")})
    _publish(channel, exchange, 1)
    channel.call(amqp.QueueDeclare(queue=queue, durable=True, arguments={"x-queue-type": "stream"}))
    bind = amqp.QueueBind(queue=queue, exchange=exchange)
    if rabbit.profile == "3.10":
        channel.call(bind)
    else:
        channel.send(bind)
        channel.connection.expect_close(541, "", (0, 0))
        channel = rabbit.raw().channel()
    channel.publish(b"2", exchange, "key", mandatory=True)
    channel.call(amqp.BasicQos(prefetch_count=10))
    channel.call(amqp.BasicConsume(queue=queue, arguments={"x-stream-offset": "first"}))
    bodies = [channel.message(amqp.BasicDeliver).body for _ in range(rabbit.by_profile({"3.10": 1, "4.3": 2}))]
    equal(bodies, rabbit.by_profile({"3.10": [b"2"], "4.3": [b"0", b"2"]}))


@case("EXCH-DECLARE-05", "EXCH-BIND-09")
def recent_history_that_comes_round(rabbit: Rabbit) -> None:
    """Exchanges that the messages pass remember them too, even the exchange that is being bound."""
    needs_type(rabbit, _HISTORY)
    channel = rabbit.raw().channel()
    exchange, fanout = _remembering(rabbit, channel), declare(rabbit, channel, "fanout")
    (first,) = bound(rabbit, channel, exchange, [""]).values()
    _publish(channel, exchange, 3)
    equal(_bodies(channel, first, 3), [0, 1, 2])
    channel.call(amqp.ExchangeBind(destination=exchange, source=exchange))
    equal(_bodies(channel, first, 3), [2, 1, 0])
    (second,) = bound(rabbit, channel, fanout, [""]).values()
    channel.call(amqp.ExchangeBind(destination=exchange, source=fanout))
    channel.call(amqp.ExchangeBind(destination=fanout, source=exchange))
    given = [0, 1, 2, 2, 1, 0]
    equal(_bodies(channel, second, 6), [0, 1, 2, 2, 1, 0])
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.call(amqp.QueueBind(queue=queue, exchange=exchange))
    equal(_bodies(channel, queue, 12), given + given[::-1])


@case("EXCH-DECLARE-05", "EXCH-BIND-09", "EXCH-AE-01")
def recent_history_past_its_own_binding(rabbit: Rabbit) -> None:
    """An exchange is bound to itself, or to one that leads back to it. In 3.x the messages do not see that binding yet:
    with no other they go to the alternate exchange. In 4.x it is there, and they get nowhere.
    """
    needs_type(rabbit, _HISTORY)
    alternate = rabbit.name("alternate")
    channel = rabbit.raw().channel()
    channel.call(amqp.ExchangeDeclare(exchange=alternate, type="fanout"))
    (queue,) = bound(rabbit, channel, alternate, [""]).values()
    for by_way_of_another in (False, True):
        exchange = declare(rabbit, channel, _HISTORY, {"alternate-exchange": alternate})
        destination = exchange
        if by_way_of_another:
            destination = declare(rabbit, channel, "fanout")
            channel.call(amqp.ExchangeBind(destination=exchange, source=destination))
        _publish(channel, exchange, 2)
        equal(_bodies(channel, queue, 2), [0, 1])
        if rabbit.profile == "3.10":
            channel.call(amqp.ExchangeBind(destination=destination, source=exchange))
            equal(_bodies(channel, queue, 2), [1, 0])
        else:
            _expect_crash(rabbit, channel, destination, exchange, "")
            channel = rabbit.raw().channel()
        channel.publish(b"2", exchange, "key", mandatory=True)
        channel.message(amqp.BasicReturn)
        equal(channel.ready(queue), 0, "what the alternate exchange was given when the binding was there")


@case("EXCH-DECLARE-05", "RESTART-02")
def recent_history_and_a_restart(rabbit: Rabbit) -> None:
    """What an exchange remembers is still there after a restart in 4.x, and gone in 3.x; no queue gets it once more."""
    needs_type(rabbit, _HISTORY)
    channel = rabbit.raw().channel()
    exchange, queue = rabbit.name("x"), rabbit.name()
    channel.call(amqp.ExchangeDeclare(exchange=exchange, type=_HISTORY, durable=True))
    channel.call(amqp.QueueDeclare(queue=queue, durable=True))
    channel.call(amqp.QueueBind(queue=queue, exchange=exchange))
    for number in range(2):
        channel.publish(b"%d" % number, exchange, delivery_mode=2)
    channel.expect_ready(queue, 2)
    rabbit.restart()
    channel = rabbit.raw().channel()
    equal(_bodies(channel, queue, 2), [0, 1])
    (another,) = bound(rabbit, channel, exchange, [""]).values()
    remembered = rabbit.by_profile({"3.10": [], "4.3": [0, 1]})
    equal(_bodies(channel, another, len(remembered)), remembered)


@case("EXCH-DECLARE-10", "EXCH-DECLARE-05")
def types_with_a_hyphen_in_inequivalence(rabbit: Rabbit) -> None:
    """A type that is more than a word is told in quotes of its own when a redeclaration is refused."""
    for type_ in ("x-consistent-hash", "x-random", _HISTORY):
        needs_type(rabbit, type_)
        connection = rabbit.raw()
        exchange = declare(rabbit, connection.channel(1), type_)
        direct = declare(rabbit, connection.channel(3), "direct")
        for number, (name, new, received, current) in enumerate(
            ((exchange, "direct", "direct", f"'{type_}'"), (direct, type_, f"'{type_}'", "direct"))
        ):
            channel = connection.channel(10 + number)
            channel.send(amqp.ExchangeDeclare(exchange=name, type=new))
            text = f"inequivalent arg 'type' for exchange '{name}' in vhost '{rabbit.vhost}': "
            channel.expect_close(406, f"{text}received '{received}' but current is '{current}'", (40, 10))


@case("EXCH-DECLARE-05")
def lengths_of_recent_history(rabbit: Rabbit) -> None:
    """The length has to be a positive integer, of no unsigned type but the longest; it is not compared later."""
    needs_type(rabbit, _HISTORY)
    connection, exchange = rabbit.raw(), rabbit.name("x")
    refused: list[tuple[FieldValue, str]] = [
        *((number, str(number)) for number in (0, -1, UInt8(3), UInt16(3), UInt32(3))),
        *(("5", '<<"5">>'), (None, "undefined"), (True, "true"), (1.5, "1.5")),
    ]
    for value, printed in refused:
        channel = connection.channel()
        arguments: FieldTable = {"x-recent-history-length": value}
        channel.send(amqp.ExchangeDeclare(exchange=exchange, type=_HISTORY, arguments=arguments))
        text = f"Invalid argument {printed}, 'x-recent-history-length' must be a positive integer"
        channel.expect_close(406, text, (40, 10))
    channel = connection.channel()
    lengths: tuple[FieldValue, ...] = (3, Int8(3), Int16(3), Int64(3), UInt64(3))
    for length in lengths:
        declare(rabbit, channel, _HISTORY, {"x-recent-history-length": length})
    exchange = _remembering(rabbit, channel, 3)
    arguments = {"x-recent-history-length": -1}
    channel.call(amqp.ExchangeDeclare(exchange=exchange, type=_HISTORY, arguments=arguments))
