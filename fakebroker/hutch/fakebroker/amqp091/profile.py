"""What versions of RabbitMQ differ in about connections and channels."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, eq=False)
class AMQPProfile:
    """The switches of :mod:`hutch.fakebroker.amqp091`."""

    #: What connection.start tells of the broker (CONN-HDR-12).
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
    #: The largest body a content header may announce, bytes; None: any (CONN-FRAME-12, -26).
    max_body_size: int | None
    #: Whether connection.update-secret makes channels forget what they were permitted (PERM-11).
    update_secret_forgets_permissions: bool
    #: Whether a client's basic.cancel-ok crashes the channel: 541 in place of 503.
    crashes_on_cancel_ok: bool
    #: Whether basic.qos global=true shares one limit over the channel (QOS-06).
    shares_global_qos: bool
    #: Whether deliveries that come back by basic.nack or basic.recover are handed back, else they failed, as rejected
    #: ones did (QUORUM-03, TX-12).
    hands_back: bool
    #: Whether the consumer argument x-cancel-on-ha-failover has to be a boolean, else it is not looked at.
    checks_cancel_on_ha_failover: bool
    #: Whether consumers may be given credit, by the argument x-credit and basic.credit (CONSUME-26).
    has_consumer_credit: bool
    #: Whether a transaction's messages get into whatever queues have the names when it is committed, else into the very
    #: queues that were there when they were published (TX-15).
    finds_queues_at_commit: bool
    #: Whether each publish is confirmed by itself, which is no setting of RabbitMQ's.
    single_confirms: bool = False
    #: What connection.tune proposes: channels, bytes, seconds (CONN-TUNE-01).
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
