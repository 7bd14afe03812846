"""Who is at the other end of a connection."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

#: RabbitMQ's word for an address that is not one of the network.
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class TlsDetails:
    """What TLS agreed on, and the client's certificate, in the words of RabbitMQ's events; empty where there is
    nothing to tell.
    """

    protocol: str
    cipher: str
    hash: str
    key_exchange: str
    subject: str = ""
    issuer: str = ""
    validity: str = ""
    serial_number: str = ""


@dataclass(frozen=True)
class Peer:
    """A client and how it is connected.

    ``name`` is the connection's name in logs. ``host`` and ``port`` are the broker's end, ``peer_host`` and
    ``peer_port`` the client's; hosts are written as by :func:`print_address`. ``local`` is whether the client is on
    this machine. ``tls`` is its TLS, or ``None``.
    """

    name: str
    host: str = UNKNOWN
    port: int = 0
    peer_host: str = UNKNOWN
    peer_port: int = 0
    local: bool = True
    tls: TlsDetails | None = None


def print_address(address: IPv4Address | IPv6Address) -> str:
    """An address as Erlang prints it: ``{127,0,0,1}``, ``{0,0,0,0,0,0,0,1}``."""
    width = 1 if isinstance(address, IPv4Address) else 2
    packed = address.packed
    return f"{{{','.join(str(int.from_bytes(packed[at : at + width])) for at in range(0, len(packed), width))}}}"
