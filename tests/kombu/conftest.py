"""An open kombu connection and channel to each target, and a queue there; where the target takes TLS."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import kombu
import pytest

from hutch.wire.url import parse_url
from tests import certificates
from tests.kombu.steps import connect
from tests.live import LiveBroker
from tests.targets import Target


@pytest.fixture
def connection(target: Target) -> kombu.Connection:
    """An open connection."""
    connection = connect(target)
    connection.connect()
    return connection


@pytest.fixture
def channel(connection: kombu.Connection) -> Any:
    """The default channel of ``connection``."""
    return connection.default_channel


@pytest.fixture
def queue(target: Target, channel: Any) -> kombu.Queue:
    """An empty queue, exclusive to ``connection``; what is published to the default exchange by its name goes there."""
    queue = kombu.Queue(target.name("queue"), exclusive=True, durable=False)(channel)
    queue.declare()
    return queue


@pytest.fixture
def secure(target: Target, tmp_path: Path) -> tuple[str, str]:
    """Where the target takes TLS, ``user:password@host:port/vhost``, and the file of the authority to trust."""
    if target.broker is not None:
        authority = certificates.write(tmp_path).ca
        listening = target.url if target.url.startswith("amqps") else None
        (place,) = parse_url(listening or target.broker.listen_tls(certificates.server_context()))
    else:
        live = LiveBroker.named(target.profile)
        authority = str(live.certificates / "ca.pem")
        (place,) = parse_url(live.tls_url)
    (address,) = parse_url(target.url)
    return f"guest:guest@localhost:{place.port}/{quote(address.virtual_host, safe='')}", authority
