"""Where the suite runs: the emulator in this process, the emulator over TCP, or a live broker."""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol

from hutch.client import AMQPError, Connection, TcpTransport, connection_to
from hutch.conformance.administration import Operator
from hutch.conformance.case import PROFILES
from hutch.conformance.control import Control, ControlError, RabbitmqCtl
from hutch.conformance.management import Management, ManagementError
from hutch.conformance.site import Inapplicable, Site
from hutch.fakebroker import Broker, ManualClock
from hutch.wire.transport import Transport
from hutch.wire.url import Address, InvalidURL, parse_url

_VHOST: Final = "conformance"

#: What the emulator has enabled; a live broker may lack some, and then the cases of these do not apply.
_PLUGINS: Final = (
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_delayed_message_exchange",
    "rabbitmq_event_exchange",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_sharding",
)

#: Real seconds without news after which the emulator behind a port is taken to wait for its clock.
_TICK: Final = 0.05

#: Seconds for connecting and logging in. RabbitMQ 4.3 was seen to take five of them before its greeting.
_CONNECT_TIMEOUT: Final = 20


class TargetError(Exception):
    """The target cannot be used. The message is one line for whoever named it."""


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


class InProcess:
    """The emulator in this process, over a pipe; its clock moves by hand. A new broker for every case.

    Raises:
        TargetError: there is no such profile.
    """

    def __init__(self, profile: str = "4.3") -> None:
        self.profile = _known(profile)
        self.name = f"in-process {profile}"
        self.is_live = False

    @contextmanager
    def site(self) -> Iterator[Site]:
        """A new broker."""
        clock = ManualClock()
        with Broker(self.profile, clock, vhosts=("/", _VHOST), plugins=_PLUGINS) as broker:
            yield _EmulatorSite(self.profile, broker, clock)


class Tcp:
    """The emulator behind a TCP port of this machine; else as :class:`InProcess`."""

    def __init__(self, profile: str = "4.3") -> None:
        self.profile = _known(profile)
        self.name = f"tcp {profile}"
        self.is_live = False

    @contextmanager
    def site(self) -> Iterator[Site]:
        """A new broker, listening."""
        clock = ManualClock()
        with Broker(self.profile, clock, vhosts=("/", _VHOST), plugins=_PLUGINS) as broker:
            (address,) = parse_url(broker.listen())
            yield _TcpSite(self.profile, broker, clock, address)


class Live:
    """A live broker at an ``amqp://`` or ``amqps://`` URL, whose options are those of :func:`hutch.client.connect`.

    With ``management_url`` every case gets a virtual host of its own; without, all cases share the URL's, under names
    that nobody else has, and what they made is deleted. ``profile`` is read from the broker's version unless given.
    With ``rabbitmqctl``, a command line that is it for that very node, the cases that need it disturb everybody who is
    connected there; without, they do not apply.

    Raises:
        TargetUnreachable: nobody listens there.
        TargetError: the login or the virtual host is refused, the management API or rabbitmqctl is not usable, or no
            profile fits the version.
    """

    def __init__(
        self,
        url: str,
        management_url: str | None = None,
        profile: str | None = None,
        rabbitmqctl: str | None = None,
    ) -> None:
        self._address = _address(url)
        address = self._address
        self.version, self._cluster_name, named = self._ask(profile)
        self.profile = named
        self.name = f"{address.host}:{address.port} (RabbitMQ {self.version} as {named})"
        self.is_live = True
        self._management: Management | None = None
        self._rabbitmqctl: RabbitmqCtl | None = None
        if management_url is not None:
            try:
                self._management = Management(management_url, address.userid, address.password)
                self._try_management()
            except ManagementError as error:
                raise TargetError(str(error)) from None
        if rabbitmqctl is not None:
            try:
                self._rabbitmqctl = RabbitmqCtl(rabbitmqctl)
                self._try_rabbitmqctl(self._rabbitmqctl)
            except ControlError as error:
                raise TargetError(str(error)) from None

    def _ask(self, profile: str | None) -> tuple[str, str, str]:
        """The broker's version, the name of its cluster, and the profile that fits it."""
        address = self._address
        connection = _client(address, address.virtual_host)
        where = f"{address.host}:{address.port}"
        try:
            connection.connect()
        except AMQPError as error:
            raise TargetError(f"{where}: {error.reply_text or error}") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise TargetUnreachable(reason if where in reason else f"{where}: {reason}") from None
        try:
            properties = connection.server_properties
            version = str(properties.get("version", "of unknown version"))
            cluster_name = str(properties.get("cluster_name", ""))
            if profile is not None:
                return version, cluster_name, _known(profile)
            major = version.partition(".")[0]
            for known in PROFILES:
                if properties.get("product") == "RabbitMQ" and known.partition(".")[0] == major:
                    return version, cluster_name, known
            raise TargetError(
                f"{where}: no profile fits {properties.get('product')} {version}; name one of {_PROFILES}"
            )
        finally:
            connection.close()

    def _try_management(self) -> None:
        """One virtual host comes and goes, so that an API that is refused or another broker's is told of at once."""
        with self.site() as site:
            connection = site.connection()
            try:
                connection.connect()
            except (AMQPError, OSError) as error:
                raise TargetError(
                    f"a virtual host made by the management API cannot be opened; is it this broker's? {error}"
                ) from None
            finally:
                connection.collect()

    def _try_rabbitmqctl(self, rabbitmqctl: RabbitmqCtl) -> None:
        """No other node than the one at the URL is to be restarted."""
        if (name := rabbitmqctl.cluster_name()) != self._cluster_name:
            raise TargetError(f"rabbitmqctl is that of {name!r}, and the broker at the URL is {self._cluster_name!r}")

    @contextmanager
    def site(self) -> Iterator[Site]:
        """A new virtual host, or names of its own in the URL's."""
        address = self._address
        unique = f"hutch-{secrets.token_hex(4)}"
        management = self._management
        if management is None:
            site = _LiveSite(self.profile, address, address.virtual_host, f"{unique}-", None, self._rabbitmqctl)
            with contextlib.ExitStack() as cleanup:
                cleanup.callback(site.clear)
                self._undo_after(cleanup)
                yield site
            return
        with contextlib.ExitStack() as cleanup:
            management.add_vhost(unique)
            cleanup.callback(management.delete_vhost, unique)
            self._undo_after(cleanup)
            yield _LiveSite(self.profile, address, unique, "", management, self._rabbitmqctl)

    def _undo_after(self, cleanup: contextlib.ExitStack) -> None:
        if self._rabbitmqctl is not None:
            cleanup.callback(self._rabbitmqctl.undo)


class _Names:
    """Names with a common beginning, counted."""

    def __init__(self, beginning: str = "") -> None:
        self._beginning = beginning
        self.given: list[str] = []

    def name(self, prefix: str) -> str:
        self.given.append(f"{self._beginning}{prefix}{len(self.given) + 1}")
        return self.given[-1]

    def remember(self, queue: str) -> None:
        if queue not in self.given:
            self.given.append(queue)


class _EmulatorSite(_Names):
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

    def control(self) -> Control:
        return self._broker

    def allow(self, seconds: float) -> None:
        """Nothing: reading from the pipe moves the clock to whatever comes next."""


class _TcpSite(_EmulatorSite):
    settled = False

    def __init__(self, profile: str, broker: Broker, clock: ManualClock, address: Address) -> None:
        super().__init__(profile, broker, clock)
        self._address = address
        self._allowed = 0.0

    def connection(self, **kwargs: Any) -> Connection:
        return _client(self._address, **{"virtual_host": self.vhost, **kwargs})

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


class _LiveSite(_Names):
    patience = 8.0
    settled = False

    def __init__(
        self,
        profile: str,
        address: Address,
        vhost: str,
        beginning: str,
        management: Management | None,
        rabbitmqctl: RabbitmqCtl | None,
    ) -> None:
        super().__init__(beginning)
        self._management = management
        self._rabbitmqctl = rabbitmqctl
        self.profile = profile
        self.vhost = vhost
        self.userid = address.userid
        self.password = address.password
        self.secure = address.scheme == "amqps"
        self._address = address

    def connection(self, **kwargs: Any) -> Connection:
        return _client(self._address, **{"virtual_host": self.vhost, **kwargs})

    def transport(self) -> Transport:
        return _stream(self._address)

    def advance(self, seconds: float) -> None:
        """Wait: on a live broker time passes by itself."""
        time.sleep(seconds)

    def allow(self, seconds: float) -> None:
        """Nothing: the wait that follows takes its time."""

    def operator(self) -> Operator:
        if self._management is None:
            raise Inapplicable("needs the management API")
        return self._management

    def control(self) -> Control:
        if self._rabbitmqctl is None:
            raise Inapplicable("needs --rabbitmqctl, to control the broker itself")
        return self._rabbitmqctl

    def clear(self) -> None:
        """Delete what may have been made under the names given out."""
        connection = self.connection()
        connection.connect()
        try:
            for name in self.given:
                with contextlib.suppress(AMQPError):
                    connection.channel().queue_delete(name)
                with contextlib.suppress(AMQPError):
                    connection.channel().exchange_delete(name)
        finally:
            connection.close()


_PROFILES = ", ".join(PROFILES)


def _known(profile: str) -> str:
    if profile not in PROFILES:
        raise TargetError(f"unknown profile {profile!r}; there are {_PROFILES}")
    return profile


def _address(url: str) -> Address:
    try:
        addresses = parse_url(url)
    except InvalidURL as error:
        raise TargetError(str(error)) from None
    if len(addresses) != 1 or addresses[0].scheme not in {"amqp", "amqps"}:
        raise TargetError("the suite runs on one broker, at an amqp:// or amqps:// URL")
    return addresses[0]


def _client(address: Address, virtual_host: str, **kwargs: Any) -> Connection:
    try:
        return connection_to(address, **{"connect_timeout": _CONNECT_TIMEOUT, "virtual_host": virtual_host, **kwargs})
    except InvalidURL as error:
        raise TargetError(str(error)) from None


def _stream(address: Address) -> Transport:
    connection = _client(address, address.virtual_host)
    return connection.Transport(connection.host, None, connection.ssl)
