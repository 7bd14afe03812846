"""Where the suite runs: the emulator in this process or over TCP; :mod:`hutch.conformance.live` has live brokers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Final, Protocol

from hutch.client import Connection, TcpTransport, connection_to
from hutch.conformance.administration import Operator
from hutch.conformance.case import PROFILES
from hutch.conformance.control import Control
from hutch.conformance.http import Http
from hutch.conformance.site import Site
from hutch.fakebroker import Broker, ManualClock
from hutch.wire.transport import Transport
from hutch.wire.url import Address, InvalidURL, parse_url

_VHOST: Final = "conformance"

#: Plugins that the emulator enables. A live broker may lack some; the cases that need them then do not apply.
_PLUGINS: Final = (
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_delayed_message_exchange",
    "rabbitmq_event_exchange",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_sharding",
)

#: After so many real seconds without input, an emulator behind a port counts as waiting for its clock.
_TICK: Final = 0.05

#: Seconds for connecting and logging in. RabbitMQ 4.3 was seen to take five seconds before its greeting.
_CONNECT_TIMEOUT: Final = 20


class TargetError(Exception):
    """The target cannot be used. The message is one line for the user who named it."""


class TargetUnreachable(TargetError):
    """Nobody answers at the target's address."""


class Target(Protocol):
    """Something that cases run on. ``name`` stands in reports; ``profile`` is whose behaviour is expected there;
    ``is_live`` tells a broker from the emulator.
    """

    name: str
    profile: str
    is_live: bool

    def site(self) -> AbstractContextManager[Site]:
        """A fresh place for one case, gone without a trace afterwards."""

    def left_behind(self) -> list[str]:
        """What is still there of what cases have made, in words. It should be nothing."""


class _Emulator:
    """The emulator; its clock moves by hand. A new broker for every case.

    Raises:
        TargetError: there is no such profile.
    """

    _way: ClassVar[str]

    def __init__(self, profile: str = "4.3") -> None:
        self.profile = known_profile(profile)
        self.name = f"{self._way} {profile}"
        self.is_live = False

    def broker(self, clock: ManualClock) -> Broker:
        """A new broker."""
        return Broker(self.profile, clock, vhosts=("/", _VHOST), plugins=_PLUGINS)

    def left_behind(self) -> list[str]:
        """Nothing: each case has a broker of its own."""
        return []


class InProcess(_Emulator):
    """The emulator in this process, over a pipe."""

    _way = "in-process"

    @contextmanager
    def site(self) -> Iterator[Site]:
        """A new broker."""
        clock = ManualClock()
        with self.broker(clock) as broker:
            yield _EmulatorSite(self.profile, broker, clock)


class Tcp(_Emulator):
    """The emulator behind a TCP port of this machine."""

    _way = "tcp"

    @contextmanager
    def site(self) -> Iterator[Site]:
        """A new broker, listening."""
        clock = ManualClock()
        with self.broker(clock) as broker:
            (address,) = parse_url(broker.listen())
            yield _TcpSite(self.profile, broker, clock, address)


class Names:
    """Names with a common beginning, counted."""

    def __init__(self, beginning: str = "") -> None:
        self._beginning = beginning
        self.given: list[str] = []

    def name(self, prefix: str) -> str:
        """A new name."""
        self.given.append(f"{self._beginning}{prefix}{len(self.given) + 1}")
        return self.given[-1]

    def remember(self, queue: str) -> None:
        """Have a name that the broker chose among those given."""
        if queue not in self.given:
            self.given.append(queue)


class _EmulatorSite(Names):
    vhost = _VHOST
    userid = "guest"
    password = "guest"
    patience = 5.0
    settled = True
    secure = False

    def __init__(self, profile: str, broker: Broker, clock: ManualClock) -> None:
        super().__init__()
        self.profile = profile
        self._broker = broker
        self._clock = clock

    def connection(self, **kwargs: Any) -> Connection:
        return Connection(**{"transport": self._broker.transport, "virtual_host": self.vhost, **kwargs})

    def transport(self) -> Transport:
        return self._broker.transport()

    def advance(self, seconds: float) -> None:
        self._clock.advance(seconds)

    def operator(self) -> Operator:
        return self._broker.admin

    def http(self) -> Http:
        return Http(self._broker.management_url, (self.userid, self.password), self.vhost)

    def control(self) -> Control:
        return self._broker.admin

    def allow(self, seconds: float) -> None:
        """Nothing: reading from the pipe moves the clock to what comes next."""


class _TcpSite(_EmulatorSite):
    settled = False

    def __init__(self, profile: str, broker: Broker, clock: ManualClock, address: Address) -> None:
        super().__init__(profile, broker, clock)
        self._address = address
        self._allowed = 0.0

    def connection(self, **kwargs: Any) -> Connection:
        return client_to(self._address, **{"virtual_host": self.vhost, **kwargs})

    def transport(self) -> Transport:
        return _TickingStream(self._address, self._tick)

    def allow(self, seconds: float) -> None:
        self._allowed = seconds

    def _tick(self) -> None:
        step = min(self._allowed, 0.25)
        if step:
            self._allowed -= step
            self._clock.advance(step)


class _TickingStream(TcpTransport):
    """A stream that moves the emulator's clock while it waits, a little at a time and as far as that is allowed."""

    def __init__(self, address: Address, tick: Callable[[], None]) -> None:
        super().__init__(address.host, address.port or 5672)
        self._tick = tick

    def receive(self, deadline: float | None = None) -> bytes:
        while True:
            now = self.monotonic()
            try:
                return super().receive(now + _TICK if deadline is None else min(deadline, now + _TICK))
            except TimeoutError:
                if deadline is not None and self.monotonic() >= deadline:
                    raise
                self._tick()


KNOWN_PROFILES = ", ".join(PROFILES)


def known_profile(profile: str) -> str:
    """The profile, if there is one of this name.

    Raises:
        TargetError: there is none.
    """
    if profile not in PROFILES:
        raise TargetError(f"unknown profile {profile!r}; there are {KNOWN_PROFILES}")
    return profile


def client_to(address: Address, virtual_host: str, **kwargs: Any) -> Connection:
    """A client's connection to a virtual host at an address, not yet connected."""
    try:
        return connection_to(address, **{"connect_timeout": _CONNECT_TIMEOUT, "virtual_host": virtual_host, **kwargs})
    except InvalidURL as error:
        raise TargetError(str(error)) from None
