"""The recent history exchange of the plugin rabbitmq_recent_history_exchange: a fanout exchange that remembers its last
messages and gives them to each queue or exchange that is bound later.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.bindings import Binding, Destination
from hutch.fakebroker.engine.errors import BrokerError, internal_error, precondition_failed
from hutch.fakebroker.engine.exchanges.fanout import FanoutRouter
from hutch.fakebroker.engine.exchanges.kinds import ExchangeType
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.queues.queue import TypedQueue
from hutch.fakebroker.engine.routing import route
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.state.values import Contents, MessageState
from hutch.fakebroker.erlang.terms import erlang_term, print_term
from hutch.wire.fields import FieldTable, type_name

if TYPE_CHECKING:
    from hutch.fakebroker.engine.exchanges.exchange import Exchange
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.targets import Target
    from hutch.fakebroker.engine.vhost import VHost

_LENGTH: Final = "x-recent-history-length"
_INTEGERS: Final = frozenset({"byte", "short", "signedint", "long", "unsignedlong"})


def _check_arguments(_node: "Node", arguments: FieldTable) -> None:
    """Refuse a length that is not positive, or not of one of the types that the plugin knows."""
    if _LENGTH in arguments:
        value = arguments[_LENGTH]
        number = erlang_term(value)
        if type_name(value) not in _INTEGERS or not isinstance(number, int) or number < 1:
            raise precondition_failed(f"Invalid argument {print_term(value)}, '{_LENGTH}' must be a positive integer")


@dataclass(frozen=True)
class RecentHistoryState:
    """The messages of an exchange, oldest first."""

    messages: tuple[MessageState, ...]


class RecentHistoryRouter(FanoutRouter):
    """All destinations, and the last ``messages``, 20 unless ``x-recent-history-length`` says otherwise."""

    def __init__(self, exchange: "Exchange", vhost: "VHost") -> None:
        super().__init__()
        self._vhost = vhost
        length = exchange.arguments.get(_LENGTH, 20)
        self.messages: Final[deque[Message]] = deque(maxlen=length if isinstance(length, int) else None)

    def add(self, binding: Binding) -> None:
        """Take in a binding, and give its destination the messages: a queue the oldest first, an exchange the newest
        first.

        Raises:
            BrokerError: 541, one of them gets nowhere; RabbitMQ crashes.
        """
        destination, messages = binding.destination, list(self.messages)
        # 3.x routes them inside the transaction that adds the binding. Routing sees the binding only after the
        # transaction.
        binds_first = self._vhost.node.profile.topology.keeps_binding_that_crashed
        if binds_first:
            super().add(binding)
        try:
            if isinstance(destination, TypedQueue):
                self._give((message, destination) for message in messages)
            elif messages:
                self._give_by_way_of(destination, messages)
        finally:
            if not binds_first:
                super().add(binding)

    def _give_by_way_of(self, destination: "Exchange", messages: Sequence[Message]) -> None:
        """Route the messages, which exchanges on the way remember in their turn.

        Raises:
            BrokerError: 541, at the first that gets nowhere.
        """
        exchanges = self._vhost.exchanges.values()
        routers = [exchange.router for exchange in exchanges if isinstance(exchange.router, RecentHistoryRouter)]
        before = [(router, list(router.messages)) for router in routers]
        for message in reversed(messages):
            targets = route(self._vhost, destination, message, message.routing_keys)
            self._give((message, target) for target in targets)
            if targets:
                continue
            if self._vhost.node.profile.topology.keeps_binding_that_crashed:
                raise BrokerError("INTERNAL_ERROR", "could not find queue/exchange ''")
            for router, remembered in before:
                router.messages.clear()
                router.messages.extend(remembered)
            raise internal_error()

    def _give(self, gifts: "Iterable[tuple[Message, Target]]") -> None:
        """Give each message to its queue once the command in hand is done.

        Raises:
            BrokerError: as :meth:`Queue.check_message`; messages before that one are given.
        """
        for message, target in gifts:
            if isinstance(target, TypedQueue):
                target.check_message(message)
            self._vhost.node.pending.append(partial(target.publish, message))

    def stop(self) -> None:
        """Forget the messages, where they are not on disk (RESTART-12)."""
        if self._vhost.node.profile.topology.forgets_transient_exchanges:
            self.messages.clear()

    def dump(self, dumping: Dumping) -> Contents:
        """The messages as data."""
        return RecentHistoryState(tuple(map(dumping.message, self.messages)))

    def load(self, contents: Contents, loading: Loading) -> None:
        """Have the messages that were dumped."""
        assert isinstance(contents, RecentHistoryState)
        self.messages.extend(map(loading.message, contents.messages))

    def route(self, routing_key: str, message: Message) -> Iterable[Destination]:
        """Every destination; the message is remembered unless its header ``x-recent-history-no-store`` is true."""
        if routing_key == message.routing_key and message.headers.get("x-recent-history-no-store") is not True:
            self.messages.append(message)
        return super().route(routing_key, message)


RECENT_HISTORY: Final = ExchangeType(RecentHistoryRouter, _check_arguments)
