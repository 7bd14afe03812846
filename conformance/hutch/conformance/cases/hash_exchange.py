"""Exchanges that a hash of the message makes pick a queue: x-consistent-hash and x-modulus-hash (EXCH-PLUGIN).

Which key gets to which queue is RabbitMQ's hashing alone, so that the letters below, one for each message, are facts.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.plugins import bound, declare, keys, needs_type, spread
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel
from hutch.wire import methods as amqp
from hutch.wire.fields import ByteArray, FieldTable, FieldValue, Float32, Int8, Int16, Int64, UInt8, UInt16, UInt32

_CONSISTENT: Final = "x-consistent-hash"
_MODULUS: Final = "x-modulus-hash"
_WEIGHTS: Final = ("1", "2", "3")
#: For each routing key from 0 to 59, the queue it routes to: a, b and c have the weights 1, 2 and 3.
_KEYS: Final = "cbcbaacbbabcbcccabbbbabbcccccbcbccbbbbcbccaacbabcbbbbcbbcccb"
_WITHOUT_B: Final = "ccccaacccacccccaaccccaccccccccccccccccccccaaccaccccccccccccc"
_WITH_B_LAST: Final = "ccbcaacccacccccbaccccaccccbcbcbcbcccccccbcaabcacccccccccbbbc"

_TABLE: Final[FieldTable] = {"k": "v", "n": {"m": 1}}
_VALUES: Final[tuple[FieldValue, ...]] = (
    *("x", "", "order.created", 1, 5, -5, True, False, None, 1.5, -0.0, 1e300, Float32(2.5), Decimal("1.25")),
    *(datetime(2020, 1, 1), [], ["a", "b"], [1, 300], {}, _TABLE, ByteArray(b"x")),
    *(Int8(5), UInt8(200), Int16(-5), UInt16(5), UInt32(5), Int64(1 << 40), Int64(-(1 << 63))),
)


def _consistent(
    rabbit: Rabbit, channel: RawChannel, arguments: FieldTable | None = None, weights: tuple[str, ...] = _WEIGHTS
) -> tuple[str, dict[str, str]]:
    """An exchange and its queues by letter, bound with these weights."""
    exchange = declare(rabbit, channel, _CONSISTENT, arguments)
    return exchange, bound(rabbit, channel, exchange, weights)


@case("EXCH-PLUGIN-01")
def weights_of_a_consistent_hash_exchange(rabbit: Rabbit) -> None:
    """The binding key must be an integer, at least 1 and in 4.x at most 10000, for queues and exchanges, also for
    missing ones.
    """
    needs_type(rabbit, _CONSISTENT)
    connection = rabbit.raw()
    exchange, queues = _consistent(rabbit, connection.channel(1), weights=("+3", "007", "10000"))
    refused = {
        **{key: f'The binding key must be an integer: <<"{key}">>' for key in ("notint", "1.5", " 1", "1 ", "1_0")},
        "": "The binding key must be an integer: <<>>",
        'a"b\\': 'The binding key must be an integer: <<"a\\"b\\\\">>',
        **dict.fromkeys(("0", "-1"), "The binding key must be greater than 0"),
    }
    if rabbit.profile == "4.3":
        refused |= dict.fromkeys(("10001", "9" * 20), "The binding key must not exceed 10000")
    queue = rabbit.name()
    connection.channel(2).call(amqp.QueueDeclare(queue=queue))
    for key, text in refused.items():
        for bind in (
            amqp.QueueBind(queue=queue, exchange=exchange, routing_key=key),
            amqp.ExchangeBind(destination="amq.fanout", source=exchange, routing_key=key),
        ):
            channel = connection.channel(3)
            channel.send(bind)
            channel.expect_close(406, text, (bind.CLASS_ID, bind.METHOD_ID))
    channel = connection.channel(3)
    channel.send(amqp.QueueBind(queue="missing", exchange=exchange, routing_key="no weight"))
    channel.expect_close(404, f"no queue 'missing' in vhost '{rabbit.vhost}'", (50, 20))
    equal(set(spread(connection.channel(4), exchange, queues, keys())), {"c"}, "queues of the weights 3, 7 and 10000")


@case("EXCH-PLUGIN-02")
def consistent_hashing_by_routing_key(rabbit: Rabbit) -> None:
    """Each message gets to one queue, by its routing key and the queues' weights; more keys do not matter."""
    needs_type(rabbit, _CONSISTENT)
    channel = rabbit.raw().channel()
    exchange, queues = _consistent(rabbit, channel)
    for _ in range(2):
        equal(spread(channel, exchange, queues, keys()), _KEYS)
    more: FieldTable = {"CC": ["7", "8", "0"], "BCC": ["1"]}
    equal(spread(channel, exchange, queues, [{**message, "headers": more} for message in keys()]), _KEYS, "with CC")
    equal(spread(channel, exchange, queues, keys("", "order.created", "é", "a" * 200, "x.y.z")), "aabcb")
    (alone,) = bound(rabbit, channel, other := declare(rabbit, channel, _CONSISTENT), ["1"]).values()
    equal(spread(channel, other, {"a": alone}, keys()), "a" * 60, "a lone queue")


@case("EXCH-PLUGIN-02")
def consistent_hashing_when_bindings_go(rabbit: Rabbit) -> None:
    """When a queue is unbound or deleted, its keys are spread over the others; bound again it stands last."""
    needs_type(rabbit, _CONSISTENT)
    channel = rabbit.raw().channel()
    exchange, queues = _consistent(rabbit, channel)
    channel.call(amqp.QueueUnbind(queue=queues["b"], exchange=exchange, routing_key="2"))
    equal(spread(channel, exchange, queues, keys()), _WITHOUT_B)
    channel.call(amqp.QueueBind(queue=queues["b"], exchange=exchange, routing_key="2"))
    equal(spread(channel, exchange, queues, keys()), _WITH_B_LAST)
    channel.call(amqp.QueueDelete(queue=queues.pop("b")))
    equal(spread(channel, exchange, queues, keys()), _WITHOUT_B)
    for queue in queues.values():
        channel.call(amqp.QueueDelete(queue=queue))
    channel = channel.connection.channel(2)
    channel.publish(exchange=exchange, routing_key="0", mandatory=True)
    equal(channel.message(amqp.BasicReturn).method, amqp.BasicReturn(312, "NO_ROUTE", exchange, "0"))


@case("EXCH-PLUGIN-02", "RESTART-12")
def a_consistent_hash_exchange_after_a_restart(rabbit: Rabbit) -> None:
    """In 3.10 a restart deletes transient queues, and their keys are spread over the others. In 4.x the exchange does
    not notice: their keys get nowhere, or into a new queue of that name without a binding. Binding and deleting such a
    queue makes the exchange forget it.
    """
    needs_type(rabbit, _CONSISTENT)
    connection = rabbit.raw()
    channel = connection.channel()
    exchange = rabbit.name("x")
    channel.call(amqp.ExchangeDeclare(exchange=exchange, type=_CONSISTENT, durable=True))
    queues = {letter: rabbit.name(letter) for letter in "ab"}
    for letter, queue in queues.items():
        channel.call(amqp.QueueDeclare(queue=queue, durable=letter == "a"))
        channel.call(amqp.QueueBind(queue=queue, exchange=exchange, routing_key="1"))
    before = spread(channel, exchange, queues, keys())
    equal(set(before), {"a", "b"}, "queues that get messages before the restart")
    rabbit.restart()
    channel = rabbit.raw().channel()
    forgets = rabbit.profile == "3.10"
    lone = {"a": queues["a"]}
    equal(spread(channel, exchange, lone, keys()), "a" * 60 if forgets else before.replace("b", "-"), "restarted")
    channel.call(amqp.QueueDeclare(queue=queues["b"]))
    equal(spread(channel, exchange, queues, keys()), "a" * 60 if forgets else before, "the queue declared anew")
    channel.call(amqp.QueueBind(queue=queues["b"], exchange=exchange, routing_key="1"))
    equal(spread(channel, exchange, queues, keys()), before, "the queue bound anew")
    channel.call(amqp.QueueDelete(queue=queues["b"]))
    equal(spread(channel, exchange, lone, keys()), "a" * 60, "the queue deleted")


@case("EXCH-PLUGIN-03")
def a_queue_bound_twice_to_a_consistent_hash_exchange(rabbit: Rabbit) -> None:
    """A second binding of a queue, with another weight, changes nothing; when either goes, the queue gets no more."""
    needs_type(rabbit, _CONSISTENT)
    channel = rabbit.raw().channel()
    for gone in ("40", "2"):
        exchange, queues = _consistent(rabbit, channel)
        channel.call(amqp.QueueBind(queue=queues["b"], exchange=exchange, routing_key="40"))
        equal(spread(channel, exchange, queues, keys()), _KEYS)
        for key in (gone, "40", "2"):
            channel.call(amqp.QueueUnbind(queue=queues["b"], exchange=exchange, routing_key=key))
            equal(spread(channel, exchange, queues, keys()), _WITHOUT_B)


@case("EXCH-PLUGIN-04", "EXCH-PLUGIN-05")
def what_a_consistent_hash_exchange_cannot_hash(rabbit: Rabbit) -> None:
    """Three properties can be hashed, or a header, and not both; a name that is no text crashes the connection. An
    alternate exchange that is no text is found before.
    """
    needs_type(rabbit, _CONSISTENT)
    exchange = rabbit.name("x")
    both = "hash-header and hash-property are mutually exclusive"
    alternate = f"invalid type 'signedint' for arg 'alternate-exchange' in exchange '{exchange}' in vhost"
    refusals: list[tuple[FieldTable, str]] = [
        ({"hash-property": "app_id"}, "Unsupported property: app_id"),
        ({"hash-property": "app_id", "hash-header": "x"}, both),
        ({"hash-property": 5, "alternate-exchange": 5}, f"{alternate} '{rabbit.vhost}'"),
    ]
    connection = rabbit.raw()
    for arguments, text in refusals:
        channel = connection.channel()
        channel.send(amqp.ExchangeDeclare(exchange=exchange, type=_CONSISTENT, arguments=arguments))
        channel.expect_close(406, text, (40, 10))
    crashing: list[FieldTable] = [
        {"hash-header": 5},
        {"hash-property": None},
        {"hash-property": True, "hash-header": "x"},
        {"hash-header": ByteArray(b"x")},
    ]
    for arguments in crashing:
        channel = rabbit.raw().channel()
        channel.send(amqp.ExchangeDeclare(exchange=exchange, type=_CONSISTENT, arguments=arguments))
        channel.connection.expect_close(541, "", (0, 0))


@case("EXCH-PLUGIN-04", "EXCH-PLUGIN-06")
def consistent_hashing_by_header(rabbit: Rabbit) -> None:
    """A header's value decides, in 3.x with its type; a missing one is a value like another."""
    needs_type(rabbit, _CONSISTENT)
    channel = rabbit.raw().channel()
    exchange, queues = _consistent(rabbit, channel, {"hash-header": "h"})
    messages = [{"headers": {"h": value}} for value in (*_VALUES, *range(16), *(f"k{n}" for n in range(16)))]
    wanted = {
        "3.10": "cbcccacbaccccbcaabacccbbaacbccbbacbaccccbcbbcbccacacccccaccb",
        "4.3": "caaccbaabaabcbbccccccccbccccccabccccbcccbccabccbbcbccbccbbba",
    }
    equal(spread(channel, exchange, queues, messages), rabbit.by_profile(wanted))
    without: list[dict[str, object]] = [{}, {"headers": {"o": 1}}, {"key": "0"}, {"headers": {}}]
    equal(spread(channel, exchange, queues, without), "bbbb", "messages without the header")


@case("EXCH-PLUGIN-04", "EXCH-PLUGIN-06")
def consistent_hashing_by_property(rabbit: Rabbit) -> None:
    """The correlation id, the message id, or the timestamp's digits decide; a missing one is a value like another."""
    needs_type(rabbit, _CONSISTENT)
    channel = rabbit.raw().channel()
    for name, values, wanted in (
        ("correlation_id", map(str, range(60)), _KEYS),
        ("message_id", map(str, range(60)), _KEYS),
        ("timestamp", range(1600000000, 1600000030), "cbcccbbccbaabcbcacaaccacacccba"),
    ):
        exchange, queues = _consistent(rabbit, channel, {"hash-property": name})
        messages = [{name: value, "key": "0"} for value in values]
        equal(spread(channel, exchange, queues, [*messages, {"key": "0"}]), wanted + "b", name)


@case("EXCH-PLUGIN-07")
def what_a_consistent_hash_exchange_does_not_compare(rabbit: Rabbit) -> None:
    """What is hashed is not compared when the exchange is declared again, nor checked."""
    needs_type(rabbit, _CONSISTENT)
    channel = rabbit.raw().channel()
    exchange, queues = _consistent(rabbit, channel)
    for arguments in ({"hash-header": "a"}, {"hash-property": "app_id"}, {"hash-header": 5}):
        channel.call(amqp.ExchangeDeclare(exchange=exchange, type=_CONSISTENT, arguments=arguments))
    equal(spread(channel, exchange, queues, keys()), _KEYS)


@case("EXCH-PLUGIN-02", "EXCH-BIND-09")
def consistent_hashing_over_exchanges(rabbit: Rabbit) -> None:
    """Exchanges stand among the queues, each with its weight; one that is reached from another exchange hashes too."""
    needs_type(rabbit, _CONSISTENT)
    channel = rabbit.raw().channel()
    front, exchange, last = (declare(rabbit, channel, type_) for type_ in ("fanout", _CONSISTENT, "fanout"))
    queues = bound(rabbit, channel, exchange, ("1", "2"))
    channel.call(amqp.ExchangeBind(destination=exchange, source=front))
    channel.call(amqp.ExchangeBind(destination=last, source=exchange, routing_key="3"))
    (queues["c"],) = bound(rabbit, channel, last, [""]).values()
    equal(spread(channel, front, queues, keys()), _KEYS)


@case("EXCH-PLUGIN-10")
def modulus_hashing(rabbit: Rabbit) -> None:
    """All routing keys of a message together pick a binding; a queue that is bound twice gets twice as much. The
    bindings are in the order of their queues' names, in 3.x first in that of their keys.
    """
    needs_type(rabbit, _MODULUS)
    channel = rabbit.raw().channel()
    exchange = declare(rabbit, channel, _MODULUS)
    channel.publish(exchange=exchange, routing_key="0", mandatory=True)
    equal(channel.message(amqp.BasicReturn).method, amqp.BasicReturn(312, "NO_ROUTE", exchange, "0"))
    queues = bound(rabbit, channel, exchange, ("k", "m", "z", "a"))
    plain = {
        "3.10": "ddabbcaddddacbdcabbddbcccdddbdbbbcbcbdbdaaadcdbbabddcabddcdc",
        "4.3": "aabccdbaaaabdcadbccaacdddaaacacccdcdcacabbbadaccbcaadbcaadad",
    }
    equal(spread(channel, exchange, queues, keys()), rabbit.by_profile(plain))
    more: FieldTable = {"CC": ["7", "8"], "BCC": ["q"]}
    messages = [{**message, "headers": more} for message in keys()[:20]]
    copied = {"3.10": "cbacbdddcccdccaaaddd", "4.3": "dcbdcaaadddaddbbbaaa"}
    equal(spread(channel, exchange, queues, messages), rabbit.by_profile(copied), "with CC")
    for letter, key in (("a", "0"), ("d", "zz")):
        channel.call(amqp.QueueBind(queue=queues[letter], exchange=exchange, routing_key=key))
    twice = {
        "3.10": "ccdaaddaccadbcabdcaaaadddacaccaccdadaaaadbbcbaacdcccbdacadad",
        "4.3": "ddabaadaddbdcdbcadbaaadadbdaddbdddadabbadccdcaadadddcdadbdad",
    }
    equal(spread(channel, exchange, queues, keys()), rabbit.by_profile(twice), "two of them bound twice")


@case("EXCH-PLUGIN-10", "EXCH-BIND-09")
def modulus_hashing_over_exchanges(rabbit: Rabbit) -> None:
    """Exchanges stand before the queues, in 3.x among those of the same key."""
    needs_type(rabbit, _MODULUS)
    channel = rabbit.raw().channel()
    exchange, last = declare(rabbit, channel, _MODULUS), declare(rabbit, channel, "fanout")
    queues = bound(rabbit, channel, exchange, ("k", "m", "z", "a"))
    channel.call(amqp.ExchangeBind(destination=last, source=exchange, routing_key="m"))
    queues["e"] = rabbit.name("e")
    channel.call(amqp.QueueDeclare(queue=queues["e"]))
    channel.call(amqp.QueueBind(queue=queues["e"], exchange=last))
    wanted = {
        "3.10": "cbaddcadcbddbdcdcdaabecdceddacaaccdbeebadabebcbacedeabeddbeb",
        "4.3": "dcaeedaedceecededeaacbdedbeeadaaddecbbcaeacbcdcadbebacbeecbc",
    }
    equal(spread(channel, exchange, queues, keys()), rabbit.by_profile(wanted))
