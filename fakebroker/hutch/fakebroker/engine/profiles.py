"""The RabbitMQ versions that the emulator can be: every difference between them is a switch here, and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hutch.fakebroker.engine.operator.policy_keys import (
    MIRRORING_POLICY_KEYS,
    NEW_POLICY_KEYS,
    NEW_QUORUM_POLICY_KEYS,
    NOT_STREAM_POLICY_KEYS,
    OPERATOR_POLICY_KEYS,
    POLICY_KEYS,
    STREAM_POLICY_KEYS,
)


@dataclass(frozen=True, eq=False)
class Profile:
    """One RabbitMQ version. The comment behind a switch is the behaviour it stands for."""

    name: str
    #: What connection.start calls itself.
    version: str
    platform: str
    copyright: str
    #: SASL mechanisms offered, in RabbitMQ's order (CONN-HDR-11).
    mechanisms: tuple[str, ...]
    #: The same where clients may present certificates: what the plugin rabbitmq_auth_mechanism_ssl makes of it.
    mechanisms_with_external: tuple[str, ...]
    #: Whether the AMQP 0-8 header is taken for 0-9-1 (CONN-HDR-03).
    accepts_0_8: bool
    #: Whether a header of another protocol is answered with AMQP 1.0's SASL header, else 0-9-1's (CONN-HDR-05, -08).
    speaks_1_0: bool
    #: The smallest frame_max a client may ask for, bytes (CONN-TUNE-06).
    frame_min: int
    #: Whether a client's basic.cancel-ok crashes the channel: 541 in place of 503.
    crashes_on_cancel_ok: bool
    #: The largest body a content header may announce, bytes; None: any (CONN-FRAME-12, -26).
    max_body_size: int | None
    #: max_message_size, bytes (PUB-18).
    max_message_size: int
    #: Whether an unknown exchange type is a 406 on the channel, else a 503 on the connection (EXCH-DECLARE-05).
    unknown_exchange_type_is_soft: bool
    #: Whether events tell of bindings made again, and count a closed channel's consumers in place of naming each.
    has_newer_events: bool
    #: Exchange types that there are: those built in, and those of the plugins that are enabled.
    exchange_types: frozenset[str]
    #: The largest weight in a consistent hash exchange; None: any (EXCH-PLUGIN-01).
    max_hash_weight: int | None
    #: Whether a consistent hash exchange hashes a header's type with its value, else the value alone.
    hashes_header_types: bool
    #: Types of x-delay that this version's delayed message exchange takes for numbers, too; those that it crashes over.
    more_delays: frozenset[str]
    crashing_delays: frozenset[str]
    #: Whether a delayed message is delivered with its x-delay negated.
    negates_delay: bool
    #: Whether a recent history exchange crashes over a binding when that is there to stay, and tells why.
    keeps_binding_that_crashed: bool
    #: Whether a modulus hash exchange sorts its bindings by their keys first, else by their destinations alone.
    modulus_sorts_by_key: bool
    #: Whether headers come out sorted by key and without duplicates (PUB-15, PUB-16).
    sorts_headers: bool
    #: Whether delivery modes other than 1 and 2 are refused (PUB-11).
    checks_delivery_mode: bool
    #: Whether an int and a float of the same value match in a headers exchange (EXCH-HEADERS-06).
    int_equals_float: bool
    #: How many words of a topic exchange's binding key may be ``#``; None: any number (EXCH-TOPIC-01).
    max_hash_words: int | None
    #: Whether a headers exchange takes a message's timestamps in milliseconds, although a binding's are in seconds.
    header_timestamps_in_ms: bool
    #: Whether basic.qos global=true shares one limit over the channel (QOS-06).
    shares_global_qos: bool
    #: Whether the broker keeps the history of deaths itself, else it trusts the x-death header it finds (DLX-14).
    tracks_deaths: bool
    #: Whether the expiration of a message that was on disk is not told of when it is dead-lettered (DLX-11).
    forgets_expiration_on_disk: bool
    #: Whether what is transient just vanishes with a restart, and what exchanges remember; else exchanges stay, and
    #: queues are deleted (RESTART-12).
    forgets_transient_exchanges: bool
    #: Whether a dead letter's failed deliveries still count, so that it arrives as redelivered (DLX-03).
    dead_letters_keep_failures: bool
    #: Whether a queue without x-queue-type counts as declared with "classic" (QUEUE-DECLARE-22, -23).
    names_queue_type: bool
    #: Values of x-queue-mode that are accepted; None: any value of any type (QUEUE-ARG-15).
    queue_modes: frozenset[str] | None
    #: Values of x-queue-version that are accepted (QUEUE-ARG-16).
    queue_versions: frozenset[int]
    #: Values of x-queue-leader-locator (QUEUE-ARG-17).
    leader_locators: frozenset[str]
    #: Deprecated features that may be permitted and denied (:mod:`hutch.fakebroker.engine.deprecated`).
    deprecated_features: frozenset[str]
    #: Keys that policies may have (POLICY-12).
    policy_keys: frozenset[str]
    #: Keys that operator policies may have (POLICY-13).
    operator_policy_keys: frozenset[str]
    #: Keys with which a policy does not hold for queues, by their type.
    policy_keys_refused: Mapping[str, frozenset[str]]
    #: What policies may apply to, and how that is told (POLICY-11).
    policy_targets: frozenset[str]
    policy_targets_text: str
    #: Whether a negative delivery limit is none, and may stand in a policy (QUORUM-07).
    negative_delivery_limit_is_none: bool
    #: Whether operators' regular expressions are PCRE2's, else PCRE's, which complains in other words.
    has_pcre2: bool
    #: Whether refusals of policies print text in Unicode, else its bytes in Latin-1 (POLICY-06).
    prints_unicode: bool
    #: Whether a quorum queue goes through its consumers by their tags, else in the order in which they came (ACK-08).
    quorum_consumers_by_tag: bool
    #: Whether the channel crashes when a quorum queue delivers to a consumer that has the tag of an earlier one, which
    #: has deliveries outstanding (CONSUME-18).
    crashes_on_reused_tag: bool
    #: Whether queues may be neither durable nor exclusive (QUEUE-DECLARE-26).
    permits_transient_queues: bool
    #: Whether x-queue-master-locator is taken (QUEUE-ARG-18).
    permits_master_locator: bool
    #: Its values; None: any value of any type.
    master_locators: frozenset[str] | None
    #: The arguments of each queue type there is, in the order in which they are compared on a redeclaration
    #: (QUEUE-DECLARE-14); a queue refuses those of other types alone (QUEUE-ARG-17, QUEUE-ARG-19 to -21, -23, -26).
    queue_arguments: Mapping[str, tuple[str, ...]]
    #: How many priorities quorum queues have (QUORUM-11).
    quorum_priorities: int
    #: Whether deliveries that come back by basic.nack or basic.recover are handed back, else they failed, as rejected
    #: ones did (QUORUM-03, TX-12).
    hands_back: bool
    #: Whether quorum queues count deliveries that came back in x-acquired-count, and else tell of none (QUORUM-02).
    counts_acquired: bool
    #: How often a delivery from a quorum queue may fail unless x-delivery-limit tells; None: any number (QUORUM-06).
    default_delivery_limit: int | None
    #: Whether a quorum queue without x-delivery-limit puts what comes back behind all others (ACK-08).
    requeues_to_tail: bool
    #: Whether x-max-length-bytes of quorum queues counts the messages' properties, beside their bodies.
    quorum_size_has_properties: bool
    #: Whether of what is too much for a quorum queue at once the newest is dead-lettered first (DLX-20).
    quorum_overflow_is_reversed: bool
    #: Whether a consumer of higher priority takes over from a quorum queue's single active consumer (CONSUME-30).
    single_active_by_priority: bool
    #: Whether quorum queues take back what is not acknowledged in time (CONSUME-27), else channels are closed for it.
    has_consumer_timeouts: bool
    #: Whether a purge takes the dead letters that a quorum queue keeps, too (DLX-27).
    purges_dead_letters: bool
    #: Whether a quorum queue never hears that it took its own dead letters, and so keeps them besides (DLX-27).
    keeps_dead_letters_to_itself: bool
    #: Whether what came back to a quorum queue may have to wait for its next delivery (x-delayed-retry-type).
    has_delayed_retry: bool
    #: The same of consumers, in no order (CONSUME-26, CONSUME-27).
    consumer_arguments: Mapping[str, frozenset[str]]
    #: Whether the consumer argument x-cancel-on-ha-failover has to be a boolean, else it is not looked at.
    checks_cancel_on_ha_failover: bool
    #: Whether consumers may be given credit, by the argument x-credit and basic.credit (CONSUME-26).
    has_consumer_credit: bool
    #: Whether an empty x-queue-type stands for the default (QUEUE-ARG-14).
    empty_queue_type_is_default: bool
    #: Whether an age (x-max-age, x-stream-offset) that does not begin with a number crashes the channel (QUEUE-ARG-27,
    #: STREAM-07).
    crashes_on_malformed_age: bool
    #: Whether x-max-age is compared, and told, in ms on a redeclaration.
    compares_max_age_in_ms: bool
    #: Why a stream refuses a consumer without prefetch, or acknowledgements; ``{}`` is the queue (STREAM-03, -04).
    stream_without_prefetch: str
    stream_without_acks: str
    #: Whether basic.nack, reject and recover acknowledge what a stream delivered, else they are refused (STREAM-11).
    streams_take_refusals: bool
    #: Whether streams have filters (STREAM-16).
    has_stream_filters: bool
    #: Whether messages are converted as 4.x does it: a stream tells a delivery mode even where the publisher did not,
    #: keeps tables and arrays in CC and in headers whose names begin with x-, makes text of byte arrays (STREAM-09) and
    #: takes what nobody waits for the confirm of, dead letters say.
    has_message_containers: bool
    #: After how many seconds a stream looks again for segments that are too old, else with a new segment alone.
    stream_retention_interval: float | None
    #: What a smaller x-max-priority counts as (PRIO-04).
    least_max_priority: int
    #: Whether ready messages go to the next single active consumer as soon as the one before is cancelled, else when
    #: something else has the queue look for consumers (CONSUME-29). (What is published meanwhile waits too; it crashes
    #: the queue in 3.10.)
    cancel_serves_next_active: bool
    #: Whether the names that replies are sent to are volatile queues of their virtual host, else names that the default
    #: exchange knows in all of them, and finds no route for (RPC-06, -07, -09, -10, -13).
    has_volatile_queues: bool
    #: Whether a transaction's messages get into whatever queues have the names when it is committed, else into the very
    #: queues that were there when they were published (TX-15).
    finds_queues_at_commit: bool
    #: Whether a refusal for want of a permission says which one (PERM-01).
    names_refused_permission: bool
    #: Whether a passive declare needs a permission (PERM-03).
    passive_needs_permission: bool
    #: Whether topic permissions are for exchanges that are there alone, and go with them (PERM-12).
    topic_permissions_need_exchange: bool
    #: Whether names put into a topic permission stand for themselves, else they are part of the regular expression.
    escapes_topic_variables: bool
    #: Whether topic permissions count for CC and BCC too, after what else is wrong with the message (PERM-12).
    reads_message_first: bool
    #: Whether connection.update-secret makes channels forget what they were permitted (PERM-11).
    update_secret_forgets_permissions: bool
    #: Whether the limit of queues is looked at after a new queue's arguments, else before (QUEUE-DECLARE-27).
    checks_queue_limit_late: bool
    #: Whether the limit of a user's channels is told in brackets (CONN-CHAN-03).
    brackets_channel_limit: bool
    #: Whether virtual hosts have a default queue type that counts (QUEUE-DECLARE-28).
    has_default_queue_type: bool
    #: How long a delivery may wait for its acknowledgement, ms; None: for ever, or a day where quorum queues take back.
    consumer_timeout: int | None = 1800000
    #: Whether each publish is confirmed by itself, which is no setting of RabbitMQ's.
    single_confirms: bool = False
    #: The names of the plugins that are enabled.
    plugins: frozenset[str] = frozenset()

    def arguments_refused(self, queue_type: str) -> frozenset[str]:
        """The arguments that a queue of this type must not be declared with, because others have them."""
        return frozenset().union(*self.queue_arguments.values()).difference(self.queue_arguments[queue_type])

    def consumer_arguments_refused(self, queue_type: str) -> frozenset[str]:
        """The arguments that a consumer of such a queue must not have, because those of others have them."""
        return frozenset().union(*self.consumer_arguments.values()).difference(self.consumer_arguments[queue_type])


_EXCHANGE_TYPES = frozenset({"direct", "fanout", "headers", "topic"})
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

V3_10: Final = Profile(
    name="3.10",
    version="3.10.8",
    platform="Erlang/OTP 25.2.3",
    copyright="Copyright (c) 2007-2022 VMware, Inc. or its affiliates.",
    mechanisms=("AMQPLAIN", "PLAIN"),
    mechanisms_with_external=("EXTERNAL", "AMQPLAIN", "PLAIN"),
    accepts_0_8=True,
    speaks_1_0=False,
    frame_min=4096,
    crashes_on_cancel_ok=False,
    max_body_size=None,
    max_message_size=134217728,
    unknown_exchange_type_is_soft=False,
    exchange_types=_EXCHANGE_TYPES,
    max_hash_weight=None,
    hashes_header_types=True,
    more_delays=frozenset({"byte"}),
    crashing_delays=frozenset(),
    negates_delay=False,
    keeps_binding_that_crashed=False,
    modulus_sorts_by_key=True,
    sorts_headers=False,
    checks_delivery_mode=True,
    int_equals_float=True,
    max_hash_words=None,
    header_timestamps_in_ms=False,
    shares_global_qos=True,
    tracks_deaths=False,
    forgets_expiration_on_disk=True,
    forgets_transient_exchanges=True,
    has_newer_events=False,
    dead_letters_keep_failures=False,
    names_queue_type=False,
    queue_modes=frozenset({"default", "lazy"}),
    queue_versions=frozenset({1, 2}),
    leader_locators=frozenset({"client-local", "balanced", "random", "least-leaders"}),
    deprecated_features=frozenset(),
    policy_keys=POLICY_KEYS | MIRRORING_POLICY_KEYS,
    operator_policy_keys=OPERATOR_POLICY_KEYS,
    policy_keys_refused={
        "classic": STREAM_POLICY_KEYS | {"dead-letter-strategy", "delivery-limit", "queue-leader-locator"},
        "quorum": STREAM_POLICY_KEYS | MIRRORING_POLICY_KEYS | {"queue-master-locator", "queue-mode"},
        "stream": NOT_STREAM_POLICY_KEYS | MIRRORING_POLICY_KEYS | {"queue-master-locator"},
    },
    policy_targets=frozenset({"all", "exchanges", "queues"}),
    policy_targets_text="'queues', 'exchanges' or 'all'",
    negative_delivery_limit_is_none=False,
    has_pcre2=False,
    prints_unicode=False,
    quorum_consumers_by_tag=True,
    crashes_on_reused_tag=True,
    permits_transient_queues=True,
    permits_master_locator=True,
    master_locators=frozenset({"min-masters", "client-local", "random"}),
    queue_arguments={
        "classic": _CLASSIC_ARGUMENTS,
        "quorum": _QUORUM_ARGUMENTS,
        "stream": _STREAM_ARGUMENTS,
    },
    quorum_priorities=1,
    hands_back=False,
    counts_acquired=False,
    default_delivery_limit=None,
    requeues_to_tail=True,
    quorum_size_has_properties=False,
    quorum_overflow_is_reversed=True,
    single_active_by_priority=False,
    has_consumer_timeouts=False,
    purges_dead_letters=False,
    keeps_dead_letters_to_itself=True,
    has_delayed_retry=False,
    consumer_arguments={
        "classic": frozenset({"x-cancel-on-ha-failover", "x-credit", "x-priority"}),
        "quorum": frozenset({"x-credit", "x-priority"}),
        "stream": frozenset({"x-credit", "x-stream-offset"}),
    },
    checks_cancel_on_ha_failover=True,
    has_consumer_credit=True,
    empty_queue_type_is_default=False,
    crashes_on_malformed_age=True,
    compares_max_age_in_ms=False,
    stream_without_prefetch="consumer prefetch count is not set for '{}'",
    stream_without_acks="automatic acknowledgement not supported by stream queues {}",
    streams_take_refusals=False,
    has_stream_filters=False,
    has_message_containers=False,
    stream_retention_interval=None,
    least_max_priority=0,
    cancel_serves_next_active=False,
    has_volatile_queues=False,
    finds_queues_at_commit=True,
    names_refused_permission=False,
    passive_needs_permission=False,
    topic_permissions_need_exchange=False,
    escapes_topic_variables=False,
    reads_message_first=False,
    update_secret_forgets_permissions=False,
    checks_queue_limit_late=False,
    brackets_channel_limit=True,
    has_default_queue_type=False,
)

V4_3: Final = Profile(
    name="4.3",
    version="4.3.6",
    platform="Erlang/OTP 27.3.4.14",
    copyright="Copyright (c) 2007-2026 Broadcom Inc and/or its subsidiaries",
    mechanisms=("ANONYMOUS", "AMQPLAIN", "PLAIN"),
    mechanisms_with_external=("ANONYMOUS", "AMQPLAIN", "PLAIN", "EXTERNAL"),
    accepts_0_8=False,
    speaks_1_0=True,
    frame_min=8192,
    crashes_on_cancel_ok=True,
    max_body_size=536870912,
    max_message_size=16777216,
    unknown_exchange_type_is_soft=True,
    exchange_types=_EXCHANGE_TYPES | {"x-local-random", "x-modulus-hash"},
    max_hash_weight=10000,
    hashes_header_types=False,
    more_delays=frozenset({"binary", "double", "float"}),
    crashing_delays=frozenset({"decimal", "void"}),
    negates_delay=True,
    keeps_binding_that_crashed=True,
    modulus_sorts_by_key=False,
    sorts_headers=True,
    checks_delivery_mode=False,
    int_equals_float=False,
    max_hash_words=2,
    header_timestamps_in_ms=True,
    shares_global_qos=False,
    tracks_deaths=True,
    forgets_expiration_on_disk=False,
    forgets_transient_exchanges=False,
    has_newer_events=True,
    dead_letters_keep_failures=True,
    names_queue_type=True,
    queue_modes=None,
    queue_versions=frozenset({2}),
    leader_locators=frozenset({"client-local", "balanced", "random", "least-leaders", "min-masters"}),
    deprecated_features=frozenset({"global_qos", "queue_master_locator", "transient_nonexcl_queues"}),
    policy_keys=POLICY_KEYS | NEW_POLICY_KEYS,
    operator_policy_keys=OPERATOR_POLICY_KEYS | NEW_QUORUM_POLICY_KEYS | {"overflow", "queue-version"},
    policy_keys_refused={
        "classic": STREAM_POLICY_KEYS
        | {
            "dead-letter-strategy",
            "delivery-limit",
            "max-in-memory-bytes",
            "max-in-memory-length",
            "target-group-size",
        },
        "quorum": STREAM_POLICY_KEYS | {"queue-master-locator", "queue-mode"},
        "stream": NOT_STREAM_POLICY_KEYS | {"queue-master-locator", "target-group-size"},
    },
    policy_targets=frozenset({"all", "classic_queues", "exchanges", "queues", "quorum_queues", "streams"}),
    policy_targets_text=("one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', 'exchanges', or 'all'"),
    negative_delivery_limit_is_none=True,
    has_pcre2=True,
    prints_unicode=True,
    quorum_consumers_by_tag=False,
    crashes_on_reused_tag=False,
    permits_transient_queues=True,
    permits_master_locator=False,
    master_locators=None,
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
    quorum_priorities=32,
    hands_back=True,
    counts_acquired=True,
    default_delivery_limit=20,
    requeues_to_tail=False,
    quorum_size_has_properties=True,
    quorum_overflow_is_reversed=False,
    single_active_by_priority=True,
    has_consumer_timeouts=True,
    purges_dead_letters=True,
    keeps_dead_letters_to_itself=False,
    has_delayed_retry=True,
    consumer_arguments={
        "classic": frozenset({"x-priority"}),
        "quorum": frozenset({"x-consumer-timeout", "x-priority"}),
        "stream": frozenset({"x-stream-filter", "x-stream-match-unfiltered", "x-stream-offset"}),
    },
    checks_cancel_on_ha_failover=False,
    has_consumer_credit=False,
    empty_queue_type_is_default=True,
    crashes_on_malformed_age=False,
    compares_max_age_in_ms=True,
    stream_without_prefetch="consumer prefetch count is not set for stream {}",
    stream_without_acks="automatic acknowledgement not supported by stream {}",
    streams_take_refusals=True,
    has_stream_filters=True,
    has_message_containers=True,
    stream_retention_interval=3600,
    least_max_priority=1,
    cancel_serves_next_active=True,
    has_volatile_queues=True,
    finds_queues_at_commit=False,
    names_refused_permission=True,
    passive_needs_permission=True,
    topic_permissions_need_exchange=True,
    escapes_topic_variables=True,
    reads_message_first=True,
    update_secret_forgets_permissions=True,
    checks_queue_limit_late=True,
    brackets_channel_limit=False,
    has_default_queue_type=True,
)

PROFILES: Final = {profile.name: profile for profile in (V3_10, V4_3)}
