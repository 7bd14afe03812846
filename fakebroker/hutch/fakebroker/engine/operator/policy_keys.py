"""The keys of policies, in the groups in which versions and queue types have them; see
:mod:`hutch.fakebroker.engine.profiles`.
"""

from typing import Final

OPERATOR_POLICY_KEYS: Final = frozenset(
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
POLICY_KEYS: Final = OPERATOR_POLICY_KEYS | {
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
MIRRORING_POLICY_KEYS: Final = frozenset(
    {
        "ha-mode",
        "ha-params",
        "ha-promote-on-failure",
        "ha-promote-on-shutdown",
        "ha-sync-batch-size",
        "ha-sync-mode",
    }
)
NEW_QUORUM_POLICY_KEYS: Final = frozenset(
    {"delayed-retry-max", "delayed-retry-min", "delayed-retry-type", "target-group-size"}
)
NEW_POLICY_KEYS: Final = NEW_QUORUM_POLICY_KEYS | {
    "consumer-disconnected-timeout",
    "consumer-timeout",
    "stream-filter-size-bytes",
}
STREAM_POLICY_KEYS: Final = frozenset({"initial-cluster-size", "max-age", "stream-max-segment-size-bytes"})
NOT_STREAM_POLICY_KEYS: Final = frozenset(
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
