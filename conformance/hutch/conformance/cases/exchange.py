"""Exchanges: the predeclared ones, declaring, deleting, auto-delete, internal, alternate (EXCH-DEFAULT to EXCH-AE)."""

from collections.abc import Callable
from typing import Any

from hutch.client import Channel
from hutch.wire import methods as amqp
from hutch.wire.content import Content
from hutch.wire.fields import ByteArray

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit

_DECLARE = (40, 10)
_DELETE = (40, 20)
_NOT_ON_DEFAULT = "operation not permitted on the default exchange"


def _missing(rabbit: Rabbit, exchange: str) -> str:
    return f"no exchange '{exchange}' in vhost '{rabbit.vhost}'"


def _different(rabbit: Rabbit, argument: str, exchange: str, received: str, current: str) -> str:
    where = f"exchange '{exchange}' in vhost '{rabbit.vhost}'"
    return f"inequivalent arg '{argument}' for {where}: received {received} but current is {current}"


@case("EXCH-DEFAULT-01")
def declaring_the_default_exchange(rabbit: Rabbit) -> None:
    """Declaring the default exchange is refused, whatever the type, and passively too."""
    for kwargs in ({"type": "direct"}, {"type": "fanout"}, {"type": "direct", "passive": True}):
        rabbit.refused(lambda channel, k=kwargs: channel.exchange_declare("", **k), 403, _NOT_ON_DEFAULT, _DECLARE)  # type: ignore[misc]


@case("EXCH-DEFAULT-02")
def deleting_the_default_exchange(rabbit: Rabbit) -> None:
    """Deleting the default exchange is refused."""
    rabbit.refused(lambda channel: channel.exchange_delete(""), 403, _NOT_ON_DEFAULT, _DELETE)


@case("EXCH-DEFAULT-03")
def binding_a_queue_to_the_default_exchange(rabbit: Rabbit) -> None:
    """Binding a queue to the default exchange, and unbinding it, is refused."""
    queue = rabbit.queue(rabbit.channel())
    rabbit.refused(lambda channel: channel.queue_bind(queue, "", "key"), 403, _NOT_ON_DEFAULT, (50, 20))
    rabbit.refused(lambda channel: channel.queue_unbind(queue, "", queue), 403, _NOT_ON_DEFAULT, (50, 50))


@case("EXCH-DEFAULT-04")
def binding_an_exchange_to_the_default_exchange(rabbit: Rabbit) -> None:
    """Binding the default exchange to another, either way round, is refused, as is unbinding."""
    attempts: list[tuple[Callable[[Channel, str, str], object], tuple[int, int]]] = [
        (lambda channel, destination, source: channel.exchange_bind(destination, source, "k"), (40, 30)),
        (lambda channel, destination, source: channel.exchange_unbind(destination, source, "k"), (40, 40)),
    ]
    for attempt, method in attempts:
        rabbit.refused(lambda channel, a=attempt: a(channel, "amq.direct", ""), 403, _NOT_ON_DEFAULT, method)  # type: ignore[misc]
        rabbit.refused(lambda channel, a=attempt: a(channel, "", "amq.direct"), 403, _NOT_ON_DEFAULT, method)  # type: ignore[misc]


@case("EXCH-DEFAULT-05")
def publishing_to_the_default_exchange(rabbit: Rabbit) -> None:
    """A message published to the default exchange goes to the queue its routing key names."""
    channel = rabbit.channel()
    one, other = rabbit.queue(channel), rabbit.queue(channel)
    rabbit.publish(channel, b"x", routing_key=one)
    rabbit.publish(channel, b"lost", routing_key="no-such-queue")
    message = rabbit.get(channel, one)
    equal((message.delivery_info["exchange"], message.delivery_info["routing_key"]), ("", one))
    equal(rabbit.bodies(channel, other), [])


@case("EXCH-SYS-01", "EXCH-SYS-02")
def predeclared_exchanges(rabbit: Rabbit) -> None:
    """Every virtual host has the amq. exchanges, durable and not auto-delete; declaring them as they are is fine."""
    channel = rabbit.channel()
    types = {"direct": "direct", "fanout": "fanout", "topic": "topic", "headers": "headers", "match": "headers"}
    for name, exchange_type in types.items():
        channel.exchange_declare(f"amq.{name}", exchange_type, durable=True, auto_delete=False)


@case("EXCH-SYS-03")
def redeclaring_a_predeclared_exchange(rabbit: Rabbit) -> None:
    """Declaring a predeclared exchange otherwise than it is is refused."""
    rabbit.refused(
        lambda channel: channel.exchange_declare("amq.direct", "direct", durable=False, auto_delete=False),
        406,
        _different(rabbit, "durable", "amq.direct", "'false'", "'true'"),
        _DECLARE,
    )


@case("EXCH-SYS-04", "EXCH-SYS-05")
def reserved_exchange_names(rabbit: Rabbit) -> None:
    """Names that begin with amq. cannot be declared; looked for passively they are simply missing."""
    rabbit.refused(
        lambda channel: channel.exchange_declare("amq.foo", "direct"),
        403,
        "exchange name 'amq.foo' contains reserved prefix 'amq.*'",
        _DECLARE,
    )
    rabbit.refused(
        lambda channel: channel.exchange_declare("amq.foo", "direct", passive=True),
        404,
        _missing(rabbit, "amq.foo"),
        _DECLARE,
    )


@case("EXCH-SYS-06")
def deleting_system_exchanges(rabbit: Rabbit) -> None:
    """Names that begin with amq. cannot be deleted, whether they exist or not."""
    for name in ("amq.direct", "amq.foo"):
        text = f"deletion of system exchange '{name}' in vhost '{rabbit.vhost}' not allowed"
        rabbit.refused(lambda channel, n=name: channel.exchange_delete(n), 403, text, _DELETE)  # type: ignore[misc]


@case("EXCH-SYS-07")
def publishing_to_the_trace_exchange(rabbit: Rabbit) -> None:
    """The predeclared amq.rabbitmq.trace is internal."""
    text = f"cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '{rabbit.vhost}'"
    rabbit.refused(lambda channel: rabbit.publish(channel, b"x", "amq.rabbitmq.trace"), 403, text, (60, 40))


@case("EXCH-DECLARE-01", "EXCH-DECLARE-04")
def declaring_an_exchange(rabbit: Rabbit) -> None:
    """A new exchange of every type is declared; with nowait nothing is answered."""
    channel = rabbit.raw().channel()
    for exchange_type in ("direct", "fanout", "topic", "headers"):
        equal(
            channel.call(amqp.ExchangeDeclare(exchange=rabbit.name("x"), type=exchange_type)),
            amqp.ExchangeDeclareOk(),
        )
    silent = rabbit.name("x")
    channel.send(amqp.ExchangeDeclare(exchange=silent, type="fanout", nowait=True))
    channel.expect_nothing()
    channel.call(amqp.ExchangeDeclare(exchange=silent, passive=True))


@case("EXCH-DECLARE-02")
def passive_declare_of_a_missing_exchange(rabbit: Rabbit) -> None:
    """Looking for an exchange that is not there closes the channel with 404."""
    rabbit.refused(
        lambda channel: channel.exchange_declare("missing", "direct", passive=True),
        404,
        _missing(rabbit, "missing"),
        _DECLARE,
    )


@case("EXCH-DECLARE-03")
def passive_declare_ignores_everything_but_the_name(rabbit: Rabbit) -> None:
    """A passive declare of an exchange that exists succeeds whatever else it says, even an unknown type."""
    channel = rabbit.raw().channel()
    exchange = rabbit.name("x")
    channel.call(amqp.ExchangeDeclare(exchange=exchange))
    looks = [
        amqp.ExchangeDeclare(exchange=exchange, type="fanout", passive=True),
        amqp.ExchangeDeclare(exchange=exchange, type="nope", passive=True),
        amqp.ExchangeDeclare(exchange=exchange, passive=True, durable=True, auto_delete=True, internal=True),
        amqp.ExchangeDeclare(exchange=exchange, passive=True, arguments={"alternate-exchange": 5}),
    ]
    for look in looks:
        channel.call(look)


def _expect_bad_type(rabbit: Rabbit, method: amqp.ExchangeDeclare, text: str) -> None:
    channel = rabbit.raw().channel()
    channel.send(method)
    if rabbit.profile == "3.10":
        channel.connection.expect_close(503, text, _DECLARE)
    else:
        channel.expect_close(406, text, _DECLARE)


@case("EXCH-DECLARE-05")
def unknown_exchange_types(rabbit: Rabbit) -> None:
    """An unknown type closes the connection with 503 in 3.x, the channel with 406 in 4.x."""
    for unknown in ("nope", "DIRECT", "x-recent-history"):
        _expect_bad_type(
            rabbit, amqp.ExchangeDeclare(exchange=rabbit.name("x"), type=unknown), f"unknown exchange type '{unknown}'"
        )


@case("EXCH-DECLARE-06")
def empty_exchange_type(rabbit: Rabbit) -> None:
    """An empty type is called invalid, not unknown."""
    _expect_bad_type(rabbit, amqp.ExchangeDeclare(exchange=rabbit.name("x"), type=""), "invalid exchange type ''")


@case("EXCH-DECLARE-07")
def unknown_types_of_existing_exchanges(rabbit: Rabbit) -> None:
    """The type is looked at before the exchange is, and with nowait too."""
    exchange = rabbit.exchange(rabbit.channel())
    for nowait in (False, True):
        method = amqp.ExchangeDeclare(exchange=exchange, type="nope", nowait=nowait)
        _expect_bad_type(rabbit, method, "unknown exchange type 'nope'")


@case("EXCH-DECLARE-08")
def exchange_names(rabbit: Rabbit) -> None:
    """Names may hold 255 bytes, spaces, slashes and any UTF-8; CR and LF are taken out of them."""
    channel = rabbit.raw().channel()
    for name in (rabbit.name("x").ljust(255, "x"), rabbit.name("a b/c"), rabbit.name("größe-鼠")):
        rabbit.remember(name)
        channel.call(amqp.ExchangeDeclare(exchange=name))
        channel.call(amqp.ExchangeDeclare(exchange=name, passive=True))
    name = rabbit.name("x")
    channel.call(amqp.ExchangeDeclare(exchange=f"\r\n{name}\n"))
    channel.call(amqp.ExchangeDeclare(exchange=name, passive=True))
    channel.call(amqp.ExchangeDeclare(exchange=f"{name}\r", passive=True))


@case("EXCH-DECLARE-09")
def redeclaring_with_another_type(rabbit: Rabbit) -> None:
    """Declaring an exchange again with another type closes the channel with 406."""
    exchange = rabbit.exchange(rabbit.channel(), "direct")
    text = _different(rabbit, "type", exchange, "'fanout'", "'direct'")
    rabbit.refused(lambda channel: rabbit.exchange(channel, "fanout", exchange), 406, text, _DECLARE)


@case("EXCH-DECLARE-10", "EXCH-DECLARE-11")
def redeclaring_with_other_flags(rabbit: Rabbit) -> None:
    """The first flag that differs is told, in the order type, durable, auto_delete, internal, arguments."""
    raw = rabbit.raw()
    exchange = rabbit.name("x")
    raw.channel(1).call(amqp.ExchangeDeclare(exchange=exchange))
    everything: dict[str, Any] = {
        "type": "fanout",
        "durable": True,
        "auto_delete": True,
        "internal": True,
        "arguments": {"alternate-exchange": "x"},
    }
    texts = {
        "type": ("'fanout'", "'direct'"),
        "durable": ("'true'", "'false'"),
        "auto_delete": ("'true'", "'false'"),
        "internal": ("'true'", "'false'"),
        "arguments": ("the value 'x' of type 'longstr'", "none"),
    }
    for number, (flag, (received, current)) in enumerate(texts.items(), 2):
        channel = raw.channel(number)
        channel.send(amqp.ExchangeDeclare(exchange=exchange, **everything))
        argument = "alternate-exchange" if flag == "arguments" else flag
        channel.expect_close(406, _different(rabbit, argument, exchange, received, current), _DECLARE)
        del everything[flag]


@case("EXCH-DECLARE-12")
def unknown_exchange_arguments(rabbit: Rabbit) -> None:
    """Arguments that mean nothing are not compared."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, arguments={"foo": "bar"})
    for arguments in ({}, {"foo": 5}, {"x-unknown": "y"}):
        rabbit.exchange(channel, "direct", exchange, arguments=arguments)


@case("EXCH-DECLARE-13", "EXCH-DECLARE-14", "EXCH-DECLARE-15")
def redeclaring_with_another_alternate_exchange(rabbit: Rabbit) -> None:
    """An alternate-exchange that was added, dropped or changed closes the channel with 406; the text says which."""
    raw = rabbit.raw()
    plain, alternate = rabbit.name("x"), rabbit.name("x")
    channel = raw.channel(1)
    channel.call(amqp.ExchangeDeclare(exchange=plain))
    channel.call(amqp.ExchangeDeclare(exchange=alternate, arguments={"alternate-exchange": "ae1"}))
    channel.call(amqp.ExchangeDeclare(exchange=alternate, arguments={"alternate-exchange": ByteArray(b"ae1")}))
    redeclared: list[tuple[str, dict[str, Any], str, str]] = [
        (plain, {"alternate-exchange": "x"}, "the value 'x' of type 'longstr'", "none"),
        (alternate, {}, "none", "the value 'ae1' of type 'longstr'"),
        (alternate, {"alternate-exchange": "ae2"}, "'ae2'", "'ae1'"),
        (alternate, {"alternate-exchange": 5}, "'5'", "'ae1'"),
    ]
    for number, (exchange, arguments, received, current) in enumerate(redeclared, 2):
        channel = raw.channel(number)
        channel.send(amqp.ExchangeDeclare(exchange=exchange, arguments=arguments))
        channel.expect_close(
            406, _different(rabbit, "alternate-exchange", exchange, received, current), _DECLARE
        )


@case("EXCH-DECLARE-16", "EXCH-DECLARE-17")
def alternate_exchange_argument(rabbit: Rabbit) -> None:
    """The alternate-exchange of a new exchange must be a string; it need not exist."""
    rabbit.exchange(rabbit.channel(), arguments={"alternate-exchange": "missing"})
    exchange = rabbit.name("x")
    text = f"invalid type 'signedint' for arg 'alternate-exchange' in exchange '{exchange}' in vhost '{rabbit.vhost}'"
    rabbit.refused(
        lambda channel: rabbit.exchange(channel, "direct", exchange, arguments={"alternate-exchange": 5}),
        406,
        text,
        _DECLARE,
    )


@case("EXCH-DELETE-01", "EXCH-DELETE-02")
def deleting_an_exchange(rabbit: Rabbit) -> None:
    """An exchange is deleted with its bindings, and its queues stay; deleting one that is missing succeeds."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "fanout")
    queue = rabbit.bound(channel, exchange)
    channel.exchange_delete(exchange)
    true(not rabbit.has_exchange(exchange), "the exchange is still there")
    rabbit.exchange(channel, "fanout", exchange)
    rabbit.publish(channel, b"x", exchange)
    equal(rabbit.bodies(channel, queue), [], "messages through a binding of a deleted exchange")
    channel.exchange_delete("missing")
    channel.exchange_delete("missing", if_unused=True)


@case("EXCH-DELETE-03", "EXCH-DELETE-04")
def deleting_an_unused_exchange(rabbit: Rabbit) -> None:
    """With if-unused an exchange that is the source of a binding stays; one that is only a destination goes."""
    channel = rabbit.channel()
    source, destination, to_queue = (rabbit.exchange(channel, "fanout") for _ in range(3))
    channel.exchange_bind(destination, source)
    rabbit.bound(channel, to_queue)
    for used in (source, to_queue):
        text = f"exchange '{used}' in vhost '{rabbit.vhost}' in use"
        rabbit.refused(lambda channel, x=used: channel.exchange_delete(x, if_unused=True), 406, text, _DELETE)  # type: ignore[misc]
    channel.exchange_delete(destination, if_unused=True)
    channel.exchange_delete(source, if_unused=True)


@case("EXCH-DELETE-05", "CONFIRM-15", "PUB-26")
def publishing_to_a_missing_exchange(rabbit: Rabbit) -> None:
    """Publishing to an exchange that is missing closes the channel; nothing is returned or confirmed before."""
    raw = rabbit.raw()
    for number, (confirm, mandatory) in enumerate([(False, False), (True, False), (False, True), (True, True)], 1):
        channel = raw.channel(number)
        if confirm:
            channel.call(amqp.ConfirmSelect())
        channel.publish(b"x", "missing", "key", mandatory=mandatory)
        channel.expect_close(404, _missing(rabbit, "missing"), (60, 40))


def _auto_delete(rabbit: Rabbit, channel: Channel) -> str:
    return rabbit.exchange(channel, "fanout", auto_delete=True)


@case("EXCH-AUTODEL-01")
def auto_delete_exchange_without_bindings(rabbit: Rabbit) -> None:
    """An auto-delete exchange that was never bound stays."""
    connection = rabbit.connect()
    exchange = _auto_delete(rabbit, connection.channel())
    watch = rabbit.connect()
    connection.close()
    watch.channel().exchange_declare(exchange, "fanout", passive=True)


@case("EXCH-AUTODEL-02")
def auto_delete_exchange_losing_its_last_binding(rabbit: Rabbit) -> None:
    """An auto-delete exchange goes at once when its last binding does, in whatever way."""
    channel = rabbit.channel()
    ways: list[Callable[[str, str, str], object]] = [
        lambda exchange, queue, _: channel.queue_unbind(queue, exchange),
        lambda _, queue, __: channel.queue_delete(queue),
        lambda exchange, _, other: channel.exchange_unbind(other, exchange),
        lambda _, __, other: channel.exchange_delete(other),
    ]
    for number, remove in enumerate(ways):
        exchange, other, queue = _auto_delete(rabbit, channel), rabbit.exchange(channel), rabbit.queue(channel)
        if number < 2:
            channel.queue_bind(queue, exchange)
        else:
            channel.exchange_bind(other, exchange)
        true(rabbit.has_exchange(exchange), "the exchange went too early")
        remove(exchange, queue, other)
        true(not rabbit.has_exchange(exchange), f"the exchange is still there after way {number}")


@case("EXCH-AUTODEL-03", "EXCH-AUTODEL-02")
def auto_delete_exchange_as_a_destination(rabbit: Rabbit) -> None:
    """An auto-delete exchange that only was a destination stays when it is unbound; so does one with a binding left."""
    channel = rabbit.channel()
    destination, source = _auto_delete(rabbit, channel), rabbit.exchange(channel, "fanout")
    channel.exchange_bind(destination, source)
    channel.exchange_unbind(destination, source)
    channel.exchange_bind(destination, source)
    channel.exchange_delete(source)
    true(rabbit.has_exchange(destination), "the destination went")
    twice = _auto_delete(rabbit, channel)
    queue = rabbit.bound(channel, twice)
    rabbit.bound(channel, twice)
    channel.queue_unbind(queue, twice)
    true(rabbit.has_exchange(twice), "the exchange went with a binding left")


@case("EXCH-AUTODEL-04")
def auto_delete_exchanges_in_a_chain(rabbit: Rabbit) -> None:
    """An auto-delete exchange that goes takes with it the one whose last binding led to it."""
    channel = rabbit.channel()
    first, second = _auto_delete(rabbit, channel), _auto_delete(rabbit, channel)
    channel.exchange_bind(second, first)
    queue = rabbit.bound(channel, second)
    channel.queue_delete(queue)
    true(not rabbit.has_exchange(second), "the second exchange is still there")
    true(not rabbit.has_exchange(first), "the first exchange is still there")


@case("EXCH-INTERNAL-01", "EXCH-INTERNAL-02")
def internal_exchanges(rabbit: Rabbit) -> None:
    """Clients cannot publish to an internal exchange; other exchanges can."""
    raw = rabbit.raw()
    channel = raw.channel(1)
    internal, front, queue = rabbit.name("x"), rabbit.name("x"), rabbit.name()
    channel.call(amqp.ExchangeDeclare(exchange=internal, type="fanout", internal=True))
    channel.call(amqp.ExchangeDeclare(exchange=front, type="fanout"))
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.call(amqp.ExchangeBind(destination=internal, source=front))
    channel.call(amqp.QueueBind(queue=queue, exchange=internal))
    channel.publish(b"x", front, "key")
    content = channel.get(queue)
    true(isinstance(content, Content), "the message did not arrive")
    equal((content.method.exchange, content.method.routing_key), (front, "key"))  # type: ignore[union-attr]
    channel.publish(b"x", internal)
    text = f"cannot publish to internal exchange '{internal}' in vhost '{rabbit.vhost}'"
    channel.expect_close(403, text, (60, 40))


def _with_alternate(rabbit: Rabbit, channel: Channel, alternate: str) -> str:
    return rabbit.exchange(channel, arguments={"alternate-exchange": alternate})


@case("EXCH-AE-01", "PUB-27")
def alternate_exchange_takes_the_unroutable(rabbit: Rabbit) -> None:
    """What an exchange cannot route goes to its alternate, under the same routing key and the first exchange's name."""
    channel = rabbit.channel()
    alternate = rabbit.exchange(channel, "direct")
    exchange = _with_alternate(rabbit, channel, alternate)
    spare = rabbit.bound(channel, alternate, "key")
    queue = rabbit.bound(channel, exchange, "known")
    for key in ("key", "known"):
        rabbit.publish(channel, key.encode(), exchange, key)
    message = rabbit.get(channel, spare)
    equal((message.delivery_info["exchange"], message.delivery_info["routing_key"]), (exchange, "key"))
    equal((rabbit.bodies(channel, spare), rabbit.bodies(channel, queue)), ([], [b"known"]))


@case("EXCH-AE-01", "EXCH-AE-02", "EXCH-AE-03", "EXCH-AE-04")
def alternate_exchanges_and_mandatory(rabbit: Rabbit) -> None:
    """A message that the alternate routes is not returned; it is where the alternate is missing, a cycle, or the default."""
    channel = rabbit.channel()
    working = rabbit.exchange(channel, "fanout")
    rabbit.bound(channel, working)
    one, other = rabbit.name("x"), rabbit.name("x")
    rabbit.exchange(channel, "direct", one, arguments={"alternate-exchange": other})
    rabbit.exchange(channel, "direct", other, arguments={"alternate-exchange": one})
    queue = rabbit.queue(channel)
    raw = rabbit.raw().channel()
    raw.call(amqp.ConfirmSelect())
    for tag, (exchange, returned) in enumerate(
        [
            (_with_alternate(rabbit, channel, working), False),
            (_with_alternate(rabbit, channel, "missing"), True),
            (one, True),
            (_with_alternate(rabbit, channel, ""), True),
        ],
        1,
    ):
        raw.publish(b"x", exchange, queue, mandatory=True)
        if returned:
            equal(raw.message(amqp.BasicReturn).method, amqp.BasicReturn(312, "NO_ROUTE", exchange, queue))
        equal(raw.expect(amqp.BasicAck), amqp.BasicAck(tag))
    equal(rabbit.bodies(channel, queue), [], "messages through the default exchange as an alternate")
