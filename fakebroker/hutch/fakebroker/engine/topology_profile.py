"""What versions of RabbitMQ differ in about virtual hosts, and about what is declared in them."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class TopologyProfile:
    """The switches of :mod:`hutch.fakebroker.engine.topology`, and of virtual hosts."""

    #: Whether the limit of queues is checked after a new queue's arguments, else before (QUEUE-DECLARE-27).
    checks_queue_limit_late: bool
    #: Whether the default queue type of a virtual host has an effect (QUEUE-DECLARE-28).
    has_default_queue_type: bool
    #: Whether queues may be neither durable nor exclusive (QUEUE-DECLARE-26).
    permits_transient_queues: bool
    #: Whether reply names are volatile queues of their virtual host. Otherwise the default exchange of every virtual
    #: host delivers to them without a route (RPC-06, -07, -09, -10, -13).
    has_volatile_queues: bool
    #: Whether a restart drops everything transient, and the memory of exchanges. Otherwise exchanges stay, and
    #: transient queues are deleted (RESTART-12).
    forgets_transient_exchanges: bool
    #: Whether a binding over which a recent history exchange crashes stays, and the text says why.
    keeps_binding_that_crashed: bool


V3_10: Final = TopologyProfile(
    checks_queue_limit_late=False,
    has_default_queue_type=False,
    permits_transient_queues=True,
    has_volatile_queues=False,
    forgets_transient_exchanges=True,
    keeps_binding_that_crashed=False,
)

V4_3: Final = TopologyProfile(
    checks_queue_limit_late=True,
    has_default_queue_type=True,
    permits_transient_queues=True,
    has_volatile_queues=True,
    forgets_transient_exchanges=False,
    keeps_binding_that_crashed=True,
)
