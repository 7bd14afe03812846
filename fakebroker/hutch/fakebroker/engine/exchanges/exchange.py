"""Exchanges: a name, its properties, and the type that decides where a message goes."""

from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.bindings import Binding
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.vhost import VHost

#: The exchanges of a new vhost: name, type, internal (EXCH-SYS-01). The default exchange is not here, because it has no
#: bindings.
PREDECLARED: Final = (
    ("amq.direct", "direct", False),
    ("amq.fanout", "fanout", False),
    ("amq.headers", "headers", False),
    ("amq.match", "headers", False),
    ("amq.rabbitmq.trace", "topic", True),
    ("amq.topic", "topic", False),
)


class Exchange:
    """One exchange of a vhost.

    ``outgoing`` counts the bindings it is the source of; ``incoming`` holds those it is the destination of.
    """

    def __init__(
        self,
        name: str,
        type_: str,
        vhost: "VHost",
        *,
        durable: bool = False,
        auto_delete: bool = False,
        internal: bool = False,
        arguments: FieldTable | None = None,
    ) -> None:
        self.name: Final = name
        self.type: Final = type_
        self.durable: Final = durable
        self.auto_delete: Final = auto_delete
        self.internal: Final = internal
        self.arguments: Final[FieldTable] = arguments or {}
        self.vhost: Final = vhost
        #: The name of the policy that applies; empty for none.
        self.policy = ""
        #: The name of the exchange that gets unroutable messages; ``None`` for none.
        given = self.arguments.get("alternate-exchange") if self.arguments else None
        self.alternate: str | None = None if given is None else str(given)
        self.router: Final = vhost.node.exchange_types[type_].router(self, vhost)
        self.outgoing: Final[dict[tuple[object, ...], Binding]] = {}
        self.incoming: Final[dict[tuple[object, ...], Binding]] = {}
        #: How many of ``outgoing`` lead to exchanges: where there are none, routing is one step.
        self.to_exchanges = 0

    def change_alternate(self, name: str | None) -> None:
        """Have another alternate exchange, as a policy asks for, or none; that of the arguments counts before it
        (EXCH-AE-05).
        """
        given = self.arguments.get("alternate-exchange")
        self.alternate = name if given is None else str(given)

    def __repr__(self) -> str:
        return f"Exchange({self.name!r}, {self.type!r})"
