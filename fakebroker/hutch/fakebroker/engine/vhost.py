"""A virtual host: its exchanges, queues and bindings, and dead-lettering among them."""

from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.bindings import Binding, Destination, binding_identity
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.deadletter import dead_letter_message, without_cycles
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.exchanges.exchange import PREDECLARED, Exchange
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.operator.policies import Policies
from hutch.fakebroker.engine.origin import BROKER, Origin
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.routing import route
from hutch.fakebroker.engine.targets import Target
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node


class VHost:
    """One virtual host. ``exchanges`` does not hold the default exchange, which has no properties to speak of.
    ``description`` and ``tags`` are for people. ``limits`` are by name
    (:mod:`hutch.fakebroker.engine.access.limits`). ``default_queue_type`` is the type of queues
    that are declared without one, ``None`` for classic.

    ``by`` is who makes something happen; by default the broker does so itself.
    """

    def __init__(self, node: "Node", name: str) -> None:
        self.node: Final = node
        self.name: Final = name
        self.description = ""
        self.tags: tuple[str, ...] = ()
        #: Whether it is protected from deletion.
        self.protected = False
        self.limits: Final[dict[str, int]] = {}
        self.default_queue_type: str | None = None
        #: Whether its operator turned the firehose on.
        self.traced = False
        self.queues: Final[dict[str, Queue]] = {}
        self.exchanges: Final[dict[str, Exchange]] = {
            name: Exchange(name, type_, self, durable=True, internal=internal) for name, type_, internal in PREDECLARED
        }
        self.policies: Final = Policies(self)
        #: The number of the last binding.
        self.bindings = 0

    # dead-lettering

    def dead_letter(self, queue: Queue, message: Message, reason: str, failures: int) -> None:
        """Give a message that died in ``queue`` to its dead-letter exchange, once the command in hand is done.

        ``failures`` is how many of its deliveries failed.
        """
        if queue.settings.dead_letter_exchange is None:
            self.node.journal.dropped(queue, message)
            return
        self.node.pending.append(lambda: self._dead_letter(queue, message, reason, failures))

    def _dead_letter(self, queue: Queue, message: Message, reason: str, failures: int) -> None:
        dead = dead_letter_message(queue, message, reason, failures)
        targets = None if dead is None else self.dead_letter_targets(queue, dead, reason)
        if dead is None or targets is None:
            self.node.journal.dropped(queue, message)
            return
        self.node.journal.dead_lettered(queue, message, dead, reason, targets)
        for target in targets:
            target.publish_dead(dead, None)

    def dead_letter_targets(self, queue: Queue, dead: Message, reason: str) -> list[Target] | None:
        """What :func:`dead_letter_message`'s message is for; ``None`` if the dead-letter exchange is not there."""
        name = queue.settings.dead_letter_exchange
        exchange = self.exchanges.get(name) if name else None
        if name and exchange is None:
            return None
        keys = dead.routing_keys if queue.settings.dead_letter_routing_key is None else (dead.routing_key,)
        try:
            targets = route(self, exchange, dead, keys)
        except BrokerError:
            targets = []  # a malformed reply name, which ends the connection of a publisher
        return without_cycles(dead, reason, targets, self.node.profile.messages.tracks_deaths)

    # queues

    def add_queue(self, queue: Queue, by: Origin) -> None:
        """Take in a queue that was just made."""
        self.queues[queue.name] = queue
        if queue.owner is not None:
            queue.owner.exclusive_queues[queue] = None
        self.node.journal.queue_declared(by, queue)

    def delete_queue(self, queue: Queue, by: Origin = BROKER) -> list[Consumer]:
        """Delete a queue with its messages and bindings. Returns the consumers it had, which may have to be told."""
        del self.queues[queue.name]
        if queue.owner is not None:
            queue.owner.exclusive_queues.pop(queue, None)
        orphans = list(queue.consumers)
        for consumer in orphans:
            consumer.sink.orphan(consumer)
        queue.consumers.clear()
        queue.close()
        if orphans:
            self.node.journal.consumers_orphaned(by, orphans)
        # RabbitMQ reports the bindings that end an exchange together with that exchange.
        for binding in sorted(queue.incoming.values(), key=lambda binding: binding.source.auto_delete):
            self.remove_binding(binding)
        self.node.journal.queue_deleted(by, queue, orphans)
        return orphans

    # restarts

    def stop(self) -> None:
        """Keep what is on disk when the broker is stopped (RESTART-02 to RESTART-12)."""
        if self.node.profile.topology.forgets_transient_exchanges:
            for exchange in [exchange for exchange in self.exchanges.values() if not exchange.durable]:
                self._forget_all(exchange.outgoing, exchange.incoming)
                self.delete_exchange(exchange)
        for exchange in self.exchanges.values():
            exchange.router.stop()
        for queue in list(self.queues.values()):
            if queue.durable:
                queue.stop()
                continue
            if self.node.profile.topology.forgets_transient_exchanges:
                self._forget_all(queue.incoming)
            self.delete_queue(queue)

    def start(self) -> None:
        """Go on where :meth:`stop` stopped."""
        for exchange in self.exchanges.values():
            exchange.router.start()
        for queue in list(self.queues.values()):
            queue.start()

    # exchanges

    def add_exchange(self, exchange: Exchange, by: Origin) -> None:
        """Take in an exchange that was just made."""
        self.exchanges[exchange.name] = exchange
        self.policies.cover_exchange(exchange)
        self.node.journal.exchange_declared(by, exchange)

    def delete_exchange(self, exchange: Exchange, by: Origin = BROKER) -> None:
        """Delete an exchange and the bindings from and to it; auto-delete sources go too (EXCH-AUTODEL-04)."""
        todo: list[tuple[Exchange, list[Binding]]] = [(exchange, [])]
        while todo:
            gone, bindings = todo.pop()
            if self.exchanges.get(gone.name) is not gone:
                continue
            del self.exchanges[gone.name]
            if self.node.profile.access.topic_permissions_need_exchange:
                for user in self.node.users.values():
                    user.forget_topics(self.name, gone.name)
            for binding in list(gone.outgoing.values()):
                self._forget(binding, by)
                bindings.append(binding)
            for binding in list(gone.incoming.values()):
                self._forget(binding, by)
                if binding.source.auto_delete and not binding.source.outgoing:
                    todo.append((binding.source, [binding]))
                else:
                    bindings.append(binding)
            self.node.journal.exchange_deleted(by, gone, bindings)

    # bindings

    def add_binding(
        self, source: Exchange, destination: Destination, routing_key: str, arguments: FieldTable, by: Origin
    ) -> None:
        """Bind; the same binding again changes nothing (EXCH-BIND-06)."""
        binding = Binding(source, destination, routing_key, arguments)
        is_new = binding.identity not in source.outgoing
        self.node.journal.binding_created(by, binding, is_new)
        if not is_new:
            return
        self.bindings = binding.number = self.bindings + 1
        source.outgoing[binding.identity] = binding
        destination.incoming[binding.identity] = binding
        if isinstance(destination, Exchange):
            source.to_exchanges += 1
        try:
            source.router.add(binding)
        except BrokerError:
            if not self.node.profile.topology.keeps_binding_that_crashed:
                self._forget(binding, by)
            raise
        self.node.journal.bound(by, binding)

    def find_binding(
        self, source: Exchange, destination: Destination, routing_key: str, arguments: FieldTable
    ) -> Binding | None:
        """The binding with these very ends, key and arguments."""
        return source.outgoing.get(binding_identity(source.name, destination, routing_key, arguments))

    def remove_binding(self, binding: Binding, by: Origin = BROKER) -> None:
        """Unbind; an auto-delete exchange that loses its last binding goes with it (EXCH-AUTODEL-02)."""
        self._forget(binding, by)
        source = binding.source
        if source.auto_delete and not source.outgoing:
            self.delete_exchange(source, by)
        self.node.journal.binding_deleted(by, binding)

    def _forget_all(self, *bindings: dict[tuple[object, ...], Binding]) -> None:
        for some in bindings:
            # Forgetting a binding of an exchange to itself removes it from both ends.
            for binding in list(some.values()):
                self._forget(binding, BROKER)

    def _forget(self, binding: Binding, by: Origin) -> None:
        source, destination = binding.source, binding.destination
        del source.outgoing[binding.identity]
        destination.incoming.pop(binding.identity, None)
        source.router.remove(binding)
        if isinstance(destination, Exchange):
            source.to_exchanges -= 1
        self.node.journal.unbound(by, binding)
