"""What versions of RabbitMQ differ in about virtual hosts, and about what is declared in them."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class TopologyProfile:
    """The switches of :mod:`hutch.fakebroker.engine.topology`, and of virtual hosts."""

    #: Whether the limit of queues is looked at after a new queue's arguments, else before (QUEUE-DECLARE-27).
    checks_queue_limit_late: bool
    #: Whether virtual hosts have a default queue type that counts (QUEUE-DECLARE-28).
    has_default_queue_type: bool
    #: Whether queues may be neither durable nor exclusive (QUEUE-DECLARE-26).
    permits_transient_queues: bool
    #: Whether the names that replies are sent to are volatile queues of their virtual host, else names that the default
    #: exchange knows in all of them, and finds no route for (RPC-06, -07, -09, -10, -13).
    has_volatile_queues: bool
    #: Whether what is transient just vanishes with a restart, and what exchanges remember; else exchanges stay, and
    #: queues are deleted (RESTART-12).
    forgets_transient_exchanges: bool
    #: Whether a recent history exchange crashes over a binding when that is there to stay, and tells why.
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
