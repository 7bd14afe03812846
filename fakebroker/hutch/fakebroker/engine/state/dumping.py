"""The state of a node, as data."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hutch.fakebroker.engine.access.users import User
from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.state.books import Dumping
from hutch.fakebroker.engine.state.values import BindingState, ExchangeState, NodeState, UserState, VHostState

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.vhost import VHost


def dump(node: "Node") -> NodeState:
    """All that a node has, but for its connections. What they have and not settled counts to its queue.

    Nothing may be pending.
    """
    assert not node.pending, "a state is dumped between commands"
    dumping = Dumping(node.clock, node.sinks)
    return NodeState(
        exchange_types=frozenset(node.exchange_types),
        moment=dumping.moment(node.clock.monotonic()),
        messages=node.messages,
        timers=node.timers.order,
        names=node.names.dump(),
        random=node.random.getstate(),
        alarms=frozenset(node.alarms.raised),
        hashes=node.hashes,
        global_parameters=dict(node.global_parameters),
        users=tuple(map(_dump_user, node.users.values())),
        vhosts=tuple(_dump_vhost(vhost, dumping) for vhost in node.vhosts.values()),
        parts={name: part.dump(dumping) for name, part in node.parts.items()},
        connections=frozenset(connection.origin for connection in node.connections),
        loopback_users=node.loopback_users,
    )


def _dump_user(user: User) -> UserState:
    topics = {vhost: dict(exchanges) for vhost, exchanges in user.topic_permissions.items()}
    return UserState(
        user.name,
        user.password_hash,
        user.tags,
        user.everywhere,
        dict(user.permissions),
        topics,
        dict(user.limits),
    )


def _dump_vhost(vhost: "VHost", dumping: Dumping) -> VHostState:
    return VHostState(
        vhost.name,
        vhost.description,
        vhost.tags,
        vhost.protected,
        dict(vhost.limits),
        vhost.default_queue_type,
        vhost.traced,
        dict(vhost.policies.user),
        dict(vhost.policies.operator),
        tuple(_dump_exchange(exchange, dumping) for exchange in vhost.exchanges.values()),
        tuple(queue.dump(dumping) for queue in vhost.queues.values()),
        tuple(_dump_bindings(vhost)),
    )


def _dump_exchange(exchange: Exchange, dumping: Dumping) -> ExchangeState:
    return ExchangeState(
        exchange.name,
        exchange.type,
        exchange.durable,
        exchange.auto_delete,
        exchange.internal,
        exchange.arguments,
        exchange.router.dump(dumping),
    )


def _dump_bindings(vhost: "VHost") -> Iterator[BindingState]:
    """The bindings, in the order in which they were made."""
    bindings = (binding for exchange in vhost.exchanges.values() for binding in exchange.outgoing.values())
    for binding in sorted(bindings, key=lambda binding: binding.number):
        destination = binding.destination
        yield BindingState(
            binding.source.name,
            destination.name,
            isinstance(destination, Exchange),
            binding.routing_key,
            binding.arguments,
        )
