"""What stands in for a reader's RabbitMQ: the emulator, in the place of the addresses that pages write."""

from pathlib import Path

from hutch.fakebroker import Broker
from hutch.wire.url import parse_url
from tests import certificates

PLAIN, TLS, AUTHORITY = "localhost:5672", "localhost:5671", "/etc/ssl/rabbitmq/ca.pem"


def needs_broker(code: str) -> bool:
    """Whether a block connects to a RabbitMQ of the reader's."""
    return PLAIN in code or TLS in code


def at_broker(code: str, broker: Broker, folder: Path) -> str:
    """The code with the addresses of this broker. Files of certificates are put into the folder."""
    if PLAIN in code:
        (address,) = parse_url(broker.url)
        code = code.replace(PLAIN, f"localhost:{address.port}")
    if TLS in code:
        (address,) = parse_url(broker.listen_tls(certificates.server_context()))
        code = code.replace(TLS, f"localhost:{address.port}").replace(AUTHORITY, certificates.write(folder).ca)
    return code
