"""Free ports on the loopback address."""

import contextlib
import random
import socket
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

from live_brokers.reporting import BrokerError

#: What a node needs a port for.
PORT_NAMES = ("amqp", "management", "distribution", "epmd", "tls")


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def free_ports(preferred: Mapping[str, int], avoid: Iterable[int]) -> dict[str, int]:
    """Returns a port for each of PORT_NAMES that is free now.

    Args:
        preferred: ports by name, taken where they are free.
        avoid: ports to leave alone though they are free.

    Raises:
        BrokerError: there are not enough free ports.
    """
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    # Below the range that outgoing connections draw from, so that none of them takes the port by chance.
    outside = range(10240, low) if low > 12240 else range(20000, 60000)
    others = iter(random.sample(outside, 400))
    taken = set(avoid)
    chosen: dict[str, int] = {}
    for name in PORT_NAMES:
        first = [preferred[name]] if name in preferred else []
        for port in chain(first, others):
            if port not in taken and is_free(port):
                taken.add(port)
                chosen[name] = port
                break
        else:
            raise BrokerError(f"no {len(PORT_NAMES)} free ports on 127.0.0.1")
    return chosen


def lost_port(ports: Iterable[int], logs: Iterable[Path]) -> bool:
    """Whether another program took a port of a node that has ended: it is in use, or the node's logs say it was."""
    if not all(is_free(port) for port in ports):
        return True
    texts = [log.read_text(errors="replace") for log in logs if log.exists()]
    return any(word in text for text in texts for word in ("eaddrinuse", "already in use"))
