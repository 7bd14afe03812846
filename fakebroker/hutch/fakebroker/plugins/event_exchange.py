"""The plugin rabbitmq_event_exchange (https://www.rabbitmq.com/docs/event-exchange): what happens to a node's entities
is published to the exchange amq.rabbitmq.event of its first virtual host.

Three listeners of the journal publish there: :class:`~hutch.fakebroker.plugins.entity_events.EntityEvents`,
:class:`~hutch.fakebroker.plugins.connection_events.ConnectionEvents` and
:class:`~hutch.fakebroker.plugins.operator_events.OperatorEvents`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.routing import route
from hutch.fakebroker.engine.state.books import Dumping, Loading, Part
from hutch.fakebroker.engine.state.values import Contents
from hutch.fakebroker.erlang.terms import print_binary, print_term
from hutch.fakebroker.plugins.profile import PluginProfile
from hutch.wire.fields import FieldTable, FieldValue, Int64, type_name
from hutch.wire.properties import encode_properties

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.vhost import VHost

#: The exchange that events are published to.
EVENTS: Final = "amq.rabbitmq.event"


@dataclass(frozen=True)
class ProcessesState:
    """How many processes there were."""

    processes: int


class EventExchange(Part):
    """The exchange, and the names that events have for processes."""

    def __init__(self, node: "Node", vhost: "VHost", profile: PluginProfile) -> None:
        self.node: Final = node
        self.profile: Final = profile
        self._vhost: Final = vhost
        self._processes: Final[dict[object, str]] = {}
        self._process = 0
        node.parts[EVENTS] = self
        vhost.exchanges[EVENTS] = Exchange(EVENTS, "topic", vhost, durable=True, internal=True)

    def publish(self, key: str, by: Origin | None, facts: FieldTable) -> None:
        """Publish an event, in the order of 3.10's headers; 4.3 sorts them, as it sorts all headers. ``by`` is who made
        it happen, where the event tells that.
        """
        now = self.node.clock.time()
        headers: FieldTable = {
            **({} if by is None else {"user_who_performed_action": by.user}),
            **facts,
            "timestamp_in_ms": Int64(now * 1000),
        }
        raw = encode_properties({"headers": headers, "delivery_mode": 2, "timestamp": int(now)})
        message = Message(EVENTS, key, self.node.envelopes[raw], b"")
        message.number = self.node.messages = self.node.messages + 1
        for target in route(self._vhost, self._vhost.exchanges[EVENTS], message, (key,)):
            target.publish(message)

    def dump(self, dumping: Dumping) -> Contents:  # noqa: ARG002
        """How many processes there were, as data."""
        return ProcessesState(self._process)

    def load(self, contents: Contents, loading: Loading) -> None:  # noqa: ARG002
        """Give no process a number that was given before."""
        assert isinstance(contents, ProcessesState)
        self._process = max(self._process, contents.processes)

    def process(self, owner: object) -> str:
        """The Erlang process that RabbitMQ would have for a channel, known by its origin, or for a client."""
        if owner not in self._processes:
            self._process += 1
            self._processes[owner] = f"<{NODE_NAME}.1.{self._process}.0>"
        return self._processes[owner]

    def forget(self, owner: object) -> None:
        """The process is gone."""
        del self._processes[owner]


def printed(arguments: FieldTable) -> list[FieldValue]:
    """Arguments as texts, each as Erlang prints it: ``{<<"x-max-length">>,signedint,10}``. It takes octets for letters
    and writes them as octets again.
    """
    texts = (
        f"{{{print_binary(name.encode('utf-8', 'surrogateescape'))},{type_name(value)},{print_term(value)}}}"
        for name, value in arguments.items()
    )
    return [text.encode("latin-1").decode("utf-8", "surrogateescape") for text in texts]
