"""exchange.declare, delete, bind and unbind."""

from hutch.fakebroker.amqp091.commands.lookup import (
    check_binding_permitted,
    find_exchange,
    refuse_default_exchange,
    stripped,
)
from hutch.fakebroker.engine.arguments import assert_equivalent, assert_same_argument
from hutch.fakebroker.engine.bindings import Destination
from hutch.fakebroker.engine.channel import Channel
from hutch.fakebroker.engine.errors import precondition_failed, refused
from hutch.fakebroker.engine.exchanges import Exchange
from hutch.fakebroker.engine.exchanges.kinds import check_type
from hutch.fakebroker.erlang.terms import print_atom, type_text
from hutch.wire.fields import FieldTable
from hutch.wire.methods import (
    ExchangeBind,
    ExchangeBindOk,
    ExchangeDeclare,
    ExchangeDeclareOk,
    ExchangeDelete,
    ExchangeDeleteOk,
    ExchangeUnbind,
    ExchangeUnbindOk,
)


def declare(channel: Channel, method: ExchangeDeclare) -> None:
    """Create the exchange, or verify that it is there (EXCH-DECLARE)."""
    name = stripped(method.exchange)
    if method.passive:
        refuse_default_exchange(name)
        channel.access.check_passive("exchange", name)
        find_exchange(channel, name)
    else:
        check_type(channel.vhost.node.profile, method.type)  # whatever else is wrong (EXCH-DECLARE-07)
        refuse_default_exchange(name)
        channel.access.check("exchange", name, "configure")
        existing = channel.vhost.exchanges.get(name)
        if existing is None:
            _create(channel, name, method)
        else:
            _compare(channel, existing, method)
    if not method.nowait:
        channel.output.method(channel.number, ExchangeDeclareOk())


def _create(channel: Channel, name: str, method: ExchangeDeclare) -> None:
    vhost = channel.vhost
    if name.startswith("amq."):
        raise refused(f"exchange name '{name}' contains reserved prefix 'amq.*'")
    _check_alternate(channel, name, method.arguments)
    vhost.node.exchange_types[method.type].check_arguments(vhost.node, method.arguments)
    vhost.add_exchange(
        Exchange(
            name,
            method.type,
            vhost,
            durable=method.durable,
            auto_delete=method.auto_delete,
            internal=method.internal,
            arguments=method.arguments,
        ),
        channel.origin,
    )


def _check_alternate(channel: Channel, name: str, arguments: FieldTable) -> None:
    """Refuse a value of the wrong type, and with 403 an exchange that the user may not read, or an alternate that the
    user may not write to (PERM-08).
    """
    if "alternate-exchange" in arguments:
        alternate = arguments["alternate-exchange"]
        kind = type_text(alternate)
        if kind != "longstr":
            raise precondition_failed(
                f"invalid type '{kind}' for arg 'alternate-exchange' in exchange '{name}' in vhost "
                f"'{channel.vhost.name}'"
            )
        channel.access.check("exchange", name, "read")
        if isinstance(alternate, str):
            channel.access.check("exchange", alternate, "write")


def _compare(channel: Channel, existing: Exchange, method: ExchangeDeclare) -> None:
    """Refuse a declaration that differs, the first difference named (EXCH-DECLARE-09 to EXCH-DECLARE-15)."""
    where = ("exchange", existing.name, channel.vhost.name)
    assert_equivalent(*where, "type", print_atom(method.type), print_atom(existing.type))
    assert_equivalent(*where, "durable", method.durable, existing.durable)
    assert_equivalent(*where, "auto_delete", method.auto_delete, existing.auto_delete)
    assert_equivalent(*where, "internal", method.internal, existing.internal)
    assert_same_argument(*where, "alternate-exchange", method.arguments, existing.arguments)


def delete(channel: Channel, method: ExchangeDelete) -> None:
    """Delete the exchange; one that is not there is no error (EXCH-DELETE)."""
    name, vhost = stripped(method.exchange), channel.vhost
    refuse_default_exchange(name)
    if name.startswith("amq."):
        raise refused(f"deletion of system exchange '{name}' in vhost '{vhost.name}' not allowed")
    channel.access.check("exchange", name, "configure")
    existing = vhost.exchanges.get(name)
    if existing is not None:
        if method.if_unused and existing.outgoing:
            raise precondition_failed(f"exchange '{name}' in vhost '{vhost.name}' in use")
        vhost.node.journal.exchange_deleting(channel.origin, existing)
        vhost.delete_exchange(existing, channel.origin)
        vhost.node.journal.exchange_delete_done(channel.origin, existing)
    if not method.nowait:
        channel.output.method(channel.number, ExchangeDeleteOk())


def bind(channel: Channel, method: ExchangeBind) -> None:
    """Bind an exchange to an exchange (EXCH-BIND-04)."""
    to, from_ = stripped(method.destination), stripped(method.source)
    check_binding_permitted(channel, "exchange", to, from_, method.routing_key)
    source = find_exchange(channel, from_)
    destination = find_exchange(channel, to)
    check_binding(channel, source, destination, method.routing_key, method.arguments)
    channel.vhost.add_binding(source, destination, method.routing_key, method.arguments, channel.origin)
    if not method.nowait:
        channel.output.method(channel.number, ExchangeBindOk())


def check_binding(
    channel: Channel, source: Exchange, destination: Destination, routing_key: str, arguments: FieldTable
) -> None:
    """Refuse a binding that the source's type cannot use (EXCH-HEADERS-09, EXCH-PLUGIN-01, EXCH-PLUGIN-09)."""
    node = channel.vhost.node
    node.exchange_types[source.type].check_binding(source, node, destination, routing_key, arguments)


def unbind(channel: Channel, method: ExchangeUnbind) -> None:
    """Remove such a binding; one that is not there is no error (EXCH-BIND-05)."""
    to, from_ = stripped(method.destination), stripped(method.source)
    check_binding_permitted(channel, "exchange", to, from_, method.routing_key)
    vhost = channel.vhost
    source, destination = vhost.exchanges.get(from_), vhost.exchanges.get(to)
    if source is not None and destination is not None:
        binding = vhost.find_binding(source, destination, method.routing_key, method.arguments)
        if binding is not None:
            vhost.remove_binding(binding, channel.origin)
    if not method.nowait:
        channel.output.method(channel.number, ExchangeUnbindOk())
