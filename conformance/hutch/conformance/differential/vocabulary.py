"""The strategies that draw operations: mostly legal ones, on few names, so that they meet each other."""

from datetime import datetime
from decimal import Decimal
from itertools import product
from typing import Any, Final

from hutch.conformance.differential import dead_letters, replies, restarts, streams, timing
from hutch.conformance.differential import strategies as st
from hutch.conformance.differential.administration import Operations
from hutch.conformance.differential.drawing import flag, mostly, rather, seldom
from hutch.conformance.differential.operations import (
    REPEATED,
    UNKNOWN,
    USERS_OWN,
    ZERO,
    Advance,
    Call,
    End,
    Operation,
    Place,
    Publish,
    Settle,
)
from hutch.conformance.differential.plugin_exchanges import PluginExchanges
from hutch.conformance.differential.strategies import Strategy
from hutch.wire import methods as wire
from hutch.wire.fields import ByteArray, FieldTable, FieldValue, Float32, Int8, Int16, Int64, UInt8, UInt16, UInt32

#: Number of connections, and of channels on each.
CONNECTIONS: Final = 2
CHANNELS: Final = 2
#: Number of operations in a script, after the declarations at its beginning.
STEPS: Final = 50
QUEUES: Final = ("q1", "q2", "q3", "q4")
EXCHANGES: Final = ("x1", "x2", "x3")
TYPES: Final = ("direct", "fanout", "topic", "headers")
#: Name of a queue or exchange that is never declared.
MISSING: Final = "missing"
RANDOM: Final = "random"
TAGS: Final = ("t1", "t2")
#: Aliases of the first queues that the broker names. Before such a queue exists, the alias is an ordinary name.
ALIASES: Final = ("~1", "~2")

_LIST: Final[list[FieldValue]] = [1, "a"]
_VALUES: Final[tuple[FieldValue, ...]] = (
    *(1, 0, -1, "a", "1", "", True, False, None, 1.0, Float32(1.0), Int8(1), UInt8(1), Int16(1), UInt16(1)),
    *(UInt32(1), Int64(1), Decimal("1.5"), datetime(2020, 1, 1), ByteArray(b"a"), _LIST, {"k": 1}),
)
_QUEUE_ARGUMENTS: Final[dict[str, tuple[FieldValue, ...]]] = {
    "x-message-ttl": (3600000, 0, 3600000, 0, 150),
    "x-expires": (3600000, 3600000, 300),
    "x-max-length": (2, 0, 1, 3, Int64(2)),
    "x-max-length-bytes": (20, 0, 10),
    "x-overflow": ("drop-head", "reject-publish", "reject-publish-dlx"),
    "x-max-priority": (3, 0, 1, 255),
    "x-single-active-consumer": (True, False),
    "x-queue-mode": ("default", "lazy", "other"),
    "x-queue-version": (2, 1),
    "x-queue-type": ("classic", "quorum", "stream"),
    "x-queue-leader-locator": ("client-local", "balanced", "other"),
    "x-queue-master-locator": ("min-masters", "client-local"),
    "x-delivery-limit": (3, 0, 1),
    "x-max-age": ("1h", "1x"),
    "x-stream-max-segment-size-bytes": (1000000, Int64(3000000001)),
    "x-stream-filter-size-bytes": (16, 255, 15, 256),
    "x-initial-cluster-size": (1,),
    "x-quorum-initial-group-size": (1,),
    "x-consumer-timeout": (3600000,),
    "x-dead-letter-strategy": (*dead_letters.STRATEGIES, "other"),
    "x-unknown": (1, "a"),
}
_SIZES: Final = st.sampled_from((0, 0, 8, 15, 30))
#: Arguments of a quorum queue; all are legal.
_QUORUM_ARGUMENTS: Final = (
    *("x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes", "x-overflow"),
    *("x-single-active-consumer", "x-delivery-limit"),
)
#: Index in QUEUES of the queue that may be a stream.
_STREAM: Final = 3
#: Index in QUEUES of the queue that may dead-letter at least once.
_DYING: Final = 2
_WORDS: Final = ("a", "b", "*", "#", "")


def _may_be(argument: str, value: FieldValue) -> bool:
    """Whether a queue's argument may have this odd value.

    Not allowed are times so short that they end during a look, and segments without room for a message, which hang a
    stream. Nor is a float or decimal after which 3.10 never answers on the channel again.
    """
    if argument == "x-stream-max-segment-size-bytes":
        return not isinstance(value, int) or value < 0
    if argument in {"x-message-ttl", "x-expires"}:
        return isinstance(value, bool) or not isinstance(value, int) or value <= 0
    return argument != "x-queue-master-locator" or not isinstance(value, float | Decimal)


class Vocabulary:
    """Strategies over names that begin with ``prefix``. With exchange types of plugins half of the scripts have these;
    if ``administered``, an operator takes part. With ``restarted_types`` the broker is seldom restarted, in scripts
    that have exchanges of these types alone.
    """

    def __init__(
        self,
        prefix: str = "",
        plugin_types: tuple[str, ...] = (),
        *,
        administered: bool = False,
        restarted_types: tuple[str, ...] | None = None,
    ) -> None:
        self.queues: Final = tuple(prefix + name for name in QUEUES)
        self.exchanges: Final = tuple(prefix + name for name in EXCHANGES)
        self.missing: Final = prefix + MISSING
        #: An exchange whose routing is not determined.
        self.random: Final = prefix + RANDOM
        self._plain: Final = Vocabulary(prefix, administered=administered) if plugin_types else None
        self._plugins: Final = (
            PluginExchanges(plugin_types, self.queues, self.exchanges, self.random) if plugin_types else None
        )
        self._lasting: Final = (
            None if restarted_types is None else Vocabulary(prefix, restarted_types, administered=administered)
        )
        self._operator: Final = Operations(self.queues, self.exchanges, self.missing) if administered else None
        missing = self.missing
        self._queue: Final = mostly(self.queues, (missing, "", *ALIASES), 25)
        self._exchange: Final = mostly((*self.exchanges, "", "amq.topic", "amq.headers"), (missing, "amq.match"), 40)
        self._declared_exchange: Final = mostly(self.exchanges, (missing, "", "amq.direct", "amq.odd"), 30)
        self._connection: Final = st.sampled_from([*range(1, CONNECTIONS + 1), *([USERS_OWN] if administered else [])])
        self._place: Final = st.builds(Place, self._connection, st.integers(1, CHANNELS))
        key = st.lists(st.sampled_from(_WORDS), max_size=3).map(".".join)
        self._key: Final = st.one_of(st.sampled_from(("a", *self.queues)), key)
        self._dead_letters: Final[dict[str, Strategy[FieldValue]]] = {
            "x-dead-letter-exchange": st.sampled_from(("", *self.exchanges, missing, "amq.fanout")),
            "x-dead-letter-routing-key": st.sampled_from((*self.queues, "a", "")),
        }

    def script(self) -> Strategy[list[Operation]]:
        """Operations, those first that make a world."""
        scripts = self._scripts()
        # Seldom, because a restart takes as long as many scripts.
        return scripts if self._lasting is None else rather(scripts, self._lasting.restarted(), 25)

    def restarted(self) -> Strategy[list[Operation]]:
        """The same, with a restart in them."""
        return restarts.restarted(self._scripts(), self.queues)

    def _scripts(self) -> Strategy[list[Operation]]:
        more = st.lists(self.operation(), min_size=STEPS, max_size=STEPS)
        own = st.builds(_joined, self.beginning(), more)
        if self._plain is not None:
            return st.one_of(own, self._plain.script())
        reading = st.lists(st.one_of(self._reading(), self.operation()), min_size=STEPS, max_size=STEPS)
        dying = st.lists(st.one_of(self._dying(), self.operation()), min_size=STEPS, max_size=STEPS)
        prompt = st.one_of(
            own,
            st.builds(_joined, self.beginning(streaming=True), reading),
            st.builds(_joined, self.beginning(dying=True), dying),
        )
        # Seldom, because these scripts wait for seconds.
        return rather(prompt, st.builds(_joined, self.beginning(timed=True), self._timed()), 6)

    def beginning(
        self, *, streaming: bool = False, dying: bool = False, timed: bool = False
    ) -> Strategy[list[Operation]]:
        """Exchanges, queues and bindings. If ``streaming``, there is a stream, and channels may read it; if ``dying``,
        a queue that dead-letters at least once; if ``timed``, messages expire soon.
        """
        place = Place(1, 1)
        usual = self.exchanges if self._plugins is None else self.exchanges[:1]
        exchanges = [self._exchange_declare(st.just(name), odd=False) for name in usual]
        queues = [self._queue_declare(st.just(name), odd=False) for name in self.queues[:2]]
        queues += [
            st.one_of(self._queue_declare(st.just(name), odd=False), self._quorum_declare(name))
            for name in self.queues[2:]
        ]
        stream = streams.declare(self.queues[_STREAM])
        queues[_STREAM] = stream if streaming else rather(queues[_STREAM], stream, 4)
        if dying:
            queues[_DYING] = self._certain_declare(self.queues[_DYING])
        if timed:
            exchanges_of_dead, keys = self._dead_letters.values()
            queues = [timing.declare(name, exchanges_of_dead, keys) for name in self.queues]
        plugins = () if self._plugins is None else self._plugins.beginning()
        made = [method.map(lambda method: Call(place, method)) for method in (*exchanges, *queues, *plugins)]
        bindings = st.lists(st.builds(Call, self._place, self._bind()), max_size=6)
        permissions = st.just([]) if self._operator is None else self._operator.beginning()
        places = [Place(*each) for each in product(range(1, CONNECTIONS + 1), range(1, CHANNELS + 1))]
        limits = [st.builds(Call, st.just(each), streams.prefetch()) for each in places if streaming]
        parts = st.tuples(*made), bindings, permissions, st.tuples(*limits)
        return st.tuples(*parts).map(lambda drawn: [operation for part in drawn for operation in part])

    def _reading(self) -> Strategy[Operation]:
        """What is done with a stream."""
        stream = self.queues[_STREAM]
        sent = st.builds(wire.BasicPublish, exchange=st.just(""), routing_key=st.just(stream))
        calls = st.one_of(
            streams.consume(stream, TAGS, _VALUES),
            st.builds(wire.BasicCancel, consumer_tag=st.sampled_from((*TAGS, "~t1"))),
            streams.prefetch(),
        )
        properties = st.one_of(streams.filtered(_VALUES), self._properties())
        publish = st.builds(Publish, self._place, sent, properties, _SIZES)
        return st.one_of(st.builds(Call, self._place, calls), publish, self._settle())

    def _dying(self) -> Strategy[Operation]:
        """What is done with a queue that dead-letters at least once."""
        queue = self.queues[_DYING]
        sent = st.builds(wire.BasicPublish, exchange=st.just(""), routing_key=st.just(queue))
        properties = st.one_of(st.just({}), st.just({"expiration": "0"}), self._properties())
        return st.one_of(
            st.builds(Publish, self._place, sent, properties, _SIZES),
            st.builds(Call, self._place, dead_letters.calls(queue)),
            dead_letters.refusals(self._place),
        )

    def _timed(self) -> Strategy[list[Operation]]:
        """What is done where messages expire soon."""
        timed = timing.operations(self._place, self.queues, self._properties(), _SIZES)
        return st.lists(st.one_of(timed, self.operation()), min_size=STEPS, max_size=STEPS)

    def operation(self) -> Strategy[Operation]:
        """Any one operation."""
        calls: dict[Strategy[Any], int] = {
            self._consume(): 9,
            self._get(): 9,
            self._bind(): 4,
            self._unbind(): 2,
            self._exchange_bind(wire.ExchangeBind): 2,
            self._exchange_bind(wire.ExchangeUnbind): 1,
            self._queue_declare(self._queue, odd=True): 4,
            self._exchange_declare(self._declared_exchange, odd=True): 2,
            self._cancel(): 3,
            self._qos(): 4,
            st.builds(wire.QueuePurge, queue=self._queue, nowait=seldom()): 1,
            st.builds(wire.QueueDelete, queue=self._queue, if_unused=flag(), if_empty=flag(), nowait=seldom()): 2,
            st.builds(wire.ExchangeDelete, exchange=self._declared_exchange, if_unused=flag(), nowait=seldom()): 1,
            st.builds(wire.BasicRecover, requeue=mostly((True,), (False,), 10)): 2,
            st.builds(wire.BasicRecoverAsync, requeue=st.just(True)): 1,
            st.builds(wire.ConfirmSelect, nowait=seldom()): 2,
            st.builds(wire.TxSelect): 1,
            st.builds(wire.TxCommit): 2,
            st.builds(wire.TxRollback): 1,
            st.just(wire.ChannelClose(200, "bye")): 1,
            replies.consumers(rather(st.just(""), st.sampled_from(TAGS), 2)): 2,
            replies.questions(): 1,
            **({} if self._plugins is None else self._plugins.calls()),
        }
        weighted: list[Strategy[Operation]] = []
        for methods, weight in calls.items():
            weighted += [st.builds(Call, self._place, methods)] * weight
        weighted += [self._publish()] * 30
        weighted += [self._request()] * 2
        weighted += [st.builds(Publish, self._place, replies.replies(), self._properties(), _SIZES)] * 2
        weighted += [self._settle()] * 20
        if self._plugins is not None:
            spread = st.builds(Publish, self._place, self._plugins.publishes(), self._plugins.properties(), _SIZES)
            weighted += [spread] * 20
        if self._operator is not None:
            weighted += [self._operator.operation()] * 10
            own = st.builds(Place, st.just(USERS_OWN), st.integers(1, CHANNELS))
            topic = st.just("amq.topic")
            to_topic = st.builds(wire.BasicPublish, exchange=topic, routing_key=self._key)
            weighted += [st.builds(Publish, own, to_topic, self._properties(), _SIZES)] * 3
            weighted += [
                st.builds(Call, own, st.builds(kind, queue=self._queue, exchange=topic, routing_key=self._key))
                for kind in (wire.QueueBind, wire.QueueUnbind)
            ]
            weighted += [st.builds(End, st.just(USERS_OWN), abrupt=flag())] * 2
        ends: Strategy[Operation] = st.builds(End, self._connection, abrupt=mostly((False,), (True,), 3))
        weighted += [ends, st.builds(Advance, st.sampled_from((200, 400)))]
        return st.one_of(*weighted)

    # methods

    def _queue_declare(self, names: Strategy[str], *, odd: bool) -> Strategy[wire.QueueDeclare]:
        return st.builds(
            wire.QueueDeclare,
            # A hash exchange routes by the queue's name, so a generated name makes the routing unpredictable.
            queue=st.one_of(names, st.just("")) if odd and self._plugins is None else names,
            passive=flag() if odd else st.just(False),
            durable=flag(),
            exclusive=mostly((False,), (True,), 6),
            auto_delete=mostly((False,), (True,), 6),
            nowait=seldom(),
            arguments=self._queue_arguments(odd),
        )

    def _quorum_declare(self, name: str) -> Strategy[wire.QueueDeclare]:
        tables = self._quorum_arguments((*_QUORUM_ARGUMENTS, *self._dead_letters))
        typed: Strategy[FieldTable] = tables.map(lambda table: {"x-queue-type": "quorum", **table})
        return st.builds(wire.QueueDeclare, queue=st.just(name), durable=st.just(True), arguments=typed)

    def _certain_declare(self, name: str) -> Strategy[wire.QueueDeclare]:
        to, others = self._dead_letters, [queue for queue in self.queues if queue != name]
        more = self._quorum_arguments(_QUORUM_ARGUMENTS)
        keys: Strategy[FieldValue] = rather(st.sampled_from(others), to["x-dead-letter-routing-key"], 3)
        return dead_letters.declare(name, more, to["x-dead-letter-exchange"], keys)

    def _quorum_arguments(self, known: tuple[str, ...]) -> Strategy[FieldTable]:
        def table(names: list[str]) -> Strategy[FieldTable]:
            return st.fixed_dictionaries({name: self._argument(name, odd=False) for name in _legal(names)})

        return st.lists(st.sampled_from(known), max_size=4, unique=True).flatmap(table)

    def _queue_arguments(self, odd: bool) -> Strategy[FieldTable]:
        def table(names: list[str]) -> Strategy[FieldTable]:
            return st.fixed_dictionaries({name: self._argument(name, odd) for name in names})

        known = (*list(_QUEUE_ARGUMENTS)[: None if odd else 8], *self._dead_letters)
        lists = st.lists(st.sampled_from(known), max_size=4, unique=True)
        legal = lists.map(lambda names: _legal(names) if not odd else names)
        return legal.flatmap(table)

    def _argument(self, name: str, odd: bool) -> Strategy[FieldValue]:
        values = self._dead_letters.get(name)
        if values is None:
            values = st.sampled_from(_QUEUE_ARGUMENTS[name])
        return (
            rather(values, st.sampled_from([value for value in _VALUES if _may_be(name, value)]), 6) if odd else values
        )

    def _exchange_declare(self, names: Strategy[str], *, odd: bool) -> Strategy[wire.ExchangeDeclare]:
        alternate: Strategy[FieldValue] = st.sampled_from((*self.exchanges, "amq.fanout", self.missing))
        if odd:
            alternate = rather(alternate, st.sampled_from(_VALUES), 6)
        return st.builds(
            wire.ExchangeDeclare,
            exchange=names,
            type=mostly(TYPES, ("x-other", ""), 8) if odd else st.sampled_from(TYPES),
            passive=flag() if odd else st.just(False),
            durable=flag(),
            auto_delete=mostly((False,), (True,), 6),
            internal=mostly((False,), (True,), 8),
            nowait=seldom(),
            arguments=rather(st.just({}), st.fixed_dictionaries({"alternate-exchange": alternate}), 3),
        )

    def _binding_arguments(self) -> Strategy[FieldTable]:
        match = mostly(("all", "any", "all-with-x", "any-with-x"), ("some", 1), 12)
        table: Strategy[FieldTable] = st.fixed_dictionaries({}, optional={"x-match": match, **_header_values()})
        return st.one_of(st.just({}), table)

    def _bind(self) -> Strategy[wire.QueueBind]:
        return st.builds(
            wire.QueueBind,
            queue=self._queue,
            exchange=rather(st.sampled_from(self.exchanges), self._exchange, 5),
            routing_key=self._key,
            nowait=seldom(),
            arguments=self._binding_arguments(),
        )

    def _unbind(self) -> Strategy[wire.QueueUnbind]:
        arguments = self._binding_arguments()
        return st.builds(
            wire.QueueUnbind, queue=self._queue, exchange=self._exchange, routing_key=self._key, arguments=arguments
        )

    def _exchange_bind(self, kind: type[wire.Method]) -> Strategy[wire.Method]:
        return st.builds(
            kind,
            destination=self._declared_exchange,
            source=self._declared_exchange,
            routing_key=self._key,
            nowait=seldom(),
            arguments=self._binding_arguments(),
        )

    def _consume(self) -> Strategy[wire.BasicConsume]:
        arguments: Strategy[FieldTable] = st.fixed_dictionaries(
            {"x-priority": rather(st.sampled_from((1, -1, 5, Int64(2))), st.sampled_from(_VALUES), 20)}
        )
        odd: Strategy[FieldTable] = st.fixed_dictionaries(
            {}, optional={"x-cancel-on-ha-failover": st.sampled_from(_VALUES), "x-stream-offset": st.just("first")}
        )
        tables = rather(rather(st.just({}), arguments, 3), odd, 20)
        tags = rather(st.just(""), st.sampled_from(TAGS), 2)
        exclusive = mostly((False,), (True,), 10)
        answered = st.builds(
            wire.BasicConsume,
            queue=self._queue,
            consumer_tag=tags,
            no_ack=mostly((False,), (True,), 4),
            exclusive=exclusive,
            arguments=tables,
        )
        silent = st.builds(
            wire.BasicConsume,
            queue=self._queue,
            consumer_tag=st.sampled_from(TAGS),
            no_ack=mostly((False,), (True,), 4),
            nowait=st.just(True),
        )
        return rather(answered, silent, 12)

    def _get(self) -> Strategy[wire.BasicGet]:
        return st.builds(wire.BasicGet, queue=self._queue, no_ack=mostly((False,), (True,), 4))

    def _cancel(self) -> Strategy[wire.BasicCancel]:
        return st.builds(wire.BasicCancel, consumer_tag=st.sampled_from((*TAGS, "other", "~t1")), nowait=seldom())

    def _qos(self) -> Strategy[wire.BasicQos]:
        return st.builds(
            wire.BasicQos,
            prefetch_size=mostly((0,), (1,), 30),
            prefetch_count=st.sampled_from((1, 2, 3, 0)),
            global_=flag(),
        )

    # messages

    def _publish(self) -> Strategy[Operation]:
        to_queue = st.builds(
            wire.BasicPublish,
            exchange=st.just(""),
            routing_key=mostly(self.queues, ("~1", self.missing), 12),
            mandatory=flag(),
        )
        to_exchange = st.builds(
            wire.BasicPublish,
            exchange=rather(st.sampled_from(self.exchanges), self._exchange, 8),
            routing_key=self._key,
            mandatory=flag(),
            immediate=mostly((False,), (True,), 60),
        )
        methods = st.one_of(to_queue, to_exchange)
        return st.builds(Publish, self._place, methods, self._properties(), _SIZES)

    def _request(self) -> Strategy[Operation]:
        return st.builds(
            Publish, self._place, replies.requests(self.queues, self.exchanges), replies.REQUEST, st.just(0)
        )

    def _properties(self) -> Strategy[dict[str, Any]]:
        keys = rather(st.lists(self._key, max_size=2), st.sampled_from(_VALUES), 25)
        death = st.just([{"count": Int64(1), "reason": "expired", "queue": self.queues[0]}])
        more: dict[str, Strategy[FieldValue]] = {
            "CC": keys,
            "BCC": keys,
            # 3.10's queues crash when a message dies whose x-death is an array of anything but tables.
            "x-death": rather(death, st.sampled_from([value for value in _VALUES if value is not _LIST]), 3),
        }
        headers: Strategy[FieldTable] = st.fixed_dictionaries({}, optional={**_header_values()})
        odd_headers: Strategy[FieldTable] = st.fixed_dictionaries({}, optional={**_header_values(), **more})
        common: Strategy[dict[str, Any]] = st.fixed_dictionaries(
            {},
            optional={
                "delivery_mode": st.sampled_from((1, 2)),
                "priority": st.sampled_from((0, 1, 2, 5, 255)),
                "headers": rather(headers, odd_headers, 3),
                "expiration": mostly(("3600000", "0", "3600000", "0", "150"), ("a", "-1", "1.5", ""), 40),
            },
        )
        rare: Strategy[dict[str, Any]] = st.fixed_dictionaries(
            {},
            optional={
                "content_type": st.sampled_from(("text/plain", "")),
                "content_encoding": st.just("utf-8"),
                "correlation_id": st.just("c"),
                "reply_to": st.just("r"),
                "message_id": st.just("m"),
                "timestamp": st.just(1577836800),
                "type": st.just("t"),
                "user_id": mostly(("guest",), ("other",), 6),
                "app_id": st.just("a"),
                "cluster_id": st.just("k"),
                "delivery_mode": st.sampled_from((1, 2, 0, 3)),
                "headers": odd_headers,
            },
        )
        return rather(rather(st.just({}), common, 2), rare, 8)

    def _settle(self) -> Strategy[Operation]:
        which = rather(st.integers(0, 5), st.sampled_from((UNKNOWN, REPEATED, ZERO)), 25)
        return st.builds(
            Settle, self._place, st.sampled_from(("ack", "nack", "reject")), which, multiple=flag(), requeue=flag()
        )


def _joined(first: list[Operation], then: list[Operation]) -> list[Operation]:
    return dead_letters.harmless([*first, *then])


def _header_values() -> dict[str, Strategy[FieldValue]]:
    values = st.sampled_from(_VALUES)
    return {"a": values, "b": values, "x-foo": values}


def _legal(names: list[str]) -> list[str]:
    """Without a dead-letter routing key that has no exchange beside it."""
    if "x-dead-letter-exchange" in names:
        return names
    return [name for name in names if name != "x-dead-letter-routing-key"]
