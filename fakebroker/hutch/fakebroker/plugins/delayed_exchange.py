"""The delayed message exchange of the plugin rabbitmq_delayed_message_exchange: it routes as another type does, and
messages with an ``x-delay`` header so many milliseconds later.

RabbitMQ's packages do not have this plugin, so the conformance suite does not meet it on a live broker. What is here
follows https://github.com/rabbitmq/rabbitmq-delayed-message-exchange, release 3.9.0 as 3.10 and 4.2.0 as 4.3.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from hutch.fakebroker.engine.bindings import Binding, Destination, Router
from hutch.fakebroker.engine.errors import internal_error, precondition_failed
from hutch.fakebroker.engine.exchanges.kinds import ExchangeType, check_type
from hutch.fakebroker.engine.message import Message, SeenMessage, with_headers
from hutch.fakebroker.engine.message_properties import Envelopes
from hutch.fakebroker.engine.routing import route
from hutch.fakebroker.engine.state.books import Dumping, Loading, Part
from hutch.fakebroker.engine.state.values import Contents, MessageState, TimerState
from hutch.fakebroker.erlang.terms import erlang_term
from hutch.fakebroker.plugins.profile import PluginProfile
from hutch.wire.fields import FieldTable, type_name

if TYPE_CHECKING:
    from hutch.fakebroker.engine.clock import Timer
    from hutch.fakebroker.engine.exchanges.exchange import Exchange
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.vhost import VHost

_TYPE: Final = "x-delayed-message"
#: The longest delay, ms; messages with a longer one are not delayed.
_LONGEST: Final = (1 << 32) - 1
#: Types of x-delay that all versions take for numbers.
_DELAYS: Final = frozenset(
    {"longstr", "unsignedbyte", "short", "unsignedshort", "signedint", "unsignedint", "long", "unsignedlong"}
)
_NUMBER: Final = re.compile(rb"[+-]?[0-9]+")


def delaying(types: Mapping[str, ExchangeType], profile: PluginProfile) -> ExchangeType:
    """The exchange type, before any of ``types``."""

    def check_arguments(node: "Node", arguments: FieldTable) -> None:
        inner = _delayed_type(arguments)
        if inner is None:
            raise precondition_failed("Invalid argument, 'x-delayed-type' must be an existing exchange type")
        if inner == _TYPE:
            raise precondition_failed(f"Invalid argument, '{_TYPE}' can't be used for 'x-delayed-type'")
        check_type(node, inner)
        types[inner].check_arguments(node, arguments)

    def check_binding(
        exchange: "Exchange", node: "Node", destination: Destination, key: str, arguments: FieldTable
    ) -> None:
        types[_delayed_type(exchange.arguments) or ""].check_binding(exchange, node, destination, key, arguments)

    def router(exchange: "Exchange", vhost: "VHost") -> Router:
        inner = types[_delayed_type(exchange.arguments) or ""]
        return DelayedRouter(exchange.name, vhost, inner.router(exchange, vhost), profile)

    return ExchangeType(router, check_arguments, check_binding)


def _delayed_type(arguments: FieldTable) -> str | None:
    value = arguments.get("x-delayed-type")
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else None


class DelayedRouter(Router):
    """Lets ``inner`` route what is not delayed. A delayed message has no destination now: it goes to the alternate
    exchange, or, if mandatory, back to its publisher. When its time has come it is routed like a new message.
    """

    def __init__(self, name: str, vhost: "VHost", inner: Router, profile: PluginProfile) -> None:
        self._profile = profile
        self._name = name
        self._vhost = vhost
        self._inner = inner
        self._messages = DelayedMessages.of(vhost.node)

    def add(self, binding: Binding) -> None:
        """Take in a binding."""
        self._inner.add(binding)

    def remove(self, binding: Binding) -> None:
        """Take out a binding."""
        self._inner.remove(binding)

    def dump(self, dumping: Dumping) -> Contents | None:
        """What the other router keeps."""
        return self._inner.dump(dumping)

    def load(self, contents: Contents, loading: Loading) -> None:
        """Have the other router keep what was dumped."""
        self._inner.load(contents, loading)

    def route(self, routing_key: str, message: Message) -> Iterable[Destination]:
        """The destinations of a message that is not delayed."""
        delay = self._delay(message)
        if not 0 < delay <= _LONGEST:
            return self._inner.route(routing_key, message)
        if routing_key == message.routing_key:
            node = self._vhost.node
            node.journal.delayed(self._vhost, message, delay)
            late = _late(message, delay, node.envelopes if self._profile.negates_delay else None)
            self._messages.delay(self._vhost, self._name, late, delay)
        return ()

    def _delay(self, message: Message) -> int:
        """The delay that a message asks for, ms; 0 for none.

        Raises:
            BrokerError: 541, a value over which the plugin crashes.
        """
        if "x-delay" not in message.headers:
            return 0
        value = message.headers["x-delay"]
        profile = self._profile
        kind, term = type_name(value), erlang_term(value)
        if kind in profile.crashing_delays or (isinstance(term, bytes) and not _NUMBER.fullmatch(term)):
            raise internal_error()
        return int(term) if kind in _DELAYS | profile.more_delays and isinstance(term, bytes | float | int) else 0


@dataclass(frozen=True)
class DelayedState:
    """A message that waits."""

    vhost: str
    exchange: str
    message: MessageState
    timer: TimerState


@dataclass(frozen=True)
class DelayedMessagesState:
    """All messages that wait."""

    messages: tuple[DelayedState, ...]


class _Delayed(NamedTuple):
    """A message that waits, and the name of the exchange that routes it."""

    vhost: "VHost"
    exchange: str
    message: Message


class DelayedMessages(Part):
    """The delayed messages of a node. They outlast their exchange: one of its name and type routes them when their time
    has come.
    """

    def __init__(self, node: "Node") -> None:
        self._node: Final = node
        self._waiting: Final[dict[_Delayed, Timer]] = {}

    @classmethod
    def of(cls, node: "Node") -> "DelayedMessages":
        """Those of this node."""
        known = node.parts.setdefault(_TYPE, cls(node))
        assert isinstance(known, DelayedMessages)
        return known

    def delay(self, vhost: "VHost", exchange: str, message: Message, delay: int) -> None:
        """Keep a message for the exchange of this name, for ``delay`` ms."""
        waiting = _Delayed(vhost, exchange, message)
        self._waiting[waiting] = self._node.timers.set(delay / 1000, partial(self._due, waiting))

    def dump(self, dumping: Dumping) -> Contents:
        """The messages as data, but for those of virtual hosts that are gone."""
        vhosts = self._node.vhosts
        return DelayedMessagesState(
            tuple(
                DelayedState(vhost.name, exchange, dumping.message(message), dumping.set_timer(timer))
                for (vhost, exchange, message), timer in self._waiting.items()
                if vhosts.get(vhost.name) is vhost
            )
        )

    def load(self, contents: Contents, loading: Loading) -> None:
        """Have the messages that were dumped, and no others."""
        assert isinstance(contents, DelayedMessagesState)
        for timer in self._waiting.values():
            self._node.timers.cancel(timer)
        self._waiting.clear()
        for state in contents.messages:
            waiting = _Delayed(self._node.vhosts[state.vhost], state.exchange, loading.message(state.message))
            self._waiting[waiting] = loading.set_timer(state.timer, partial(self._due, waiting))

    def _due(self, waiting: _Delayed) -> None:
        del self._waiting[waiting]
        vhost, name, message = waiting
        exchange = vhost.exchanges.get(name)
        targets = []
        if exchange is not None and exchange.type == _TYPE:
            targets = route(vhost, exchange, message, message.routing_keys)
        vhost.node.journal.due(vhost, message, targets)
        for target in targets:
            target.publish(message)


def _late(message: Message, delay: int, envelopes: Envelopes | None) -> Message:
    """A message to route later. The broker reads its ``x-delay`` as negative, so that it is not delayed again. The
    bytes that consumers get may say otherwise.
    """
    seen: FieldTable = {**message.headers, "x-delay": -delay}
    envelope = message.envelope
    if envelopes is not None:
        envelope = envelopes[with_headers(message, seen)]
    late = SeenMessage(message.exchange, message.routing_key, envelope, message.body, seen)
    late.bcc = message.bcc
    late.deaths = message.deaths
    late.failures = message.failures
    late.number = message.number
    return late
