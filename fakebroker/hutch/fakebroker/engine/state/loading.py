"""A node that has a state that was dumped."""

from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.access.accounts import delete_user
from hutch.fakebroker.engine.access.users import User
from hutch.fakebroker.engine.bindings import Binding
from hutch.fakebroker.engine.clock import SteppedClock
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.origin import BROKER
from hutch.fakebroker.engine.queues.types import QUEUE_TYPES
from hutch.fakebroker.engine.state.books import Loading
from hutch.fakebroker.engine.state.values import (
    BindingState,
    ConsumerState,
    ExchangeState,
    NodeState,
    QueueState,
    UserState,
    VHostState,
)
from hutch.fakebroker.engine.vhost import VHost
from hutch.fakebroker.engine.vhosts import delete_vhost

if TYPE_CHECKING:
    from hutch.fakebroker.engine.bindings import Destination
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.targets import Target

#: The text of the close for connections that are not in the state.
_REASON: Final = "broker forced connection closure with reason 'restore'"

#: Consumers, by the id() of their queue's state.
_Staying = dict[int, list[ConsumerState]]


class _Loading(Loading):
    """With the connections that are open, and the sinks of their channels, by their origins."""

    def __init__(self, node: "Node", shift: int) -> None:
        super().__init__(node.clock, node.timers, shift)
        self.connections: Final = {connection.origin: connection for connection in node.connections}
        self.sinks: Final = {sink.origin: sink for sink in node.sinks}
        for connection in node.connections:
            for origin, publisher in connection.publishers.items():
                self.publishers[origin] = publisher


def load(state: NodeState, node: "Node") -> None:
    """Have a new node go on with a state, as after a restart: time has passed since then, and what expired is gone.

    There are no connections any more, so there are no exclusive queues. What was not acknowledged comes back. All else
    is as it was, be it durable or not.

    The node has to be of the same RabbitMQ version.

    Raises:
        ValueError: the state is one with other plugins.
    """
    _load(state, node, 0)


def restore(node: "Node", state: NodeState) -> None:
    """Return to a state of this node: its moment is now.

    Connections that were open stay open, and the node closes younger ones with 320. A consumer that was there, and is
    there still, stays. The node cancels other consumers. Messages that were not acknowledged come back, and later
    settlements of theirs change nothing.

    Raises:
        ValueError: as :func:`load`.
    """
    shift = node.clock.epoch() + round(node.clock.monotonic() * 1e9) - state.moment
    _load(state, node, shift)


def _load(state: NodeState, node: "Node", shift: int) -> None:
    check(state, node)
    _delete_younger(state, node)
    loading = _Loading(node, shift)
    clock = node.clock
    if isinstance(clock, SteppedClock):
        # Messages return at the moment of the state. Timers that fell due since then run at their own moments.
        clock.moment = loading.moment(state.moment)
        try:
            _replace(state, node, loading)
        finally:
            clock.moment = None
    else:
        _replace(state, node, loading)
    node.run_due()


def _replace(state: NodeState, node: "Node", loading: "_Loading") -> None:
    node.users.clear()
    node.users.update((user.name, _load_user(user)) for user in state.users)
    node.loopback_users = state.loopback_users
    staying = _staying(state, loading)
    _end_others(staying, node, loading)
    replaced = _empty(node)
    vhosts = {each.name: node.vhosts.get(each.name) or VHost(node, each.name) for each in state.vhosts}
    node.vhosts.clear()
    node.vhosts.update(vhosts)
    for each in state.vhosts:
        _load_vhost(each, vhosts[each.name], loading)
    successors: dict[Target, Target] = {
        queue: node.vhosts[vhost].queues[name]
        for (vhost, name), queue in replaced.items()
        if name in node.vhosts[vhost].queues
    }
    for connection in node.connections:
        connection.go_on(successors)
    for name, contents in state.parts.items():
        node.parts[name].load(contents, loading)
    for resource in node.alarms.raised - state.alarms:
        node.alarms.clear(resource)
    node.alarms.raised.update(state.alarms)
    node.names.load(state.names)
    node.random.setstate(state.random)
    node.hashes = state.hashes
    node.global_parameters.clear()
    node.global_parameters.update(state.global_parameters)
    # Messages and timers that came later keep their numbers and their places.
    node.messages = max(node.messages, state.messages)
    node.timers.go_on_from(state.timers)
    for each in state.vhosts:
        queues = node.vhosts[each.name].queues
        for queue in each.queues:
            if queue.name in queues:
                _go_on(queues[queue.name], queue, staying[id(queue)], loading)


def check(state: NodeState, node: "Node") -> None:
    """Refuse a state that the node cannot have.

    Raises:
        ValueError: as :func:`load`.
    """
    theirs, ours = {*state.exchange_types, *state.parts}, {*node.exchange_types, *node.parts}
    if theirs != ours:
        names = ", ".join(sorted(theirs ^ ours))
        raise ValueError(f"this is the state of a broker with other plugins: one of the two lacks {names}")


def _delete_younger(state: NodeState, node: "Node") -> None:
    """Close connections that the state does not have, and delete such virtual hosts and users."""
    for connection in [each for each in node.connections if each.origin not in state.connections]:
        connection.force_close(_REASON)
    for name in node.vhosts.keys() - {vhost.name for vhost in state.vhosts}:
        delete_vhost(node, BROKER, name)
    for name in node.users.keys() - {user.name for user in state.users}:
        delete_user(node, BROKER, name)
    node.run_due()


def _load_user(state: UserState) -> User:
    user = User(state.name, state.password_hash, state.tags, everywhere=state.everywhere)
    user.permissions.update(state.permissions)
    user.topic_permissions.update((vhost, dict(topics)) for vhost, topics in state.topic_permissions.items())
    user.limits.update(state.limits)
    return user


# consumers


def _staying(state: NodeState, loading: _Loading) -> _Staying:
    """The consumers that are there still, by the identities of their queues' states."""
    return {
        id(queue): [each for each in queue.consumers if _is_there(each, vhost.name, queue.name, loading)]
        for vhost in state.vhosts
        for queue in vhost.queues
    }


def _is_there(state: ConsumerState, vhost: str, queue: str, loading: _Loading) -> bool:
    sink = loading.sinks.get(state.origin)
    consumer = None if sink is None else sink.consumers.get(state.tag)
    return consumer is not None and (consumer.queue.vhost.name, consumer.queue.name) == (vhost, queue)


def _end_others(staying: _Staying, node: "Node", loading: _Loading) -> None:
    """Cancel the consumers that do not stay."""
    kept = {(consumer.origin, consumer.tag) for consumers in staying.values() for consumer in consumers}
    for origin, sink in loading.sinks.items():
        ended = [consumer for consumer in sink.consumers.values() if (origin, consumer.tag) not in kept]
        for consumer in ended:
            sink.orphan(consumer)
            sink.cancelled(consumer)
        if ended:
            node.journal.consumers_orphaned(BROKER, ended)


# virtual hosts


def _empty(node: "Node") -> "dict[tuple[str, str], Queue]":
    """Have nothing in the virtual hosts, and revoke deliveries. Returns the queues that there were, by virtual host and
    name.
    """
    replaced: dict[tuple[str, str], Queue] = {}
    for connection in node.connections:
        connection.exclusive_queues.clear()
    for vhost in node.vhosts.values():
        for queue in vhost.queues.values():
            replaced[vhost.name, queue.name] = queue
            for delivery in list(queue.deliveries):
                delivery.revoke()
            queue.consumers.clear()
            queue.close()
        vhost.queues.clear()
        vhost.exchanges.clear()
    return replaced


def _load_vhost(state: VHostState, vhost: VHost, loading: _Loading) -> None:
    vhost.description, vhost.tags, vhost.protected = state.description, state.tags, state.protected
    vhost.default_queue_type, vhost.traced = state.default_queue_type, state.traced
    policies = vhost.policies
    for mapping in (vhost.limits, policies.user, policies.operator):
        mapping.clear()
    vhost.limits.update(state.limits)
    policies.user.update(state.policies)
    policies.operator.update(state.operator_policies)
    for exchange in state.exchanges:
        _load_exchange(exchange, vhost)
    for queue in state.queues:
        _load_queue(queue, vhost, loading)
    for number, binding in enumerate(state.bindings, 1):
        _load_binding(binding, number, vhost)
    vhost.bindings = len(state.bindings)
    for exchange in state.exchanges:
        if exchange.contents is not None:
            vhost.exchanges[exchange.name].router.load(exchange.contents, loading)
    for queue in state.queues:
        if queue.name in vhost.queues:
            vhost.queues[queue.name].load(queue, loading)


def _load_exchange(state: ExchangeState, vhost: VHost) -> None:
    exchange = vhost.exchanges[state.name] = Exchange(
        state.name,
        state.type,
        vhost,
        durable=state.durable,
        auto_delete=state.auto_delete,
        internal=state.internal,
        arguments=state.arguments,
    )
    vhost.policies.cover_exchange(exchange)


def _load_queue(state: QueueState, vhost: VHost, loading: _Loading) -> None:
    """Make a queue, with nothing in it. One that is exclusive to a connection that is gone is gone, too."""
    owner = None if state.owner is None else loading.connections.get(state.owner)
    if state.owner is not None and owner is None:
        loading.gone.add((vhost.name, state.name))
        return
    queue = vhost.queues[state.name] = QUEUE_TYPES[state.type](
        vhost,
        state.name,
        durable=state.durable,
        owner=owner,
        auto_delete=state.auto_delete,
        arguments=state.arguments,
    )
    if queue.forwards is not None:
        loading.publishers[vhost.name, queue.name] = queue.forwards
    if owner is not None:
        owner.exclusive_queues[queue] = None


def _load_binding(state: BindingState, number: int, vhost: VHost) -> None:
    found: Destination | None = (vhost.exchanges if state.to_exchange else vhost.queues).get(state.destination)
    if found is None:
        return  # an exclusive queue that is gone
    source = vhost.exchanges[state.source]
    binding = Binding(source, found, state.routing_key, state.arguments)
    binding.number = number
    source.outgoing[binding.identity] = found.incoming[binding.identity] = binding
    source.to_exchanges += state.to_exchange
    source.router.add(binding)


def _go_on(queue: "Queue", state: QueueState, staying: list[ConsumerState], loading: _Loading) -> None:
    """Serve the consumers that stay, once what was not acknowledged has come back."""
    consumers: dict[Consumer, ConsumerState] = {}
    for each in staying:
        sink = loading.sinks[each.origin]
        consumer = sink.consumers[each.tag] = queue.consumer_type(
            each.tag,
            queue,
            sink,
            no_ack=each.no_ack,
            exclusive=each.exclusive,
            prefetch=each.prefetch,
            priority=each.priority,
            arguments=each.arguments,
        )
        consumers[consumer] = each
    queue.load_consumers(consumers)
    entries = [queue.load_entry(entry, loading) for entry in state.unacknowledged]
    if entries:  # then a classic queue looks for messages that expired unnoticed
        queue.requeue(entries, BROKER, failed=True, lost=True)
    if state.consumers and not consumers:  # the last one was lost
        if queue.auto_delete:
            queue.vhost.delete_queue(queue)
            return
        queue.renew_lease()
    if entries or consumers:
        queue.dispatch()
