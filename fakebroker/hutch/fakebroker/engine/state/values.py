"""What the state of a node is made of. Each value is frozen. Moments are nanoseconds since 1970.

What a queue type or a plugin keeps is declared beside it (:data:`Contents`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from hutch.fakebroker.engine.access.passwords import PasswordHash
from hutch.fakebroker.engine.access.users import Permissions, TopicPermissions
from hutch.fakebroker.engine.message_properties import Envelope
from hutch.fakebroker.engine.origin import Origin
from hutch.wire.fields import FieldTable

#: The state of one queue, router or plugin: a frozen dataclass of its own. It has no base class, because a compiled
#: dataclass cannot have a base that is not compiled.
Contents: TypeAlias = object


@dataclass(frozen=True)
class TimerState:
    """When a timer is due, and its place among those of the same moment."""

    at: int
    order: int


@dataclass(frozen=True)
class MessageState:
    """A message. One that stands in several queues is one object. The node has the same bodies and properties.

    ``seen`` are the headers as the broker sees them, ``None`` for those that are delivered.
    """

    exchange: str
    routing_key: str
    envelope: Envelope
    body: bytes
    bcc: tuple[str, ...]
    deaths: tuple[FieldTable, ...]
    failures: int
    properties_size: int
    written: bool
    number: int
    seen: FieldTable | None


@dataclass(frozen=True)
class EntryState:
    """A message's place in a queue. ``delivered`` is the message as it was delivered last. ``acquired`` is a
    quorum queue's.
    """

    position: int
    message: MessageState
    expires_at: int | None
    failures: int
    redelivered: bool
    delivered: MessageState
    acquired: int = 0


@dataclass(frozen=True)
class ConsumerState:
    """A consumer. ``origin`` is that of its channel. ``turn`` is its place among those that wait to be served.

    ``limit``, ``lost``, ``arrival``, ``crashes`` and ``left_out`` are a quorum queue's. ``position`` is the offset at
    which a stream's consumer goes on.
    """

    origin: Origin
    tag: str
    no_ack: bool
    exclusive: bool
    prefetch: int
    priority: int
    arguments: FieldTable
    credit: int | None
    draining: bool
    is_active: bool
    turn: int
    limit: int = 0
    lost: int = 0
    arrival: int = 0
    crashes: bool = False
    left_out: bool = False
    position: int = 0


@dataclass(frozen=True)
class QueueState:
    """A queue. ``owner`` is the origin of the connection that an exclusive queue belongs to.

    ``unacknowledged`` are the messages that were delivered and not settled, in the order in which they come back if all
    connections are lost.
    """

    type: str
    name: str
    durable: bool
    owner: Origin | None
    auto_delete: bool
    arguments: FieldTable
    lease: TimerState | None
    contents: Contents
    consumers: tuple[ConsumerState, ...]
    unacknowledged: tuple[EntryState, ...]


@dataclass(frozen=True)
class ExchangeState:
    """An exchange. ``contents`` is what its router keeps beside the bindings, if anything."""

    name: str
    type: str
    durable: bool
    auto_delete: bool
    internal: bool
    arguments: FieldTable
    contents: Contents | None


@dataclass(frozen=True)
class BindingState:
    """A binding; ``to_exchange`` is whether ``destination`` is an exchange."""

    source: str
    destination: str
    to_exchange: bool
    routing_key: str
    arguments: FieldTable


@dataclass(frozen=True)
class VHostState:
    """A virtual host. Exchanges, queues and bindings are in the order in which they were made."""

    name: str
    description: str
    tags: tuple[str, ...]
    protected: bool
    limits: Mapping[str, int]
    default_queue_type: str | None
    traced: bool
    policies: Mapping[str, Any]
    operator_policies: Mapping[str, Any]
    exchanges: tuple[ExchangeState, ...]
    queues: tuple[QueueState, ...]
    bindings: tuple[BindingState, ...]


@dataclass(frozen=True)
class UserState:
    """A user."""

    name: str
    password_hash: PasswordHash
    tags: tuple[str, ...]
    everywhere: bool
    permissions: Mapping[str, Permissions]
    topic_permissions: Mapping[str, Mapping[str, TopicPermissions]]
    limits: Mapping[str, int]


@dataclass(frozen=True)
class NamesState:
    """What generated names are made of, and how often one was ``drawn``. ``node`` and ``creation`` are parts of reply
    names, once there was one.
    """

    seed: int
    drawn: int
    node: bytes | None
    creation: bytes | None


@dataclass(frozen=True)
class NodeState:
    """All that a node has, but for its connections.

    ``exchange_types`` are the types that it knows. ``moment`` is when this was the state. ``messages`` is the number of
    the last message, ``timers`` how many timers there were, ``hashes`` how many passwords were hashed. ``random`` is
    the state of a random generator. ``parts`` are what plugins keep, by name. ``connections`` are the origins of the
    connections that were open. ``loopback_users`` may log in from this machine alone.
    """

    exchange_types: frozenset[str]
    moment: int
    messages: int
    timers: int
    names: NamesState
    random: tuple[Any, ...]
    alarms: frozenset[str]
    hashes: int
    global_parameters: Mapping[str, Any]
    users: tuple[UserState, ...]
    vhosts: tuple[VHostState, ...]
    parts: Mapping[str, Contents]
    connections: frozenset[Origin]
    loopback_users: frozenset[str]
