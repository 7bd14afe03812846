"""The recent history exchange of the plugin rabbitmq_recent_history_exchange: a fanout exchange that remembers its last
messages and gives them to whatever is bound later.
"""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.bindings import Binding, Destination
from hutch.fakebroker.engine.errors import HardError, internal_error, precondition_failed
from hutch.fakebroker.engine.exchanges.fanout import FanoutRouter
from hutch.fakebroker.engine.exchanges.kinds import ExchangeType
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.terms import erlang_term, print_term
from hutch.wire.codes import ReplyCode
from hutch.wire.fields import FieldTable, type_name

if TYPE_CHECKING:
    from hutch.fakebroker.engine.exchanges import Exchange
    from hutch.fakebroker.engine.node import Node
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


class RecentHistoryRouter(FanoutRouter):
    """All destinations, and the last messages, 20 unless the argument ``x-recent-history-length`` says otherwise."""

    def __init__(self, exchange: "Exchange", vhost: "VHost") -> None:
        super().__init__()
        self._vhost = vhost
        length = exchange.arguments.get(_LENGTH, 20)
        self._messages: Final[deque[Message]] = deque(maxlen=length if isinstance(length, int) else None)

    def add(self, binding: Binding) -> None:
        """Take in a binding, and give its destination the messages once the command in hand is done: a queue the oldest
        first, what is bound to an exchange the newest first.
        """
        super().add(binding)
        if self._messages:
            messages = list(self._messages)
            self._vhost.node.pending.append(lambda: self._give(messages, binding.destination))

    def _give(self, messages: list[Message], destination: Destination) -> None:
        if isinstance(destination, Queue):
            for message in messages:
                destination.publish(message)
            return
        for message in reversed(messages):
            for target in self._vhost.route(destination, message, message.routing_keys):
                target.publish(message)

    def can_give_to(self, destination: Destination) -> bool:
        """Whether each of the messages gets somewhere by way of ``destination``."""
        return isinstance(destination, Queue) or all(
            self._vhost.route(destination, message, message.routing_keys) for message in self._messages
        )

    def route(self, routing_key: str, message: Message) -> Iterable[Destination]:
        """Every destination; the message is remembered unless its header ``x-recent-history-no-store`` is true."""
        if routing_key == message.routing_key and message.headers.get("x-recent-history-no-store") is not True:
            self._messages.append(message)
        return super().route(routing_key, message)


def _check_binding(
    exchange: "Exchange", node: "Node", destination: Destination, _key: str, _arguments: FieldTable
) -> None:
    """Crash as RabbitMQ does where an exchange cannot route a message that it would be given."""
    router = exchange.router
    if isinstance(router, RecentHistoryRouter) and not router.can_give_to(destination):
        if node.profile.tells_why_bind_crashes:
            raise HardError(ReplyCode.INTERNAL_ERROR, "could not find queue/exchange ''")
        raise internal_error()


RECENT_HISTORY: Final = ExchangeType(RecentHistoryRouter, _check_arguments, _check_binding)
