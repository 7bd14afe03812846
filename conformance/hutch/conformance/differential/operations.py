"""What the machine can do: operations as plain values, each of which makes sense in any state of the world."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hutch.wire.methods import BasicPublish, Method


@dataclass(frozen=True)
class Place:
    """A channel by the numbers of its connection and its own. What is closed is opened again before it is used."""

    connection: int
    channel: int

    def __str__(self) -> str:
        return f"{self.connection}.{self.channel}"


@dataclass(frozen=True)
class Call:
    """Any method without content, as it stands.

    ``~1`` in its ``queue`` or ``routing_key`` is the first queue whose name the broker chose, and so on.
    """

    place: Place
    method: Method

    @property
    def kind(self) -> str:
        """What it is counted as."""
        return self.method.NAME

    def __str__(self) -> str:
        return f"{self.place} {show(self.method)}"


@dataclass(frozen=True)
class Publish:
    """A message. Its body is its number in the script, padded to ``size`` bytes."""

    place: Place
    method: BasicPublish
    properties: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0

    @property
    def kind(self) -> str:
        """What it is counted as."""
        return self.method.NAME

    def __str__(self) -> str:
        properties = f", properties {dict(self.properties)!r}" if self.properties else ""
        return f"{self.place} {show(self.method)}{properties}"


@dataclass(frozen=True)
class Settle:
    """An acknowledgement, ``verdict`` being ``ack``, ``nack`` or ``reject``.

    ``which`` counts the deliveries outstanding on the channel, oldest first and round and round; :data:`UNKNOWN`,
    :data:`REPEATED` and :data:`ZERO` are tags of another kind.
    """

    place: Place
    verdict: str
    which: int
    multiple: bool = False
    requeue: bool = True

    @property
    def kind(self) -> str:
        """What it is counted as."""
        return f"basic.{self.verdict}"

    def __str__(self) -> str:
        flags = [name for name in ("multiple", "requeue") if getattr(self, name)]
        return f"{self.place} {', '.join([self.kind, *flags])}"


#: A tag that no delivery has, the tag of the delivery settled last, and the tag 0.
UNKNOWN, REPEATED, ZERO = -1, -2, -3


@dataclass(frozen=True)
class End:
    """The end of a connection, with the handshake or, ``abrupt``, without."""

    connection: int
    abrupt: bool = False

    @property
    def kind(self) -> str:
        """What it is counted as."""
        return "drop" if self.abrupt else "connection.close"

    def __str__(self) -> str:
        return f"{self.connection} {self.kind}"


@dataclass(frozen=True)
class Advance:
    """Time passes."""

    milliseconds: int

    @property
    def kind(self) -> str:
        """What it is counted as."""
        return "advance"

    def __str__(self) -> str:
        return f"{self.milliseconds} ms pass"


@dataclass(frozen=True)
class Restart:
    """The broker stops, and starts again."""

    @property
    def kind(self) -> str:
        """What it is counted as."""
        return "restart"

    def __str__(self) -> str:
        return "the broker restarts"


USER: Final = "~user"
#: The connection of the run's own user, whose permissions change.
USERS_OWN: Final = 3


@dataclass(frozen=True)
class Administer:
    """What an operator does: a method of :class:`hutch.conformance.administration.Administration`, by its name.

    The argument ``user`` is :data:`USER`, which stands for the user of the connection :data:`USERS_OWN`.
    """

    what: str
    arguments: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """What it is counted as."""
        return self.what

    def __str__(self) -> str:
        return f"operator {self.what}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


Operation = Call | Publish | Settle | End | Advance | Administer | Restart


def show(method: Method) -> str:
    """A method by its name, and those of its fields that are not what they are by default."""
    shown = []
    for name in method.FIELDS:
        value = getattr(method, name)
        if value != getattr(type(method), name, None):
            shown.append(name if value is True else f"{name}={value!r}")
    return f"{method.NAME}({', '.join(shown)})"
