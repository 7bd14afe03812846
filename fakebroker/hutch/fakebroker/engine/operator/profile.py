"""What versions of RabbitMQ differ in about policies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_OPERATOR_KEYS = frozenset(
    {
        "delivery-limit",
        "expires",
        "max-in-memory-bytes",
        "max-in-memory-length",
        "max-length",
        "max-length-bytes",
        "message-ttl",
    }
)
_KEYS = _OPERATOR_KEYS | {
    "alternate-exchange",
    "dead-letter-exchange",
    "dead-letter-routing-key",
    "dead-letter-strategy",
    "initial-cluster-size",
    "max-age",
    "overflow",
    "queue-leader-locator",
    "queue-master-locator",
    "queue-mode",
    "queue-version",
    "stream-max-segment-size-bytes",
}
MIRRORING_KEYS: Final = frozenset(
    {
        "ha-mode",
        "ha-params",
        "ha-promote-on-failure",
        "ha-promote-on-shutdown",
        "ha-sync-batch-size",
        "ha-sync-mode",
    }
)
_NEW_QUORUM_KEYS = frozenset({"delayed-retry-max", "delayed-retry-min", "delayed-retry-type", "target-group-size"})
_NEW_KEYS = _NEW_QUORUM_KEYS | {
    "consumer-disconnected-timeout",
    "consumer-timeout",
    "stream-filter-size-bytes",
}
_STREAM_KEYS = frozenset({"initial-cluster-size", "max-age", "stream-max-segment-size-bytes"})
_NOT_STREAM_KEYS = frozenset(
    {
        "dead-letter-exchange",
        "dead-letter-routing-key",
        "dead-letter-strategy",
        "delivery-limit",
        "expires",
        "max-in-memory-bytes",
        "max-in-memory-length",
        "max-length",
        "message-ttl",
        "overflow",
        "queue-mode",
    }
)


@dataclass(frozen=True, eq=False)
class PolicyProfile:
    """The switches of :mod:`hutch.fakebroker.engine.operator`."""

    #: Keys that policies may have (POLICY-12).
    keys: frozenset[str]
    #: Keys that operator policies may have (POLICY-13).
    operator_keys: frozenset[str]
    #: Keys with which a policy does not apply to a queue, by queue type.
    keys_refused: Mapping[str, frozenset[str]]
    #: The values of apply-to, and RabbitMQ's text that lists them (POLICY-11).
    targets: frozenset[str]
    targets_text: str
    #: Whether a negative delivery limit means no limit, and is valid in a policy (QUORUM-07).
    negative_delivery_limit_is_none: bool
    #: Whether refusals of policies print text in Unicode, else its bytes in Latin-1 (POLICY-06).
    prints_unicode: bool


V3_10: Final = PolicyProfile(
    keys=_KEYS | MIRRORING_KEYS,
    operator_keys=_OPERATOR_KEYS,
    keys_refused={
        "classic": _STREAM_KEYS | {"dead-letter-strategy", "delivery-limit", "queue-leader-locator"},
        "quorum": _STREAM_KEYS | MIRRORING_KEYS | {"queue-master-locator", "queue-mode"},
        "stream": _NOT_STREAM_KEYS | MIRRORING_KEYS | {"queue-master-locator"},
    },
    targets=frozenset({"all", "exchanges", "queues"}),
    targets_text="'queues', 'exchanges' or 'all'",
    negative_delivery_limit_is_none=False,
    prints_unicode=False,
)

V4_3: Final = PolicyProfile(
    keys=_KEYS | _NEW_KEYS,
    operator_keys=_OPERATOR_KEYS | _NEW_QUORUM_KEYS | {"overflow", "queue-version"},
    keys_refused={
        "classic": _STREAM_KEYS
        | {
            "dead-letter-strategy",
            "delivery-limit",
            "max-in-memory-bytes",
            "max-in-memory-length",
            "target-group-size",
        },
        "quorum": _STREAM_KEYS | {"queue-master-locator", "queue-mode"},
        "stream": _NOT_STREAM_KEYS | {"queue-master-locator", "target-group-size"},
    },
    targets=frozenset({"all", "classic_queues", "exchanges", "queues", "quorum_queues", "streams"}),
    targets_text=("one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', 'exchanges', or 'all'"),
    negative_delivery_limit_is_none=True,
    prints_unicode=True,
)
