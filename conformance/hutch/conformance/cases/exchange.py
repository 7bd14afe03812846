"""Exchanges: the predeclared ones, declaring, deleting, auto-delete, internal, alternate (EXCH-DEFAULT to EXCH-AE)."""

# ruff: noqa: B023  (what is handed to refused() and eventually() is called before the loop goes on)

from collections.abc import Callable
from typing import Any

from hutch.client import Channel
from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit, told
from hutch.wire import methods as amqp
from hutch.wire.fields import ByteArray

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
    """Declaring the default exchange is refused, whatever the type, also passively."""
    for kwargs in ({"type": "direct"}, {"type": "fanout"}, {"type": "direct", "passive": True}):
        rabbit.refused(lambda channel: channel.exchange_declare("", **kwargs), 403, _NOT_ON_DEFAULT, _DECLARE)


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
        rabbit.refused(lambda channel: attempt(channel, "amq.direct", ""), 403, _NOT_ON_DEFAULT, method)
        rabbit.refused(lambda channel: attempt(channel, "", "amq.direct"), 403, _NOT_ON_DEFAULT, method)


@case("EXCH-DEFAULT-05")
def publishing_to_the_default_exchange(rabbit: Rabbit) -> None:
    """A message published to the default exchange goes to the queue its routing key names."""
    channel = rabbit.channel()
    one, other = rabbit.queue(channel), rabbit.queue(channel)
    rabbit.publish(channel, b"x", routing_key=one)
    rabbit.publish(channel, b"lost", routing_key="no-such-queue")
    message = rabbit.get(channel, one)
    equal((told(message)["exchange"], told(message)["routing_key"]), ("", one))
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
    """Redeclaring a predeclared exchange with another type or other flags is refused."""
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
        rabbit.refused(lambda channel: channel.exchange_delete(name), 403, text, _DELETE)


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
        amqp.ExchangeDeclare(exchange=exchange, type="no-such-type", passive=True),
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
    # No broker knows these types. RabbitMQ calls a type invalid, not unknown, if the word exists as an Erlang atom.
    for unknown in ("no-such-type", "DIRECT", "x-no-such-type"):
        _expect_bad_type(
            rabbit, amqp.ExchangeDeclare(exchange=rabbit.name("x"), type=unknown), f"unknown exchange type '{unknown}'"
        )


@case("EXCH-DECLARE-06")
def empty_exchange_type(rabbit: Rabbit) -> None:
    """An empty type is called invalid, not unknown."""
    _expect_bad_type(rabbit, amqp.ExchangeDeclare(exchange=rabbit.name("x"), type=""), "invalid exchange type ''")


@case("EXCH-DECLARE-07")
def unknown_types_of_existing_exchanges(rabbit: Rabbit) -> None:
    """The type is checked before the exchange is looked up, also with nowait."""
    exchange = rabbit.exchange(rabbit.channel())
    for nowait in (False, True):
        method = amqp.ExchangeDeclare(exchange=exchange, type="no-such-type", nowait=nowait)
        _expect_bad_type(rabbit, method, "unknown exchange type 'no-such-type'")


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
        channel.expect_close(406, _different(rabbit, "alternate-exchange", exchange, received, current), _DECLARE)


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
        rabbit.refused(lambda channel: channel.exchange_delete(used, if_unused=True), 406, text, _DELETE)
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


@case("EXCH-DECLARE-04", "EXCH-DELETE-01", "EXCH-BIND-05")
def exchange_methods_without_a_reply(rabbit: Rabbit) -> None:
    """With nowait, binding and unbinding exchanges and deleting one is carried out and not answered."""
    channel, queue = rabbit.raw_queue()
    source, destination = rabbit.name("x"), rabbit.name("x")
    for exchange in (source, destination):
        channel.send(amqp.ExchangeDeclare(exchange=exchange, type="fanout", nowait=True))
    channel.call(amqp.QueueBind(queue=queue, exchange=destination))
    channel.send(amqp.ExchangeBind(destination=destination, source=source, nowait=True))
    channel.publish(b"bound", source)
    channel.send(amqp.ExchangeUnbind(destination=destination, source=source, nowait=True))
    channel.publish(b"unbound", source)
    channel.publish(b"direct", destination)
    channel.expect_ready(queue, 2)
    equal([channel.got(queue, no_ack=True).body for _ in range(2)], [b"bound", b"direct"])
    channel.send(amqp.ExchangeDelete(exchange=source, nowait=True))
    channel.expect_nothing()
    true(not rabbit.has_exchange(source), "the exchange is still there")
