"""Bindings, and what direct and fanout exchanges make of them (EXCH-BIND, EXCH-DIRECT)."""

# ruff: noqa: B023  (what is handed to refused() and eventually() is called before the loop goes on)

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit, told
from hutch.wire import methods as amqp
from hutch.wire.fields import Int16

_BIND = (50, 20)


def _no_exchange(rabbit: Rabbit, exchange: str = "missing") -> str:
    return f"no exchange '{exchange}' in vhost '{rabbit.vhost}'"


def _no_queue(rabbit: Rabbit, queue: str = "missing") -> str:
    return f"no queue '{queue}' in vhost '{rabbit.vhost}'"


@case("EXCH-BIND-01", "EXCH-BIND-02")
def binding_what_is_missing(rabbit: Rabbit) -> None:
    """Binding a queue or an exchange that is missing closes the channel. If both are missing, the text names the
    exchange.
    """
    queue = rabbit.queue(rabbit.channel())
    rabbit.refused(lambda channel: channel.queue_bind(queue, "missing"), 404, _no_exchange(rabbit), _BIND)
    rabbit.refused(lambda channel: channel.queue_bind("missing", "missing"), 404, _no_exchange(rabbit), _BIND)
    rabbit.refused(lambda channel: channel.queue_bind("missing", "amq.direct"), 404, _no_queue(rabbit), _BIND)


@case("EXCH-BIND-03")
def unbinding_what_is_missing(rabbit: Rabbit) -> None:
    """Unbinding succeeds although the queue, the exchange or the binding is missing."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    for name, exchange in (("missing", "amq.direct"), (queue, "missing"), (queue, "amq.direct")):
        channel.queue_unbind(name, exchange, "key")


@case("EXCH-BIND-04")
def binding_exchanges_that_are_missing(rabbit: Rabbit) -> None:
    """Binding exchanges of which one is missing closes the channel. If both are missing, the text names the source."""
    attempts = [("amq.direct", "missing", "missing"), ("missing", "amq.direct", "missing"), ("absent", "gone", "gone")]
    for destination, source, named in attempts:
        rabbit.refused(
            lambda channel: channel.exchange_bind(destination, source, "key"),
            404,
            _no_exchange(rabbit, named),
            (40, 30),
        )


@case("EXCH-BIND-05")
def unbinding_exchanges_that_are_missing(rabbit: Rabbit) -> None:
    """Exchange.unbind succeeds whatever is missing, and its ok is method 51."""
    raw = rabbit.raw()
    raw.channel(1)
    for destination, source in (("amq.direct", "missing"), ("missing", "amq.direct"), ("amq.direct", "amq.fanout")):
        raw.send_method(amqp.ExchangeUnbind(destination=destination, source=source), 1)
        equal(raw.read_frame(), (1, 1, b"\0\x28\0\x33"))


@case("EXCH-BIND-06", "EXCH-BIND-09")
def a_queue_gets_a_message_once(rabbit: Rabbit) -> None:
    """However many bindings of a queue match, and however often they were made, it gets one copy."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "topic")
    queue = rabbit.queue(channel)
    for key in ("a", "a", "*", "#"):
        channel.queue_bind(queue, exchange, key)
    rabbit.publish(channel, b"x", exchange, "a")
    equal(rabbit.bodies(channel, queue), [b"x"])
    channel.queue_unbind(queue, exchange, "a")
    channel.queue_unbind(queue, exchange, "*")
    channel.queue_unbind(queue, exchange, "#")
    rabbit.publish(channel, b"x", exchange, "a")
    equal(rabbit.bodies(channel, queue), [])


@case("EXCH-BIND-07")
def arguments_distinguish_bindings(rabbit: Rabbit) -> None:
    """Bindings that differ in their arguments alone are two; each is unbound by its own arguments."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "direct")
    queue = rabbit.queue(channel)
    for arguments in ({"a": 1}, {"a": 2}):
        channel.queue_bind(queue, exchange, "key", arguments=arguments)
    for unbound, wanted in ((None, [b"x"]), ({}, [b"x"]), ({"a": 1}, [b"x"]), ({"a": 1}, [b"x"]), ({"a": 2}, [])):
        if unbound is not None:
            channel.queue_unbind(queue, exchange, "key", arguments=unbound)
        rabbit.publish(channel, b"x", exchange, "key")
        equal(rabbit.bodies(channel, queue), wanted, f"after unbinding {unbound}")


@case("EXCH-BIND-08")
def argument_types_distinguish_bindings(rabbit: Rabbit) -> None:
    """A binding with the integer 1 is not unbound by the same integer of another width."""
    channel = rabbit.raw().channel()
    exchange, queue = rabbit.name("x"), rabbit.name()
    channel.call(amqp.ExchangeDeclare(exchange=exchange))
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.call(amqp.QueueBind(0, queue, exchange, "key", arguments={"a": 1}))
    for value, wanted in ((Int16(1), True), (1, False)):
        channel.call(amqp.QueueUnbind(0, queue, exchange, "key", arguments={"a": value}))
        channel.publish(b"x", exchange, "key")
        equal(channel.get(queue, no_ack=True) is not None, wanted)


@case("EXCH-BIND-10")
def exchanges_bound_in_a_circle(rabbit: Rabbit) -> None:
    """Exchanges may be bound in a circle, and to themselves; each queue still gets one copy."""
    channel = rabbit.channel()
    first, second = rabbit.exchange(channel, "fanout"), rabbit.exchange(channel, "fanout")
    for destination, source in ((first, second), (second, first), (first, first)):
        channel.exchange_bind(destination, source)
    queues = [rabbit.bound(channel, first), rabbit.bound(channel, second)]
    channel.queue_bind(queues[0], second)
    rabbit.publish(channel, b"x", first)
    equal([rabbit.bodies(channel, queue) for queue in queues], [[b"x"], [b"x"]])


@case("EXCH-BIND-11", "PUB-27")
def routing_keys_from_exchange_to_exchange(rabbit: Rabbit) -> None:
    """A message keeps its routing key and its exchange's name from one exchange to the next."""
    channel = rabbit.channel()
    front, back = rabbit.exchange(channel, "topic"), rabbit.exchange(channel, "direct")
    channel.exchange_bind(back, front, "order.*")
    queues = [rabbit.bound(channel, back, key) for key in ("order.created", "order.*", "order.deleted")]
    rabbit.publish(channel, b"x", front, "order.created")
    rabbit.publish(channel, b"y", front, "invoice.created")
    message = rabbit.get(channel, queues[0])
    equal((told(message)["exchange"], told(message)["routing_key"]), (front, "order.created"))
    equal([rabbit.bodies(channel, queue) for queue in queues], [[], [], []])
    channel.exchange_unbind(back, front, "order.*")
    rabbit.publish(channel, b"x", front, "order.created")
    equal(rabbit.bodies(channel, queues[0]), [])


@case("EXCH-BIND-12", "EXCH-BIND-15")
def binding_the_last_declared_queue(rabbit: Rabbit) -> None:
    """An empty queue name means the last declared queue, passively too; without a routing key its name is the key."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel)
    other, queue = rabbit.queue(channel), rabbit.queue(channel)
    channel.queue_bind("", exchange, "")
    channel.queue_bind("", exchange, "key")
    for key in ("", "key", queue):
        rabbit.publish(channel, key.encode(), exchange, key)
    equal(rabbit.bodies(channel, ""), [b"key", queue.encode()])
    channel.queue_declare(other, passive=True)
    channel.queue_bind("", exchange, "other")
    rabbit.publish(channel, b"x", exchange, "other")
    equal((rabbit.bodies(channel, queue), rabbit.bodies(channel, other)), ([], [b"x"]))


@case("EXCH-BIND-13")
def the_last_declared_queue_of_a_new_channel(rabbit: Rabbit) -> None:
    """On a channel that has declared none, an empty queue name is not found."""
    text = "no previously declared queue"
    rabbit.refused(lambda channel: channel.queue_bind("", "amq.direct"), 404, text, _BIND)
    rabbit.refused(lambda channel: channel.basic_get(""), 404, text, (60, 70))
    rabbit.refused(lambda channel: channel.basic_consume(""), 404, text, (60, 20))
    rabbit.refused(lambda channel: channel.queue_purge(""), 404, text, (50, 30))
    rabbit.refused(lambda channel: channel.queue_delete(""), 404, text, (50, 40))


@case("EXCH-BIND-14")
def looking_for_a_queue_without_a_name(rabbit: Rabbit) -> None:
    """A passive declare of the empty name does not look for the last declared queue."""
    channel = rabbit.channel()
    rabbit.queue(channel)
    with rabbit.expect_channel_error(channel, 404, _no_queue(rabbit, ""), (50, 10)):
        channel.queue_declare("", passive=True)


@case("EXCH-BIND-16")
def the_last_declared_queue_deleted(rabbit: Rabbit) -> None:
    """The last declared queue is still the last declared one after it was deleted."""
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    channel.queue_delete(queue)
    with rabbit.expect_channel_error(channel, 404, _no_queue(rabbit, queue), (60, 70)):
        channel.basic_get("")


@case("EXCH-DIRECT-01")
def direct_exchanges_compare_keys(rabbit: Rabbit) -> None:
    """A direct exchange routes to every queue bound with exactly the message's key, the empty one included."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "direct")
    keys = ["a", "a", "A", "a.b", "*", "#"]
    queues = [rabbit.bound(channel, exchange, key) for key in keys]
    empty = rabbit.name()
    raw = rabbit.raw().channel()
    raw.call(amqp.QueueDeclare(queue=empty))
    raw.call(amqp.QueueBind(queue=empty, exchange=exchange, routing_key=""))
    for key in ("a", "a.b", ""):
        rabbit.publish(channel, key.encode() or b"empty", exchange, key)
    wanted = [[b"a"], [b"a"], [], [b"a.b"], [], []]
    equal([rabbit.bodies(channel, queue) for queue in queues], wanted)
    equal(rabbit.bodies(channel, empty), [b"empty"])


@case("EXCH-DIRECT-02")
def fanout_exchanges_ignore_keys(rabbit: Rabbit) -> None:
    """A fanout exchange routes to every queue bound to it, whatever the keys."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "fanout")
    queues = [rabbit.bound(channel, exchange, key) for key in ("", "a", "b")]
    rabbit.publish(channel, b"x", exchange, "a")
    equal([rabbit.bodies(channel, queue) for queue in queues], [[b"x"]] * 3)


@case("EXCH-BIND-06", "EXCH-BIND-04")
def a_queue_and_an_exchange_of_one_name(rabbit: Rabbit) -> None:
    """Bindings to a queue and to an exchange of the same name, under the same key, are two."""
    channel, name = rabbit.raw_queue()
    source, queue = rabbit.name("x"), rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    for exchange in (source, name):
        channel.call(amqp.ExchangeDeclare(exchange=exchange, type="direct"))
    channel.call(amqp.QueueBind(queue=queue, exchange=name, routing_key="key"))
    channel.call(amqp.ExchangeBind(destination=name, source=source, routing_key="key"))
    channel.call(amqp.QueueBind(queue=name, exchange=source, routing_key="key"))
    channel.publish(b"both", source, "key")
    channel.expect_ready(queue, 1)
    channel.call(amqp.ExchangeUnbind(destination=name, source=source, routing_key="key"))
    channel.publish(b"queue", source, "key")
    channel.expect_ready(name, 2)
    channel.expect_ready(queue, 1)
    channel.call(amqp.ExchangeDelete(exchange=name))


@case("EXCH-BIND-13")
def the_last_declared_queue_belongs_to_its_channel(rabbit: Rabbit) -> None:
    """The last declared queue of one channel is not that of another channel of its connection."""
    channel, _ = rabbit.raw_queue(1)
    other = channel.connection.channel(2)
    other.send(amqp.BasicGet(queue=""))
    other.expect_close(404, "no previously declared queue", (60, 70))
    equal(channel.got("").body, b"0")
    channel.close()
    again = channel.connection.channel(1)
    again.send(amqp.QueuePurge(queue=""))
    again.expect_close(404, "no previously declared queue", (50, 30))
