"""Headers exchanges: a set of bindings against a set of messages (EXCH-HEADERS, HDR-M)."""

from typing import Final

from hutch.conformance.case import Play, case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, Float32, Int8, Int16, Int64

_BINDINGS: Final[dict[str, FieldTable]] = {
    "none": {"a": 1},
    "all": {"x-match": "all", "a": 1, "b": "x"},
    "any": {"x-match": "any", "a": 1, "b": "x"},
    "allx": {"x-match": "all-with-x", "a": 1, "x-foo": "1"},
    "anyx": {"x-match": "any-with-x", "a": 9, "x-foo": "1"},
    "all_x": {"x-match": "all", "a": 1, "x-foo": "1"},
    "any_onlyx": {"x-match": "any", "x-foo": "1"},
    "empty": {},
    "anyempty": {"x-match": "any"},
    "void": {"x-match": "all", "a": None},
    "voidstr": {"a": ""},
    "float": {"a": 1.0},
    "str1": {"a": "1"},
    "short": {"a": Int16(1)},
    "long": {"a": Int64(1)},
    "bool": {"a": True},
    "nested": {"n": {"k": 1}},
    "arr": {"n": [1, 2]},
    "xmatchmsg": {"x-match": "all", "c": "1"},
}

_ONE: Final = "none any all_x empty void short long"

#: Each row: the behaviours shown, the message's headers, the bindings that match, and those that match only on 3.10.
_MATRIX: Final[tuple[tuple[tuple[str, ...], FieldTable | None, str, str], ...]] = (
    (("HDR-M01", "EXCH-HEADERS-02"), {}, "empty", ""),
    (("HDR-M02", "EXCH-HEADERS-02"), None, "empty", ""),
    (("HDR-M03", "EXCH-HEADERS-01"), {"a": 1}, _ONE, "float"),
    (("HDR-M04", "EXCH-HEADERS-06"), {"a": Int16(1)}, _ONE, "float"),
    (("HDR-M05", "EXCH-HEADERS-06"), {"a": Int64(1)}, _ONE, "float"),
    (("HDR-M06", "EXCH-HEADERS-06"), {"a": Int8(1)}, _ONE, "float"),
    (("HDR-M07", "EXCH-HEADERS-06"), {"a": 1.0}, "empty void float", "none any all_x short long"),
    (("HDR-M08", "EXCH-HEADERS-06"), {"a": Float32(1.0)}, "empty void float", "none any all_x short long"),
    (("HDR-M09", "EXCH-HEADERS-07"), {"a": "1"}, "empty void str1", ""),
    (("HDR-M10", "EXCH-HEADERS-05"), {"a": "other"}, "empty void", ""),
    (("HDR-M11", "EXCH-HEADERS-07"), {"a": True}, "empty void bool", ""),
    (("HDR-M12", "EXCH-HEADERS-05"), {"a": None}, "empty void", ""),
    (("HDR-M13", "EXCH-HEADERS-01"), {"a": 1, "b": "x"}, _ONE + " all", "float"),
    (("HDR-M14", "EXCH-HEADERS-03"), {"b": "x"}, "any empty", ""),
    (("HDR-M15", "EXCH-HEADERS-04"), {"x-foo": "1"}, "anyx empty", ""),
    (("HDR-M16", "EXCH-HEADERS-04"), {"a": 1, "x-foo": "1"}, _ONE + " allx anyx", "float"),
    (("HDR-M17", "EXCH-HEADERS-07"), {"n": {"k": 1}}, "empty nested", ""),
    (("HDR-M18", "EXCH-HEADERS-07"), {"n": [1, 2]}, "empty arr", ""),
    (("HDR-M19", "EXCH-HEADERS-08"), {"x-match": "any", "c": "1"}, "empty xmatchmsg", ""),
    (("HDR-M20", "EXCH-HEADERS-08"), {"c": "1", "x-bar": 1}, "empty xmatchmsg", ""),
    (("HDR-M21", "EXCH-HEADERS-07"), {"A": 1}, "empty", ""),
)


def _headers_exchange(rabbit: Rabbit) -> tuple[RawChannel, str]:
    channel = rabbit.raw().channel()
    exchange = rabbit.name("x")
    channel.call(amqp.ExchangeDeclare(exchange=exchange, type="headers"))
    return channel, exchange


def _bound(rabbit: Rabbit, channel: RawChannel, exchange: str, arguments: FieldTable, routing_key: str = "") -> str:
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    channel.call(amqp.QueueBind(0, queue, exchange, routing_key, arguments=arguments))
    return queue


def _row(headers: FieldTable | None, matching: str, more_in_3_10: str) -> Play:
    def play(rabbit: Rabbit) -> None:
        channel, exchange = _headers_exchange(rabbit)
        queues = {name: _bound(rabbit, channel, exchange, arguments) for name, arguments in _BINDINGS.items()}
        if headers is None:
            channel.publish(b"x", exchange, "key")
        else:
            channel.publish(b"x", exchange, "key", headers=headers)
        matched = [name for name, queue in queues.items() if channel.get(queue)]
        wanted = matching.split() + rabbit.by_profile({"3.10": more_in_3_10.split(), "4.3": []})
        equal(sorted(matched), sorted(wanted), f"bindings that match {headers!r}")

    return play


def _register() -> None:
    for behaviours, headers, matching, more in _MATRIX:
        play = _row(headers, matching, more)
        play.__name__ = "headers_matrix_" + behaviours[0].rpartition("M")[2]
        told = "A message without headers" if headers is None else f"A message with the headers {_told(headers)}"
        also = f" (in 3.x also {more})" if more else ""
        play.__doc__ = f"{told} is matched by these bindings of many: {matching}{also}."
        case(*behaviours)(play)


def _told(headers: FieldTable) -> str:
    return ", ".join(f"{key}={type(value).__name__} {value!r}" for key, value in headers.items()) or "{}"


_register()


@case("EXCH-HEADERS-09", "EXCH-HEADERS-10")
def invalid_x_match(rabbit: Rabbit) -> None:
    """An x-match that is not one of the four words closes the channel with 406; words are case-sensitive."""
    channel, exchange = _headers_exchange(rabbit)
    queue = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=queue))
    bad: list[tuple[str | int, str]] = [
        ("bogus", 'Invalid x-match field value <<"bogus">>; expected all, any, all-with-x, or any-with-x'),
        ("ALL", 'Invalid x-match field value <<"ALL">>; expected all, any, all-with-x, or any-with-x'),
        (5, "Invalid x-match field type signedint (value 5); expected longstr"),
    ]
    for number, (value, text) in enumerate(bad, 2):
        refused = channel.connection.channel(number)
        refused.send(amqp.QueueBind(queue=queue, exchange=exchange, arguments={"x-match": value}))
        refused.expect_close(406, text, (50, 20))


@case("EXCH-HEADERS-11")
def unbinding_an_invalid_x_match(rabbit: Rabbit) -> None:
    """Unbinding does not look at x-match."""
    channel, exchange = _headers_exchange(rabbit)
    queue = _bound(rabbit, channel, exchange, {})
    channel.call(amqp.QueueUnbind(queue=queue, exchange=exchange, arguments={"x-match": "bogus"}))


@case("EXCH-HEADERS-12")
def headers_exchanges_ignore_routing_keys(rabbit: Rabbit) -> None:
    """Neither a binding's routing key nor a message's counts."""
    channel, exchange = _headers_exchange(rabbit)
    queue = _bound(rabbit, channel, exchange, {"a": 1}, "key")
    for key in ("key", "other", ""):
        channel.publish(b"x", exchange, key, headers={"a": 1})
    channel.publish(b"x", exchange, "key", headers={"a": 2})
    channel.expect_ready(queue, 3)
