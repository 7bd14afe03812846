"""What versions of RabbitMQ differ in about connections and channels."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class AMQPProfile:
    """The switches of :mod:`hutch.fakebroker.amqp091`."""

    #: The server properties in connection.start (CONN-HDR-12).
    version: str
    platform: str
    copyright: str
    #: SASL mechanisms offered, in RabbitMQ's order (CONN-HDR-11).
    mechanisms: tuple[str, ...]
    #: SASL mechanisms offered if clients may present certificates, as with the plugin rabbitmq_auth_mechanism_ssl.
    mechanisms_with_external: tuple[str, ...]
    #: Whether the AMQP 0-8 header is accepted as 0-9-1 (CONN-HDR-03).
    accepts_0_8: bool
    #: Whether the header of another protocol is answered with AMQP 1.0's SASL header; if not, with 0-9-1's
    #: (CONN-HDR-05, -08).
    speaks_1_0: bool
    #: The smallest frame_max a client may ask for, in bytes (CONN-TUNE-06).
    frame_min: int
    #: The largest body a content header may announce, in bytes; None: any (CONN-FRAME-12, -26).
    max_body_size: int | None
    #: Whether connection.update-secret makes channels forget their cached permissions (PERM-11).
    update_secret_forgets_permissions: bool
    #: Whether a client's basic.cancel-ok crashes the channel (541). If not, it is refused with 503.
    crashes_on_cancel_ok: bool
    #: Whether consumers of a channel share one limit after basic.qos global=true (QOS-06).
    shares_global_qos: bool
    #: Whether deliveries returned by basic.nack or basic.recover count as handed back. If not, they count as failed,
    #: like rejected ones (QUORUM-03, TX-12).
    hands_back: bool
    #: Whether the consumer argument x-cancel-on-ha-failover must be a boolean. If not, it is ignored.
    checks_cancel_on_ha_failover: bool
    #: Whether consumers may have credit, by the argument x-credit and basic.credit (CONSUME-26).
    has_consumer_credit: bool
    #: Whether a commit publishes to the queues that have the routed names at commit time. If not, it publishes to the
    #: very queues of the moment of the publish (TX-15).
    finds_queues_at_commit: bool
    #: Whether each publish gets its own confirm. RabbitMQ has no such setting.
    single_confirms: bool = False
    #: What connection.tune proposes: number of channels, bytes, seconds (CONN-TUNE-01).
    channel_max: int = 2047
    frame_max: int = 131072
    heartbeat: int = 60


V3_10: Final = AMQPProfile(
    version="3.10.8",
    platform="Erlang/OTP 25.2.3",
    copyright="Copyright (c) 2007-2022 VMware, Inc. or its affiliates.",
    mechanisms=("AMQPLAIN", "PLAIN"),
    mechanisms_with_external=("EXTERNAL", "AMQPLAIN", "PLAIN"),
    accepts_0_8=True,
    speaks_1_0=False,
    frame_min=4096,
    max_body_size=None,
    update_secret_forgets_permissions=False,
    crashes_on_cancel_ok=False,
    shares_global_qos=True,
    hands_back=False,
    checks_cancel_on_ha_failover=True,
    has_consumer_credit=True,
    finds_queues_at_commit=True,
)

V4_3: Final = AMQPProfile(
    version="4.3.6",
    platform="Erlang/OTP 27.3.4.14",
    copyright="Copyright (c) 2007-2026 Broadcom Inc and/or its subsidiaries",
    mechanisms=("ANONYMOUS", "AMQPLAIN", "PLAIN"),
    mechanisms_with_external=("ANONYMOUS", "AMQPLAIN", "PLAIN", "EXTERNAL"),
    accepts_0_8=False,
    speaks_1_0=True,
    frame_min=8192,
    max_body_size=536870912,
    update_secret_forgets_permissions=True,
    crashes_on_cancel_ok=True,
    shares_global_qos=False,
    hands_back=True,
    checks_cancel_on_ha_failover=False,
    has_consumer_credit=False,
    finds_queues_at_commit=False,
)
