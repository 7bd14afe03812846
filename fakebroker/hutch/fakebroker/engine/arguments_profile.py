"""What versions of RabbitMQ differ in about the arguments of queues and consumers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_CLASSIC_ARGUMENTS = (
    *("x-expires", "x-message-ttl", "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-max-length"),
    *("x-max-length-bytes", "x-max-priority", "x-overflow", "x-queue-mode", "x-queue-version"),
    *("x-single-active-consumer", "x-queue-type", "x-queue-master-locator"),
)
_QUORUM_ARGUMENTS = (
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-overflow",
    "x-single-active-consumer",
    "x-queue-type",
    "x-quorum-initial-group-size",
    "x-delivery-limit",
    "x-message-ttl",
    "x-queue-leader-locator",
)
_STREAM_ARGUMENTS = (
    "x-max-length-bytes",
    "x-queue-type",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-initial-cluster-size",
    "x-queue-leader-locator",
)


@dataclass(frozen=True, eq=False)
class ArgumentsProfile:
    """The switches of :mod:`hutch.fakebroker.engine.arguments`."""

    #: The arguments of each queue type, in the order in which a redeclaration compares them (QUEUE-DECLARE-14). A queue
    #: refuses arguments that only other types have (QUEUE-ARG-17, QUEUE-ARG-19 to -21, -23, -26).
    queue_arguments: Mapping[str, tuple[str, ...]]
    #: The consumer arguments of each queue type, in no order (CONSUME-26, CONSUME-27).
    consumer_arguments: Mapping[str, frozenset[str]]
    #: Whether a queue without x-queue-type counts as declared with "classic" (QUEUE-DECLARE-22, -23).
    names_queue_type: bool
    #: Whether an empty x-queue-type means the default type (QUEUE-ARG-14).
    empty_queue_type_is_default: bool
    #: Values of x-queue-mode that are accepted; None: any value of any type (QUEUE-ARG-15).
    queue_modes: frozenset[str] | None
    #: Values of x-queue-version that are accepted (QUEUE-ARG-16).
    queue_versions: frozenset[int]
    #: Values of x-queue-leader-locator (QUEUE-ARG-17).
    leader_locators: frozenset[str]
    #: Whether x-queue-master-locator is accepted (QUEUE-ARG-18).
    permits_master_locator: bool
    #: Accepted values of x-queue-master-locator; None: any value of any type.
    master_locators: frozenset[str] | None
    #: Whether an age (x-max-age, x-stream-offset) that does not begin with a number crashes the channel (QUEUE-ARG-27,
    #: STREAM-07).
    crashes_on_malformed_age: bool
    #: Whether a redeclaration compares x-max-age, and prints it, in ms.
    compares_max_age_in_ms: bool

    def arguments_refused(self, queue_type: str) -> frozenset[str]:
        """The arguments that a queue of this type must not be declared with, because others have them."""
        return frozenset().union(*self.queue_arguments.values()).difference(self.queue_arguments[queue_type])

    def consumer_arguments_refused(self, queue_type: str) -> frozenset[str]:
        """The arguments that a consumer of such a queue must not have, because those of others have them."""
        return frozenset().union(*self.consumer_arguments.values()).difference(self.consumer_arguments[queue_type])


V3_10: Final = ArgumentsProfile(
    queue_arguments={
        "classic": _CLASSIC_ARGUMENTS,
        "quorum": _QUORUM_ARGUMENTS,
        "stream": _STREAM_ARGUMENTS,
    },
    consumer_arguments={
        "classic": frozenset({"x-cancel-on-ha-failover", "x-credit", "x-priority"}),
        "quorum": frozenset({"x-credit", "x-priority"}),
        "stream": frozenset({"x-credit", "x-stream-offset"}),
    },
    names_queue_type=False,
    empty_queue_type_is_default=False,
    queue_modes=frozenset({"default", "lazy"}),
    queue_versions=frozenset({1, 2}),
    leader_locators=frozenset({"client-local", "balanced", "random", "least-leaders"}),
    permits_master_locator=True,
    master_locators=frozenset({"min-masters", "client-local", "random"}),
    crashes_on_malformed_age=True,
    compares_max_age_in_ms=False,
)

V4_3: Final = ArgumentsProfile(
    queue_arguments={
        "classic": (*_CLASSIC_ARGUMENTS, "x-queue-leader-locator"),
        "quorum": (
            *_QUORUM_ARGUMENTS,
            "x-consumer-disconnected-timeout",
            "x-consumer-timeout",
            "x-delayed-retry-type",
            "x-delayed-retry-min",
            "x-delayed-retry-max",
        ),
        "stream": (
            *_STREAM_ARGUMENTS[:4],
            "x-stream-filter-size-bytes",
            *_STREAM_ARGUMENTS[4:],
        ),
    },
    consumer_arguments={
        "classic": frozenset({"x-priority"}),
        "quorum": frozenset({"x-consumer-timeout", "x-priority"}),
        "stream": frozenset({"x-stream-filter", "x-stream-match-unfiltered", "x-stream-offset"}),
    },
    names_queue_type=True,
    empty_queue_type_is_default=True,
    queue_modes=None,
    queue_versions=frozenset({2}),
    leader_locators=frozenset({"client-local", "balanced", "random", "least-leaders", "min-masters"}),
    permits_master_locator=False,
    master_locators=None,
    crashes_on_malformed_age=False,
    compares_max_age_in_ms=True,
)
