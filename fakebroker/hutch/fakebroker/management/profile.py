"""What versions of RabbitMQ differ in about the management API."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class ManagementProfile:
    """The switches of :mod:`hutch.fakebroker.management`."""

    #: Whether the API has the paths of 4.x instead of some of 3.x (HTTP-EP).
    has_newer_paths: bool
    #: The feature flags of the version, by name (HTTP-SHAPE-24).
    feature_flags: tuple[str, ...]
    #: The most bytes that a request's body may have (HTTP-PROTO-26).
    max_body: int
    #: Whether a failed login is answered ``Login failed``, with a challenge (HTTP-AUTH-02).
    challenges_failed_login: bool
    #: Whether a virtual host that the user may not enter is hidden from them: 404 in place of 401 (HTTP-AUTH-07).
    hides_foreign_vhosts: bool
    #: Whether each answer says which methods the path has (HTTP-PROTO-01).
    tells_methods: bool
    #: Whether lists of queues have a reduced set of keys, and ``queues/detailed`` has all (HTTP-SHAPE-14).
    has_detailed_queues: bool
    #: Whether virtual hosts have an effective default queue type, and protection from deletion (HTTP-VHOST).
    has_vhost_metadata: bool
    #: Whether a publish or a get names a missing exchange, queue or virtual host by a word (HTTP-PUB-03, HTTP-GET-15).
    names_missing_by_word: bool
    #: Whether a bad regular expression finds nothing, else it is refused (HTTP-LIST-09).
    bad_pattern_finds_nothing: bool
    #: Whether ``login`` answers with a token and not a cookie (HTTP-MISC-01).
    login_gives_token: bool
    #: Whether an unknown user in ``users/bulk-delete`` is skipped (HTTP-USER-12).
    bulk_delete_is_lenient: bool
    #: Whether clearing a limit of something that does not exist is 404, else a crash (HTTP-LIMIT-04).
    clearing_limits_checks_owner: bool
    #: Whether messages with ``<`` and ``>`` are written as HTML, for policies (HTTP-POL-09).
    escapes_html: bool
    #: Whether the aliveness test leaves a queue behind (HTTP-HEALTH-09).
    aliveness_leaves_queue: bool
    #: Whether a protocol check takes several names and lists what is missing (HTTP-HEALTH-03, HTTP-HEALTH-04).
    checks_several_protocols: bool
    #: Whether only JSON in the strict sense is read (HTTP-PROTO-18).
    is_strict_json: bool
    #: Whether the refusal of a wrong mode of ``get`` lists the modes (HTTP-GET-09).
    explains_ackmodes: bool


_FLAGS: Final = (
    *("classic_mirrored_queue_version", "drop_unroutable_metric", "empty_basic_get_metric"),
    *("implicit_default_bindings", "maintenance_mode_status", "quorum_queue", "stream_queue", "user_limits"),
    "virtual_host_metadata",
)
_NEWER_FLAGS: Final = (
    *("classic_queue_type_delivery_support", "detailed_queues_endpoint", "direct_exchange_routing_v2"),
    *("feature_flags_v2", "khepri_db", "listener_records_in_ets", "message_containers"),
    *("message_containers_deaths_v2", "quorum_queue_non_voters", "rabbit_exchange_type_local_random"),
    *("rabbitmq_4.0.0", "rabbitmq_4.1.0", "rabbitmq_4.2.0", "rabbitmq_4.3.0", "restart_streams", "stream_filtering"),
    *("stream_sac_coordinator_unblock_group", "stream_single_active_consumer", "stream_update_config_command"),
    *("tie_binding_to_dest_with_keep_while_cond", "topic_binding_projection_v4", "topic_binding_projection_v5"),
    *("track_qq_members_uids", "tracking_records_in_ets"),
)

V3_10: Final = ManagementProfile(
    has_newer_paths=False,
    feature_flags=_FLAGS,
    max_body=8_000_000,
    challenges_failed_login=True,
    hides_foreign_vhosts=False,
    tells_methods=False,
    has_detailed_queues=False,
    has_vhost_metadata=False,
    names_missing_by_word=False,
    bad_pattern_finds_nothing=False,
    login_gives_token=False,
    bulk_delete_is_lenient=False,
    clearing_limits_checks_owner=False,
    escapes_html=True,
    aliveness_leaves_queue=True,
    checks_several_protocols=False,
    is_strict_json=False,
    explains_ackmodes=False,
)

V4_3: Final = ManagementProfile(
    has_newer_paths=True,
    feature_flags=tuple(sorted((*_FLAGS, *_NEWER_FLAGS))),
    max_body=10 * 1024 * 1024,
    challenges_failed_login=False,
    hides_foreign_vhosts=True,
    tells_methods=True,
    has_detailed_queues=True,
    has_vhost_metadata=True,
    names_missing_by_word=True,
    bad_pattern_finds_nothing=True,
    login_gives_token=True,
    bulk_delete_is_lenient=True,
    clearing_limits_checks_owner=True,
    escapes_html=False,
    aliveness_leaves_queue=False,
    checks_several_protocols=True,
    is_strict_json=True,
    explains_ackmodes=True,
)
