"""Exchanges that delete themselves, are internal, or have an alternate (EXCH-AUTODEL, EXCH-INTERNAL, EXCH-AE)."""

from collections.abc import Callable

from hutch.client import Channel
from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit, told
from hutch.conformance.raw import fields
from hutch.wire import methods as amqp


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
    content = channel.got(queue)
    equal((fields(content).exchange, fields(content).routing_key), (front, "key"))
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
    equal((told(message)["exchange"], told(message)["routing_key"]), (exchange, "key"))
    equal((rabbit.bodies(channel, spare), rabbit.bodies(channel, queue)), ([], [b"known"]))


@case("EXCH-AE-01", "EXCH-AE-02", "EXCH-AE-03", "EXCH-AE-04")
def alternate_exchanges_and_mandatory(rabbit: Rabbit) -> None:
    """A message that the alternate cannot route is returned: a missing one, one of a circle, the default one."""
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


@case("EXCH-DEFAULT-05", "EXCH-DIRECT-01")
def the_default_exchange_compares_names(rabbit: Rabbit) -> None:
    """The default exchange tells upper from lower case, and takes no part of a name for the name."""
    channel = rabbit.channel()
    lower = rabbit.queue(channel)
    upper = rabbit.queue(channel, lower.upper())
    for key in (lower, upper, lower[:-1], f"{lower}.", "#", "*"):
        rabbit.publish_confirmed(channel, key.encode(), routing_key=key)
    equal((rabbit.bodies(channel, lower), rabbit.bodies(channel, upper)), ([lower.encode()], [upper.encode()]))
