"""Declaring, deleting and purging queues and exchanges, binding and unbinding: the rules, and who may.

Each function takes the actor that asks, and changes nothing before it raises an
:class:`~hutch.fakebroker.engine.errors.BrokerError`. It answers nobody.
"""

from hutch.fakebroker.engine.access.limits import check_new_queue
from hutch.fakebroker.engine.actors import Actor, Kind
from hutch.fakebroker.engine.arguments import (
    assert_equivalent,
    assert_same_argument,
    check_master_locator,
    check_queue_arguments,
    check_queue_properties,
    check_server_named,
    check_stream_sizes,
    compare_queue_arguments,
    queue_type_of,
)
from hutch.fakebroker.engine.bindings import Destination
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.deprecated import denied
from hutch.fakebroker.engine.errors import not_implemented, precondition_failed, refused
from hutch.fakebroker.engine.exchanges.exchange import Exchange
from hutch.fakebroker.engine.exchanges.kinds import check_type
from hutch.fakebroker.engine.lookup import (
    check_owner,
    find_exchange,
    found_queue,
    locked,
    owned_queue,
    refuse_default_exchange,
)
from hutch.fakebroker.engine.queues.queue import Queue
from hutch.fakebroker.engine.queues.types import QUEUE_TYPES
from hutch.fakebroker.erlang.terms import print_atom, type_text
from hutch.wire.fields import FieldTable

# queues


def declare_queue(
    actor: Actor,
    name: str,
    *,
    durable: bool = False,
    exclusive: bool = False,
    auto_delete: bool = False,
    arguments: FieldTable,
) -> Queue:
    """Create a queue, or verify that it is there (QUEUE-DECLARE). An empty name has the broker make one up.

    Raises:
        BrokerError: 403, 405, 406, 540 or 541.
        ValueError: an exclusive queue, and the actor has no connection that it could belong to.
    """
    if exclusive and actor.connection is None:
        raise ValueError("an exclusive queue belongs to a connection, and this actor has none")
    vhost = actor.vhost
    default = vhost.default_queue_type
    if default is not None and "x-queue-type" not in arguments:
        # The default type is for queues that are durable, shared and not auto-delete; others are classic
        # (QUEUE-DECLARE-28). An empty type means the default for all queues, and a redeclaration compares it as empty
        # (QUEUE-ARG-14).
        kept = durable and not exclusive and not auto_delete
        arguments = {**arguments, "x-queue-type": default if kept else "classic"}
    if name.startswith("amq."):
        raise refused(f"queue name '{name}' contains reserved prefix 'amq.*'")
    if not name:
        check_server_named(arguments, vhost.node.profile.arguments)
        name = vhost.node.names.queue()
    actor.check("queue", name, "configure")
    queue = vhost.queues.get(name)
    if queue is None:
        _check_new_queue(actor, name, arguments, durable=durable, exclusive=exclusive, auto_delete=auto_delete)
        queue = QUEUE_TYPES[queue_type_of(arguments, default)](
            vhost,
            name,
            durable=durable and not exclusive,  # exclusive queues are never durable (QUEUE-DECLARE-25)
            owner=actor.connection if exclusive else None,
            auto_delete=auto_delete,
            arguments=arguments,
        )
        vhost.add_queue(queue, actor.origin)
    else:
        # Exclusiveness first, then the rest (QUEUE-DECLARE-11 to QUEUE-DECLARE-24).
        check_owner(actor, queue)
        if exclusive != (queue.owner is not None):
            raise locked(queue)
        where = ("queue", name, vhost.name)
        assert_equivalent(*where, "durable", durable and not exclusive, queue.durable)
        assert_equivalent(*where, "auto_delete", auto_delete, queue.auto_delete)
        compare_queue_arguments(queue, arguments)
        vhost.node.journal.queue_redeclared(actor.origin, queue)
    queue.redeclared()
    return queue


def _check_new_queue(
    actor: Actor, name: str, arguments: FieldTable, *, durable: bool, exclusive: bool, auto_delete: bool
) -> None:
    vhost = actor.vhost
    profile = vhost.node.profile
    if not profile.topology.checks_queue_limit_late:
        check_new_queue(vhost, name)
    exchange = arguments.get("x-dead-letter-exchange")
    if isinstance(exchange, str):  # other types are refused below
        # The queue's messages leave it through this exchange, which needs permissions (PERM-09).
        actor.check("queue", name, "read")
        actor.check("exchange", exchange, "write")
    check_queue_arguments(name, vhost.name, arguments, profile.arguments, vhost.default_queue_type)
    if not (durable or exclusive or profile.topology.permits_transient_queues):
        raise denied("transient_nonexcl_queues")
    if profile.topology.checks_queue_limit_late:
        check_new_queue(vhost, name)
    queue_type = queue_type_of(arguments, vhost.default_queue_type)
    check_queue_properties(
        name,
        vhost.name,
        queue_type,
        durable=durable and not exclusive,
        exclusive=exclusive,
        auto_delete=auto_delete,
    )
    if queue_type == "stream":
        check_stream_sizes(arguments, profile.arguments)
    check_master_locator(arguments, profile.arguments, exclusive=exclusive)
    if queue_type not in QUEUE_TYPES:
        raise not_implemented(f"x-queue-type={queue_type}")


def existing_queue(actor: Actor, name: str) -> Queue:
    """The queue of this name, as a passive declaration asks for it; its lease begins anew.

    Raises:
        BrokerError: 403, 404 or 405.
    """
    actor.check_passive("queue", name)
    queue = owned_queue(actor, name)
    queue.redeclared()
    return queue


def delete_queue(
    actor: Actor, name: str, *, if_unused: bool = False, if_empty: bool = False
) -> tuple[int, list[Consumer]]:
    """Delete a queue with its messages and bindings; one that is not there is no error (QUEUE-DELETE).

    Returns how many messages were ready, and the consumers that the queue had. Once the caller has answered, it tells
    these in this order (CONSUME-19).

    Raises:
        BrokerError: 403, 405 or 406.
    """
    vhost = actor.vhost
    actor.check("queue", name, "configure")
    queue = vhost.queues.get(name)
    if queue is None:
        return 0, []
    check_owner(actor, queue)
    queue.drop_expired()
    count = queue.check_delete(if_unused=if_unused, if_empty=if_empty)
    orphans = vhost.delete_queue(queue, actor.origin)
    # Each channel is told in the order of its tags.
    return count, sorted(orphans, key=lambda orphan: orphan.tag_bytes[1:])


def purge(actor: Actor, name: str) -> int:
    """Remove the ready messages of a queue; how many there were (QUEUE-PURGE).

    Raises:
        BrokerError: 403, 404 or 405; 540, it is a stream.
    """
    actor.check("queue", name, "read")
    node = actor.vhost.node
    if node.replies.is_volatile(name):
        return 0
    queue = owned_queue(actor, name)
    count = queue.purge()
    node.journal.purged(actor.origin, queue, count)
    return count


# exchanges


def declare_exchange(
    actor: Actor,
    name: str,
    type_: str,
    *,
    durable: bool = False,
    auto_delete: bool = False,
    internal: bool = False,
    arguments: FieldTable,
) -> Exchange:
    """Create an exchange, or verify that it is there (EXCH-DECLARE).

    Raises:
        BrokerError: 403 or 406; 503, there is no such type.
    """
    vhost = actor.vhost
    node = vhost.node
    check_type(node, type_)  # whatever else is wrong (EXCH-DECLARE-07)
    refuse_default_exchange(name)
    actor.check("exchange", name, "configure")
    exchange = vhost.exchanges.get(name)
    if exchange is None:
        if name.startswith("amq."):
            raise refused(f"exchange name '{name}' contains reserved prefix 'amq.*'")
        if "alternate-exchange" in arguments:
            _check_alternate(actor, name, arguments)
        node.exchange_types[type_].check_arguments(node, arguments)
        exchange = Exchange(
            name, type_, vhost, durable=durable, auto_delete=auto_delete, internal=internal, arguments=arguments
        )
        vhost.add_exchange(exchange, actor.origin)
    else:
        # The first difference is named (EXCH-DECLARE-09 to EXCH-DECLARE-15).
        where = ("exchange", name, vhost.name)
        assert_equivalent(*where, "type", print_atom(type_), print_atom(exchange.type))
        assert_equivalent(*where, "durable", durable, exchange.durable)
        assert_equivalent(*where, "auto_delete", auto_delete, exchange.auto_delete)
        assert_equivalent(*where, "internal", internal, exchange.internal)
        assert_same_argument(*where, "alternate-exchange", arguments, exchange.arguments)
    return exchange


def _check_alternate(actor: Actor, name: str, arguments: FieldTable) -> None:
    """Refuse a value of the wrong type, and with 403 an exchange that the user may not read, or an alternate that the
    user may not write to (PERM-08).
    """
    alternate = arguments["alternate-exchange"]
    kind = type_text(alternate)
    if kind != "longstr":
        raise precondition_failed(
            f"invalid type '{kind}' for arg 'alternate-exchange' in exchange '{name}' in vhost '{actor.vhost.name}'"
        )
    actor.check("exchange", name, "read")
    if isinstance(alternate, str):
        actor.check("exchange", alternate, "write")


def existing_exchange(actor: Actor, name: str) -> Exchange:
    """The exchange of this name, as a passive declaration asks for it.

    Raises:
        BrokerError: 403 or 404.
    """
    refuse_default_exchange(name)
    actor.check_passive("exchange", name)
    return find_exchange(actor, name)


def delete_exchange(actor: Actor, name: str, *, if_unused: bool = False) -> None:
    """Delete an exchange with its bindings; one that is not there is no error (EXCH-DELETE).

    Raises:
        BrokerError: 403 or 406.
    """
    vhost = actor.vhost
    refuse_default_exchange(name)
    if name.startswith("amq."):
        raise refused(f"deletion of system exchange '{name}' in vhost '{vhost.name}' not allowed")
    actor.check("exchange", name, "configure")
    exchange = vhost.exchanges.get(name)
    if exchange is None:
        return
    if if_unused and exchange.outgoing:
        raise precondition_failed(f"exchange '{name}' in vhost '{vhost.name}' in use")
    vhost.node.journal.exchange_deleting(actor.origin, exchange)
    vhost.delete_exchange(exchange, actor.origin)
    vhost.node.journal.exchange_delete_done(actor.origin, exchange)


# bindings


def bind(
    actor: Actor, source: str, kind: Kind, destination: str, routing_key: str = "", *, arguments: FieldTable
) -> None:
    """Bind a queue or an exchange, as ``kind`` says, to the exchange ``source``; again, this changes nothing
    (EXCH-BIND-01 to EXCH-BIND-06).

    Raises:
        BrokerError: 403, 404, 405 or 406; the source's type crashes on such a binding.
    """
    vhost = actor.vhost
    _check_permitted(actor, source, kind, destination, routing_key)
    exchange = find_exchange(actor, source)
    bound: Destination = found_queue(actor, destination) if kind == "queue" else find_exchange(actor, destination)
    # Arguments or keys that the source's type cannot use (EXCH-HEADERS-09, EXCH-PLUGIN-01, EXCH-PLUGIN-09).
    vhost.node.exchange_types[exchange.type].check_binding(exchange, vhost.node, bound, routing_key, arguments)
    if not isinstance(bound, Exchange):
        check_owner(actor, bound)
    vhost.add_binding(exchange, bound, routing_key, arguments, actor.origin)


def unbind(
    actor: Actor, source: str, kind: Kind, destination: str, routing_key: str = "", *, arguments: FieldTable
) -> None:
    """Remove the binding that :meth:`bind` makes; one that is not there is no error (EXCH-BIND-03, EXCH-BIND-05).

    Raises:
        BrokerError: 403 or 405.
    """
    vhost = actor.vhost
    _check_permitted(actor, source, kind, destination, routing_key)
    exchange = vhost.exchanges.get(source)
    bound: Destination | None = vhost.queues.get(destination) if kind == "queue" else vhost.exchanges.get(destination)
    if exchange is None or bound is None:
        return
    binding = vhost.find_binding(exchange, bound, routing_key, arguments)
    if binding is not None:
        if not isinstance(bound, Exchange):
            check_owner(actor, bound)
        vhost.remove_binding(binding, actor.origin)


def _check_permitted(actor: Actor, source: str, kind: Kind, destination: str, routing_key: str) -> None:
    """Check that the user may bind or unbind: write to the destination and read the source, and that topic permissions
    cover the routing key; else 403 (PERM-06, PERM-07, PERM-12).
    """
    if kind == "queue":
        actor.vhost.node.replies.refuse_binding(destination)
    actor.check(kind, destination, "write")
    if kind == "exchange":
        refuse_default_exchange(destination)
    refuse_default_exchange(source)
    actor.check("exchange", source, "read")
    actor.check_topics(actor.vhost.exchanges.get(source), (routing_key,), "read")
