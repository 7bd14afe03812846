"""What an exchange type is: a router, and what it refuses beyond what all types refuse."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hutch.fakebroker.engine.bindings import Destination, Router
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.exchanges import Exchange
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.vhost import VHost


def _accept_arguments(_node: "Node", _arguments: FieldTable) -> None:
    """Look at no argument."""


def _accept_binding(_exchange: "Exchange", _node: "Node", _to: Destination, _key: str, _arguments: FieldTable) -> None:
    """Take any binding."""


@dataclass(frozen=True)
class ExchangeType:
    """One exchange type.

    ``router`` makes the router of a new exchange. ``check_arguments`` raises for arguments of exchange.declare that
    the type cannot use, ``check_binding`` for a destination, key or arguments of a binding; both
    :class:`~hutch.fakebroker.engine.errors.AMQPError`.
    """

    router: "Callable[[Exchange, VHost], Router]"
    check_arguments: "Callable[[Node, FieldTable], None]" = _accept_arguments
    check_binding: "Callable[[Exchange, Node, Destination, str, FieldTable], None]" = _accept_binding
