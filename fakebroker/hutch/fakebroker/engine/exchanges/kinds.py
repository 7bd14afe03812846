"""What an exchange type is: a router, and what it refuses beyond what all types refuse."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hutch.fakebroker.engine.bindings import Destination, Router
from hutch.fakebroker.engine.errors import BrokerError, precondition_failed
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.exchanges.exchange import Exchange
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.vhost import VHost


def check_type(node: "Node", name: str) -> None:
    """Refuse a type that does not exist (EXCH-DECLARE-05, EXCH-DECLARE-06).

    Raises:
        BrokerError: 406 or 503.
    """
    if name in node.exchange_types:
        return
    text = f"{'unknown' if name else 'invalid'} exchange type '{name}'"
    if node.profile.exchanges.unknown_type_is_soft:
        raise precondition_failed(text)
    raise BrokerError("COMMAND_INVALID", text)


def _accept_arguments(_node: "Node", _arguments: FieldTable) -> None:
    """Look at no argument."""


def _accept_binding(_exchange: "Exchange", _node: "Node", _to: Destination, _key: str, _arguments: FieldTable) -> None:
    """Take any binding."""


@dataclass(frozen=True)
class ExchangeType:
    """One exchange type.

    ``router`` makes the router of a new exchange. ``check_arguments`` raises for arguments of exchange.declare that
    the type cannot use, ``check_binding`` for a destination, key or arguments of a binding; both
    :class:`~hutch.fakebroker.engine.errors.BrokerError`.
    """

    router: "Callable[[Exchange, VHost], Router]"
    check_arguments: "Callable[[Node, FieldTable], None]" = _accept_arguments
    check_binding: "Callable[[Exchange, Node, Destination, str, FieldTable], None]" = _accept_binding
