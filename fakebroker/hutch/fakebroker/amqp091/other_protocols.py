"""What a client speaks whose first eight bytes are not the header of AMQP 0-9-1."""

import re
from typing import Final

from hutch.wire.methods import PROTOCOL_HEADER

HEADER_1_0_SASL: Final = b"AMQP\x03\x01\x00\x00"

#: How each protocol begins. A stream client's first frame is a size, the key of PeerProperties, and version 1.
_BEGINNINGS: Final[dict[bytes, str]] = {
    rb"AMQP[\x00\x02\x03]\x01\x00\x00": "AMQP 1.0, which is not emulated",
    rb"\x16\x03": "TLS, and this port is not for TLS",
    rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|PRI) ": "HTTP, and this port is for AMQP",
    rb"(STOMP|CONNECT)[\r\n]": "STOMP, which is not emulated",
    rb"\x10[\x80-\xff]{0,3}[\x00-\x7f]\x00[\x04\x06]M": "MQTT, which is not emulated",
    rb"....\x00\x11\x00\x01": "RabbitMQ's stream protocol, which is not emulated",
}


def refusal(header: bytes) -> str:
    """Why a client is refused that begins with these eight bytes, for logs and the history."""
    for pattern, protocol in _BEGINNINGS.items():
        if re.match(pattern, header, re.DOTALL):
            return f"client speaks {protocol}"
    if header.startswith(b"AMQP"):
        sent, right = (" ".join(map(str, octets[4:])) for octets in (header, PROTOCOL_HEADER))
        return f"client sent the protocol header AMQP {sent}; that of AMQP 0-9-1 is AMQP {right}"
    return f"client sent {header!r}, which is no protocol header"
