"""The journal: the engine tells every fact once, by a method of its own, at the moment when RabbitMQ tells it.

A listener is a subclass of :class:`Journal` with the methods that it wants to hear. The engine knows no listener. It
calls ``node.journal``: the only listener there is, or one that passes facts on
(:mod:`hutch.fakebroker.engine.listening`).
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from hutch.fakebroker.engine.origin import Origin
from hutch.wire.interfaces import mypyc_attr

if TYPE_CHECKING:
    from hutch.fakebroker.engine.access.users import Permissions, TopicPermissions
    from hutch.fakebroker.engine.bindings import Binding
    from hutch.fakebroker.engine.client import Client
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.consumers import Consumer
    from hutch.fakebroker.engine.exchanges.exchange import Exchange
    from hutch.fakebroker.engine.message import Message
    from hutch.fakebroker.engine.operator.policies import Policy
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.targets import Target
    from hutch.fakebroker.engine.vhost import VHost


@mypyc_attr(allow_interpreted_subclasses=True)
class Journal:
    """All facts. ``origin`` is who made a fact happen; a fact without one is the broker's own.

    A method is called amid a command, with the broker's lock held. It changes nothing but what is its own, unless it
    publishes: at once, or through ``node.pending`` once the command is done. It must not raise. The error would end the
    command half done. Nothing catches it, so that it is noticed: it reaches the caller of the broker.
    """

    # messages: from the publish to the queue

    def published(self, origin: Origin, vhost: "VHost", message: "Message", queues: Sequence["Target"]) -> None:
        """A message was published and goes into ``queues``."""

    def held(self, origin: Origin, vhost: "VHost", message: "Message", queues: Sequence["Target"]) -> None:
        """A message was published and goes into ``queues`` if its transaction commits."""

    def released(self, origin: Origin, vhost: "VHost", message: "Message", queues: Sequence["Target"]) -> None:
        """A commit publishes a message that was held."""

    def returned(self, origin: Origin, vhost: "VHost", message: "Message", reply_text: str) -> None:
        """A message went back to its publisher."""

    def confirmed(self, origin: Origin, vhost: "VHost", count: int) -> None:
        """A channel tells its publisher that so many publishes are confirmed."""

    def delayed(self, vhost: "VHost", message: "Message", delay: int) -> None:
        """An exchange keeps a message back for ``delay`` ms."""

    def due(self, vhost: "VHost", message: "Message", queues: Sequence["Target"]) -> None:
        """A delayed message goes into ``queues``."""

    def committed(self, origin: Origin, vhost: "VHost", publishes: int, acknowledgements: int) -> None:
        """A transaction was committed that held so many of both."""

    def rolled_back(self, origin: Origin, vhost: "VHost", publishes: int, acknowledgements: int) -> None:
        """A transaction was rolled back that held so many of both."""

    # messages: from the queue to a client, and back

    def delivered(
        self,
        origin: Origin,
        vhost: "VHost",
        queue: "Target",
        message: "Message",
        consumer_tag: str,
        delivery_tag: int,
        redelivered: bool,
        no_ack: bool,
    ) -> None:
        """A consumer gets a message; ``origin`` is its channel. With ``no_ack`` nobody acknowledges it."""

    def got(
        self, origin: Origin, queue: "Queue", message: "Message", delivery_tag: int, redelivered: bool, no_ack: bool
    ) -> None:
        """basic.get fetched a message."""

    def got_nothing(self, origin: Origin, queue: "Queue") -> None:
        """basic.get found no message."""

    def acked(self, origin: Origin, queue: "Queue", message: "Message") -> None:
        """A client acknowledged a delivery."""

    def rejected(self, origin: Origin, queue: "Queue", message: "Message") -> None:
        """A client refused a delivery, which does not go back to the queue."""

    def requeued(self, origin: Origin, queue: "Queue", message: "Message") -> None:
        """A delivery went back to its queue."""

    # messages: their ends

    def expired(self, queue: "Queue", message: "Message") -> None:
        """A message's time is over."""

    def overflowed(self, queue: "Queue", message: "Message") -> None:
        """A message had to go because the queue holds too much."""

    def dropped(self, queue: "Queue", message: "Message") -> None:
        """A message is gone for good."""

    def dead_lettered(
        self, queue: "Queue", message: "Message", dead: "Message", reason: str, queues: Sequence["Target"]
    ) -> None:
        """A message died in ``queue``, and its dead letter goes into ``queues``."""

    def purged(self, origin: Origin, queue: "Queue", count: int) -> None:
        """So many ready messages were removed."""

    def truncated(self, queue: "Queue", first_offset: int) -> None:
        """A stream begins with another offset now."""

    # queues, exchanges, bindings

    def queue_declared(self, origin: Origin, queue: "Queue") -> None:
        """There is a new queue."""

    def queue_redeclared(self, origin: Origin, queue: "Queue") -> None:
        """A queue that is there was declared again, not passively."""

    def consumers_orphaned(self, origin: Origin, consumers: Sequence["Consumer"]) -> None:
        """A queue that is being deleted ended its consumers."""

    def queue_deleted(self, origin: Origin, queue: "Queue", orphans: Sequence["Consumer"]) -> None:
        """A queue is gone, with its messages, bindings and consumers."""

    def exchange_declared(self, origin: Origin, exchange: "Exchange") -> None:
        """There is a new exchange."""

    def exchange_deleting(self, origin: Origin, exchange: "Exchange") -> None:
        """A client begins to delete an exchange; others may go with it."""

    def exchange_deleted(self, origin: Origin, exchange: "Exchange", bindings: Sequence["Binding"]) -> None:
        """An exchange is gone. RabbitMQ reports these bindings with it."""

    def exchange_delete_done(self, origin: Origin, exchange: "Exchange") -> None:
        """What :meth:`exchange_deleting` told of is done."""

    # RabbitMQ reports a binding before the exchange routes by it, and again when everything that goes with it is gone.

    def binding_created(self, origin: Origin, binding: "Binding", is_new: bool) -> None:
        """A client binds; the binding is there already unless it ``is_new``."""

    def bound(self, origin: Origin, binding: "Binding") -> None:
        """The exchange routes by a new binding."""

    def unbound(self, origin: Origin, binding: "Binding") -> None:
        """The exchange does not route by the binding any more."""

    def binding_deleted(self, origin: Origin, binding: "Binding") -> None:
        """A binding is gone, and an auto-delete exchange that lost its last one with it."""

    # consumers and channels

    def consumer_added(self, origin: Origin, consumer: "Consumer") -> None:
        """A client consumes from a queue."""

    def consumer_cancelled(self, origin: Origin, consumer: "Consumer") -> None:
        """A client cancelled its consumer."""

    def reply_consumer_added(self, origin: Origin, vhost: "VHost", consumer_tag: str) -> None:
        """A client consumes from the pseudo queue of direct reply-to."""

    def reply_consumer_cancelled(self, origin: Origin, vhost: "VHost", consumer_tag: str) -> None:
        """A client cancelled its consumer of replies."""

    def consumers_ended(self, origin: Origin, consumers: Iterable["Consumer"]) -> None:
        """A channel ends its consumers, because it ends itself."""

    def channel_opened(self, origin: Origin, connection: "Connection") -> None:
        """There is a new channel."""

    def channel_closed(self, origin: Origin, consumers: int) -> None:
        """A channel is gone, which had so many consumers at its end."""

    # connections

    def authenticated(self, client: "Client", user: str) -> None:
        """A client logged in."""

    def authentication_failed(self, client: "Client", user: str | None, reason: str) -> None:
        """A client could not log in; ``None`` where the user is not known."""

    def connected(self, connection: "Connection") -> None:
        """A connection is open."""

    def blocked(self, origin: Origin, vhost: str) -> None:
        """A connection is not read any more, because of an alarm."""

    def unblocked(self, origin: Origin, vhost: str) -> None:
        """A connection is read again."""

    def refused(self, origin: Origin, vhost: str, reason: str) -> None:
        """The broker ends a connection, or closes a channel. Before there is a connection, ``vhost`` is empty."""

    def disconnected(self, connection: "Connection") -> None:
        """A connection gave back all it held."""

    def client_gone(self, client: "Client") -> None:
        """The stream of bytes ended, be it that of a connection which was never open."""

    # users and their rights

    def user_created(self, origin: Origin, user: str) -> None:
        """There is a new user."""

    def user_deleted(self, origin: Origin, user: str) -> None:
        """A user is gone."""

    def password_changed(self, origin: Origin, user: str) -> None:
        """A user has another password."""

    def tags_set(self, origin: Origin, user: str, tags: Collection[str]) -> None:
        """A user has these tags."""

    def user_limit_set(self, origin: Origin, user: str, limit: str, value: int) -> None:
        """A user may have so many connections or channels."""

    def user_limits_cleared(self, origin: Origin, user: str) -> None:
        """A user has no limits any more."""

    def permissions_set(self, origin: Origin, user: str, vhost: str, permissions: "Permissions") -> None:
        """A user may open a virtual host."""

    def permissions_cleared(self, origin: Origin, user: str, vhost: str) -> None:
        """A user may not open a virtual host any more."""

    def topic_permissions_set(
        self, origin: Origin, user: str, vhost: str, exchange: str, permissions: "TopicPermissions"
    ) -> None:
        """A user's topics on an exchange are limited."""

    def topic_permissions_cleared(self, origin: Origin, user: str, vhost: str, exchange: str | None) -> None:
        """A user's topics on an exchange, ``None`` for all, are not limited any more."""

    # virtual hosts, policies, the node

    def vhost_created(self, origin: Origin, vhost: "VHost") -> None:
        """There is a new virtual host."""

    def vhost_updated(self, origin: Origin, vhost: "VHost") -> None:
        """A virtual host was declared again."""

    def vhost_limits_set(self, origin: Origin, vhost: "VHost") -> None:
        """A virtual host has other limits."""

    def vhost_deleted(self, origin: Origin, vhost: "VHost") -> None:
        """A virtual host is gone, its queues and permissions before it."""

    def policy_set(self, origin: Origin, vhost: str, policy: "Policy", is_operator: bool) -> None:
        """There is a policy or an operator policy, or another of that name."""

    def policy_applied(
        self, origin: Origin, vhost: str, policy: "Policy", is_operator: bool, queues: Collection["Queue"]
    ) -> None:
        """A policy that was set holds now, and changed these queues."""

    def policy_deleted(self, origin: Origin, vhost: str, name: str, is_operator: bool) -> None:
        """A policy or an operator policy is gone."""

    def policy_lifted(
        self, origin: Origin, vhost: str, name: str, is_operator: bool, queues: Collection["Queue"]
    ) -> None:
        """A policy that was deleted does not hold any more, which changed these queues."""

    def alarm_raised(self, resource: str) -> None:
        """The node is low on a resource."""

    def alarm_cleared(self, resource: str) -> None:
        """The node is low on a resource no more."""

    def fault_hit(self, origin: Origin, vhost: str, fault: str) -> None:
        """A fault happens that was asked for by a call: the broker does not do what RabbitMQ would."""

    def stopped(self) -> None:
        """The node stands still."""

    def started(self) -> None:
        """The node goes on."""
