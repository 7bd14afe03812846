"""What a library does for the tests."""

import ssl
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hutch.fakebroker import Broker
from hutch.wire.url import parse_url
from tests import certificates

#: Timeout in real seconds that a library gets, if it has such a setting.
TIMEOUT = 1.0
#: Number of messages that a consumer receives in one step.
SEVERAL = 2
QUEUE = "orders"


@dataclass(frozen=True)
class Place:
    """Where the broker is: in this process, over TCP, or over TLS, with the authority's certificate in a file.

    ``urls`` are without what comes behind the port. There are several if a library is to have a list of addresses.
    ``heartbeat`` is in seconds; 0 is none.
    """

    broker: Broker
    way: str
    ca: str
    urls: Sequence[str]
    heartbeat: int = 0

    @property
    def url(self) -> str:
        """The first address."""
        return self.urls[0]

    @property
    def ports(self) -> list[int]:
        """The ports of all addresses."""
        return [parse_url(url)[0].port or 0 for url in self.urls]

    @property
    def tls(self) -> ssl.SSLContext | None:
        """A client's context."""
        return certificates.client_context() if self.way == "TLS" else None


class ToldError(Exception):
    """What a library told by a callback, or in another process."""


class Redelivered(ToldError):
    """What was received came again."""

    def __init__(self) -> None:
        super().__init__("redelivered")


class Driver(ABC):
    """One library. Its methods raise what the library raises."""

    ways: ClassVar[tuple[str, ...]] = ("TCP", "TLS")
    #: Whether the library accepts several addresses.
    takes_list: ClassVar = False

    def __init__(self, place: Place) -> None:
        self.place = place

    @abstractmethod
    def connect(self) -> None:
        """Connect, open a channel with confirms, and declare the queue."""

    @abstractmethod
    def publish(self) -> None:
        """Publish a message to it that is mandatory, and wait until it is confirmed."""

    @abstractmethod
    def declare(self) -> None:
        """Declare the queue again."""

    @abstractmethod
    def get(self) -> None:
        """Get a message, and acknowledge it."""

    @abstractmethod
    def subscribe(self) -> None:
        """Have a consumer, with a prefetch of one message."""

    @abstractmethod
    def consume(self) -> None:
        """Receive several messages, and acknowledge each.

        Raises:
            Redelivered: one of them came again.
        """

    @abstractmethod
    def idle(self) -> None:
        """Do nothing but what keeps a connection alive, for ever."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything."""
