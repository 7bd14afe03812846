"""One thing that happened, as tests read it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.origin import BROKER, Origin


class Event(NamedTuple):
    """One thing that happened.

    ``at`` is monotonic seconds on the broker's clock, and never goes back from one event to the next. ``kind`` says
    what happened, and which of the other fields hold something; the rest are empty. The body of ``message`` may be
    dropped later (see :class:`~hutch.fakebroker.History`); asking for it raises LookupError then.

    - ``published``: message; ``routed_to`` has the names of the queues that got it, and is empty if it was dropped
    - ``delayed``: message, which a delayed message exchange holds back for ``delay`` ms
    - ``due``: message, after that; ``routed_to``
    - ``returned``: message; ``reason`` is the reply text
    - ``delivered``: message, queue, consumer_tag, delivery_tag, redelivered
    - ``got``: message, queue, delivery_tag, redelivered
    - ``acked``, ``requeued``, ``rejected``, ``expired``, ``overflowed``, ``dropped``: message, queue
    - ``dead-lettered``: message, which is the dead letter, queue (it died in), reason, routed_to; ``parent`` is the
      number of the message that died
    - ``declared``, ``deleted``: queue or exchange
    - ``bound``, ``unbound``: source, destination, routing_key
    - ``purged``: queue; ``messages`` is how many went
    - ``truncated``: queue, a stream; ``offset`` is what it begins with now
    - ``consuming``, ``cancelled``: queue, consumer_tag
    - ``committed``, ``rolled-back``: ``publishes`` and ``acknowledgements`` are how many the transaction held. Its
      publishes count as published when they are committed
    - ``connected``, ``disconnected``: connection
    - ``policy-set``, ``policy-deleted``: ``policy`` is its name; ``is_operator`` tells an operator policy
    - ``alarm-raised``, ``alarm-cleared``: ``resource`` is ``memory`` or ``disk``
    - ``stopped``, ``started``: the broker was, by its operator
    - ``blocked``, ``unblocked``: the connection that is not read, or is again
    - ``refused``: ``reason`` is the reply text of a channel or connection that the broker closed, or why it ended a
      connection without a word
    - ``fault``: a fault happened; ``reason`` is the call that asked for it

    ``connection``, ``channel`` and ``user`` tell who made it happen: the one who published, acknowledged or declared,
    or got a delivery. ``message.number`` tells messages apart; :meth:`History.trail
    <hutch.fakebroker.History.trail>` follows one back to its publish.
    """

    at: float
    kind: str
    vhost: str = ""
    queue: str | None = None
    message: Message | None = None
    origin: Origin = BROKER
    exchange: str | None = None
    routed_to: tuple[str, ...] = ()
    reason: str = ""
    parent: int = 0
    consumer_tag: str = ""
    delivery_tag: int = 0
    redelivered: bool = False
    source: str = ""
    destination: str = ""
    routing_key: str = ""
    messages: int = 0
    offset: int = 0
    delay: int = 0
    publishes: int = 0
    acknowledgements: int = 0
    policy: str = ""
    is_operator: bool = False
    resource: str = ""

    @property
    def connection(self) -> str | None:
        """The name of the connection that made it happen; ``None`` for an operator and the broker itself."""
        return self.origin.connection

    @property
    def channel(self) -> int | None:
        """The number of the channel that made it happen; ``None`` if no channel did."""
        return self.origin.channel

    @property
    def user(self) -> str | None:
        """The user who made it happen, as RabbitMQ has it: ``rmq-cli`` is an operator, ``rmq-internal`` the broker
        itself; ``None`` before a login.
        """
        return self.origin.user

    def __repr__(self) -> str:
        told = [
            f"{name}={value!r}" for name, value in self._asdict().items() if value != self._field_defaults.get(name)
        ]
        return f"Event({', '.join(told)})"


#: The fields that :class:`History` keeps for every event, in their order; then come the values of :data:`OWN`.
COMMON: Final = ("at", "kind", "vhost", "queue", "message", "origin")
#: The fields that only some kinds have, by kind.
OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "published": ("routed_to",),
    "delayed": ("delay",),
    "due": ("routed_to",),
    "returned": ("reason",),
    "delivered": ("consumer_tag", "delivery_tag", "redelivered"),
    "got": ("delivery_tag", "redelivered"),
    "dead-lettered": ("reason", "routed_to", "parent"),
    "declared": ("exchange",),
    "deleted": ("exchange",),
    "bound": ("source", "destination", "routing_key"),
    "unbound": ("source", "destination", "routing_key"),
    "purged": ("messages",),
    "truncated": ("offset",),
    "consuming": ("consumer_tag",),
    "cancelled": ("consumer_tag",),
    "committed": ("publishes", "acknowledgements"),
    "rolled-back": ("publishes", "acknowledgements"),
    "policy-set": ("policy", "is_operator"),
    "policy-deleted": ("policy", "is_operator"),
    "alarm-raised": ("resource",),
    "alarm-cleared": ("resource",),
    "refused": ("reason",),
    "fault": ("reason",),
}

#: The kinds of events there are.
KINDS: Final = (
    *OWN,
    *("acked", "requeued", "rejected", "expired", "overflowed", "dropped"),
    *("connected", "disconnected", "stopped", "started", "blocked", "unblocked"),
)

#: The places of a kind's own fields in an event, and what stands there in events of other kinds.
_PLACES: Final = {kind: [Event._fields.index(name) for name in names] for kind, names in OWN.items()}
_EMPTY: Final = [Event._field_defaults[name] for name in Event._fields[len(COMMON) :]]


def make_event(common: Sequence[Any], own: Any) -> Event:
    """An event of the fields :data:`COMMON` and of the values of its kind's own fields: one value, or several."""
    fields = [*common, *_EMPTY]
    places = _PLACES.get(fields[1])
    if places is not None and len(places) == 1:
        fields[places[0]] = own
    elif places is not None:
        for place, value in zip(places, own, strict=True):
            fields[place] = value
    return Event._make(fields)
