"""A binding, and what an exchange type has to do with it."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.state.values import Contents
from hutch.wire.fields import FieldTable, FieldValue, write_table
from hutch.wire.interfaces import mypyc_attr

if TYPE_CHECKING:
    from hutch.fakebroker.engine.exchanges.exchange import Exchange
    from hutch.fakebroker.engine.queues.queue import Queue

#: The destination of a binding.
Destination: TypeAlias = "Queue | Exchange"


class Binding:
    """From the exchange ``source`` to a queue or exchange.

    Two are the same when ``identity`` is: source, destination, key and arguments, the latter compared with their wire
    types but not their order (EXCH-BIND-06 to EXCH-BIND-08). ``number`` is which binding of the virtual host it is.
    """

    __slots__ = ("arguments", "destination", "identity", "number", "routing_key", "source")

    def __init__(self, source: "Exchange", destination: Destination, routing_key: str, arguments: FieldTable) -> None:
        self.source = source
        self.destination = destination
        self.routing_key = routing_key
        self.arguments = arguments
        self.number = 0
        self.identity: tuple[object, ...] = binding_identity(source.name, destination, routing_key, arguments)

    def __repr__(self) -> str:
        return f"Binding({self.source!r} -> {self.destination!r}, {self.routing_key!r}, {self.arguments!r})"


def binding_identity(
    source: str, destination: Destination, routing_key: str, arguments: FieldTable
) -> tuple[object, ...]:
    """What makes two bindings the same one."""
    typed = write_table(_in_order(arguments)) if arguments else b""
    return (source, type(destination), destination.name, routing_key, typed)


def _in_order(table: FieldTable) -> dict[str, FieldValue]:
    return {
        key: _in_order(value) if isinstance(value, Mapping) else value
        for key, value in sorted(table.items(), key=lambda item: item[0].encode("utf-8", "surrogateescape"))
    }


@mypyc_attr(allow_interpreted_subclasses=True)
class Router:
    """An exchange type at work: keeps the bindings of one exchange so that it finds the matching ones fast."""

    @abstractmethod
    def add(self, binding: Binding) -> None:
        """Take in a binding; it is not there yet."""

    @abstractmethod
    def remove(self, binding: Binding) -> None:
        """Take out a binding that is there."""

    @abstractmethod
    def route(self, routing_key: str, message: Message) -> Iterable[Destination]:
        """The destinations for one routing key of a message; one may come up more than once."""

    def stop(self) -> None:
        """The broker stops. Bindings that do not survive that are removed next."""

    def start(self) -> None:
        """The broker is there again."""

    def dump(self, dumping: Dumping) -> Contents | None:  # noqa: ARG002
        """What it keeps that the bindings do not give, as data."""
        return None

    def load(self, contents: Contents, loading: Loading) -> None:
        """Have what was dumped. The bindings are there."""
