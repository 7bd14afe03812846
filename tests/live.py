"""The live RabbitMQ brokers that the environment names, as the script that starts them prints them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import pytest

_PARTS: Final = ("", "_TLS", "_MANAGEMENT", "_CTL", "_CERTIFICATES")


@dataclass(frozen=True)
class LiveBroker:
    """How to reach a live broker: URLs of AMQP, AMQP over TLS and the management API, and the rabbitmqctl command."""

    url: str
    tls_url: str
    management: str
    rabbitmqctl: str
    #: The folder with ca.pem, client.pem and client.key.
    certificates: Path

    @classmethod
    def named(cls, version: str) -> Self:
        """The broker of this version, "3.10" or "4.3".

        Without one the test is skipped. With ``CI=true`` it fails.
        """
        variables = [f"HUTCH_RABBITMQ_{version.replace('.', '_')}{part}" for part in _PARTS]
        if missing := [variable for variable in variables if not os.environ.get(variable)]:
            reason = f"no live RabbitMQ {version}: {', '.join(missing)} not set"
            if os.environ.get("CI") == "true":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
        url, tls_url, management, rabbitmqctl, certificates = (os.environ[variable] for variable in variables)
        return cls(url, tls_url, management, rabbitmqctl, Path(certificates))
