"""Exchanges that hold messages back: x-delayed-message, of a plugin that RabbitMQ's packages do not have."""

from typing import Final

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.plugins import bound, declare, needs_type
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, properties_of
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, FieldValue, Int64, UInt32

_DELAYED: Final = "x-delayed-message"


def _declared(rabbit: Rabbit, type_: str = "fanout") -> tuple[RawChannel, str, str]:
    """A channel, a delayed message exchange, and a queue bound to it with the key ``k``."""
    channel = rabbit.raw().channel()
    exchange = declare(rabbit, channel, _DELAYED, {"x-delayed-type": type_})
    return channel, exchange, bound(rabbit, channel, exchange, ["k"])["a"]


@case("EXCH-DECLARE-05")
def delayed_types(rabbit: Rabbit) -> None:
    """A delayed message exchange must name an existing exchange type, and refuses what that type refuses."""
    needs_type(rabbit, _DELAYED)
    exchange = rabbit.name("x")
    missing = "Invalid argument, 'x-delayed-type' must be an existing exchange type"
    refusals: list[FieldTable] = [{}, {"x-delayed-type": 5}, {"x-delayed-type": True}]
    for arguments in refusals:
        channel = rabbit.raw().channel()
        channel.send(amqp.ExchangeDeclare(exchange=exchange, type=_DELAYED, arguments=arguments))
        channel.expect_close(406, missing, (40, 10))
    for name, word in (("nope", "unknown"), ("", "invalid")):
        channel = rabbit.raw().channel()
        channel.send(amqp.ExchangeDeclare(exchange=exchange, type=_DELAYED, arguments={"x-delayed-type": name}))
        text = f"{word} exchange type '{name}'"
        if rabbit.profile == "3.10":
            channel.connection.expect_close(503, text, (40, 10))
        else:
            channel.expect_close(406, text, (40, 10))
    channel = rabbit.raw().channel()
    exchange = declare(rabbit, channel, _DELAYED, {"x-delayed-type": "headers"})
    channel.call(amqp.ExchangeDeclare(exchange=exchange, type=_DELAYED))
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.send(amqp.QueueBind(queue=queue, exchange=exchange, arguments={"x-match": "z"}))
    text = 'Invalid x-match field value <<"z">>; expected all, any, all-with-x, or any-with-x'
    channel.expect_close(406, text, (50, 20))


@case("EXCH-DECLARE-05")
def delayed_messages(rabbit: Rabbit) -> None:
    """A message with a delay arrives that much later, several of one delay in their order; 4.x negates the header."""
    needs_type(rabbit, _DELAYED)
    channel, exchange, queue = _declared(rabbit, "direct")
    for body, delay in ((b"late", 400), (b"early", 200), (b"last", 400)):
        channel.publish(body, exchange, "k", headers={"x-delay": delay})
    channel.publish(b"now", exchange, "k", headers={"x-delay": -5})
    channel.publish(b"never", exchange, "other", headers={"x-delay": 1})
    channel.expect_ready(queue, 1)
    for seconds, count in ((0.25, 2), (0.4, 4)):
        rabbit.advance(seconds)
        channel.expect_ready(queue, count)
    contents = [channel.got(queue, no_ack=True) for _ in range(4)]
    equal([content.body for content in contents], [b"now", b"early", b"late", b"last"])
    headers = [properties_of(content)["headers"] for content in contents[:2]]
    sign = rabbit.by_profile({"3.10": 1, "4.3": -1})
    equal(headers, [{"x-delay": -5}, {"x-delay": sign * 200}])


@case("EXCH-DECLARE-05")
def delayed_messages_are_unroutable_at_first(rabbit: Rabbit) -> None:
    """A mandatory message that is delayed is returned and confirmed, and arrives later; so does one of a transaction
    that is rolled back.
    """
    needs_type(rabbit, _DELAYED)
    channel, exchange, queue = _declared(rabbit)
    channel.call(amqp.ConfirmSelect())
    channel.publish(b"a", exchange, "k", mandatory=True, headers={"x-delay": 200})
    equal(channel.message(amqp.BasicReturn).method, amqp.BasicReturn(312, "NO_ROUTE", exchange, "k"))
    equal(channel.expect(amqp.BasicAck), amqp.BasicAck(1))
    other = channel.connection.channel(2)
    other.call(amqp.TxSelect())
    other.publish(b"b", exchange, "k", headers={"x-delay": 200})
    other.call(amqp.TxRollback())
    equal(channel.ready(queue), 0)
    rabbit.advance(0.4)
    channel.expect_ready(queue, 2)


@case("EXCH-DECLARE-05")
def what_is_no_delay(rabbit: Rabbit) -> None:
    """Numbers of most types are a delay, and so is text that is a number. Other values are none; other text crashes.
    More than 32 bits of milliseconds are no delay.
    """
    needs_type(rabbit, _DELAYED)
    channel, exchange, queue = _declared(rabbit)
    immediate: list[FieldValue] = [0, -1, True, [200], {"a": 1}, Int64(1 << 32)]
    delayed: list[FieldValue] = [200, "200", UInt32(200), Int64(200), Int64((1 << 32) - 1)]
    for value in (*immediate, *delayed):
        channel.publish(b"x", exchange, "k", headers={"x-delay": value})
    channel.expect_ready(queue, len(immediate))
    rabbit.advance(0.4)
    channel.expect_ready(queue, len(immediate) + len(delayed) - 1)
    for text in ("soon", "1.5", ""):
        channel = rabbit.raw().channel()
        channel.publish(b"x", exchange, "k", headers={"x-delay": text})
        channel.connection.expect_close(541, "", (0, 0))
