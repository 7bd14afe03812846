"""Strategies for the exchange types that plugins bring, or a new version: declarations, bindings, messages."""

from typing import Any, Final

from hutch.conformance.differential import strategies as st
from hutch.conformance.differential.drawing import flag, mostly, rather, seldom
from hutch.conformance.differential.strategies import Strategy
from hutch.wire import methods as wire
from hutch.wire.fields import FieldTable, FieldValue, Int8, Int64

#: Exchange types that choose randomly among their bindings.
_RANDOM: Final = ("x-random", "x-local-random")
#: All exchange types that plugins provide.
TYPES: Final = ("x-consistent-hash", "x-modulus-hash", "x-recent-history", *_RANDOM)


class PluginExchanges:
    """Strategies over the names of queues and exchanges, with those of :data:`TYPES` that the broker has.

    ``random`` is the exchange that is of one of the types that choose as they like: there is but one queue that is ever
    bound to it. The others have names that are those of exchanges of all types.
    """

    def __init__(
        self, types: tuple[str, ...], queues: tuple[str, ...], exchanges: tuple[str, ...], random: str
    ) -> None:
        self._random: Final = random
        self._random_types: Final = tuple(type_ for type_ in types if type_ in _RANDOM)
        self._types: Final = tuple(type_ for type_ in types if type_ not in _RANDOM)
        self._queues: Final = queues
        self._exchanges: Final = exchanges

    def beginning(self) -> tuple[Strategy[wire.Method], ...]:
        """What is declared and bound at first."""
        made = [self._declare(st.just(name)) for name in self._exchanges[1:]] + [self._weigh()] * 3
        return (*made, self._declare_random(), self._bind_random(wire.QueueBind)) if self._random_types else tuple(made)

    def calls(self) -> dict[Strategy[Any], int]:
        """Methods, each with its weight in the draw."""
        random = {
            self._declare_random(): 1,
            self._bind_random(wire.QueueBind): 1,
            self._bind_random(wire.QueueUnbind): 1,
        }
        exchange = st.sampled_from(self._exchanges)
        return {
            self._declare(exchange): 2,
            self._weigh(): 4,
            st.builds(
                wire.QueueUnbind, queue=st.sampled_from(self._queues), exchange=exchange, routing_key=_weight()
            ): 1,
            st.builds(wire.ExchangeDelete, exchange=exchange, if_unused=flag()): 1,
            self._bind_exchange(wire.ExchangeBind): 2,
            self._bind_exchange(wire.ExchangeUnbind): 1,
            **(random if self._random_types else {}),
        }

    def publishes(self) -> Strategy[wire.BasicPublish]:
        """Messages to be spread."""
        names = (*self._exchanges, self._random) if self._random_types else self._exchanges
        keys = st.one_of(st.integers(0, 99).map(str), st.text("abc", max_size=3))
        return st.builds(wire.BasicPublish, exchange=st.sampled_from(names), routing_key=keys, mandatory=flag())

    def properties(self) -> Strategy[dict[str, Any]]:
        """What may decide where a message goes, or whether it is remembered."""
        values = st.one_of(
            st.integers(0, 9).map(str), st.sampled_from((1, Int8(1), Int64(1), True, None, 1.5, b"a", [1, 2], {"k": 1}))
        )
        headers: Strategy[FieldTable] = st.fixed_dictionaries(
            {},
            optional={"a": values, "b": values, "x-recent-history-no-store": st.sampled_from((True, False, 1, "true"))},
        )
        return st.fixed_dictionaries(
            {},
            optional={
                "headers": headers,
                "correlation_id": st.integers(0, 99).map(str),
                "message_id": st.integers(0, 99).map(str),
                "timestamp": st.integers(1577836800, 1577836899),
            },
        )

    def _declare(self, names: Strategy[str]) -> Strategy[wire.Method]:
        odd: Strategy[FieldValue] = st.sampled_from((1, True, "", None, 1.5, "other"))
        properties = mostly(("message_id", "correlation_id", "timestamp"), ("app_id", "headers"), 12)
        arguments: Strategy[FieldTable] = st.one_of(
            st.just({}),
            st.fixed_dictionaries({"hash-header": rather(st.sampled_from(("a", "b")), odd, 12)}),
            st.fixed_dictionaries({"hash-property": rather(properties, odd, 12)}),
            st.fixed_dictionaries({"x-recent-history-length": rather(st.sampled_from((1, 2, 3)), odd, 12)}),
            st.fixed_dictionaries({"alternate-exchange": st.sampled_from((*self._exchanges, self._random))}),
        )
        return st.builds(
            wire.ExchangeDeclare,
            exchange=names,
            type=st.sampled_from(self._types),
            durable=flag(),
            auto_delete=mostly((False,), (True,), 6),
            nowait=seldom(),
            arguments=arguments,
        )

    def _weigh(self) -> Strategy[wire.Method]:
        return st.builds(
            wire.QueueBind,
            queue=st.sampled_from(self._queues),
            exchange=st.sampled_from(self._exchanges),
            routing_key=_weight(),
            nowait=seldom(),
        )

    def _bind_exchange(self, kind: type[wire.Method]) -> Strategy[wire.Method]:
        names = (*self._exchanges, self._random) if self._random_types else self._exchanges
        return st.builds(
            kind,
            destination=st.sampled_from(names),
            source=st.sampled_from(self._exchanges),
            routing_key=_weight(),
            nowait=seldom(),
        )

    def _declare_random(self) -> Strategy[wire.Method]:
        return st.builds(
            wire.ExchangeDeclare,
            exchange=st.just(self._random),
            type=st.sampled_from(self._random_types),
            durable=flag(),
            arguments=rather(
                st.just({}),
                st.fixed_dictionaries({"alternate-exchange": st.sampled_from(self._exchanges)}),
                3,
            ),
        )

    def _bind_random(self, kind: type[wire.Method]) -> Strategy[wire.Method]:
        key = mostly(("",), ("a", "1"), 4)
        return st.builds(kind, queue=st.just(self._queues[0]), exchange=st.just(self._random), routing_key=key)


def _weight() -> Strategy[str]:
    return mostly(("1", "2", "3"), ("0", "-1", "", "01", "+1", "1.5"), 12)
