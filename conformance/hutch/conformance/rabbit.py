"""What a case plays on: one broker, fresh for the case, through the client and frame by frame."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

from hutch.client import AMQPError, Channel, Connection, Message
from hutch.conformance.administration import PASSWORD, Administration
from hutch.conformance.check import equal, reply_text, true
from hutch.conformance.control import Control
from hutch.conformance.deliveries import Deliveries, connection_of
from hutch.conformance.http import Http
from hutch.conformance.raw import RawChannel, RawConnection
from hutch.conformance.site import Site
from hutch.wire.fields import FieldTable
from hutch.wire.methods import QueueDeclare

T = TypeVar("T")


class Rabbit:
    """The broker under test, as one case sees it.

    ``profile`` is the RabbitMQ version whose behaviour is expected, ``vhost`` the virtual host to use, ``userid`` and
    ``password`` what :meth:`connect` logs in with. What is opened through it is closed when the case ends.
    """

    def __init__(self, site: Site) -> None:
        self._site: Final = site
        self._connections: list[Connection] = []
        self._raw: list[RawConnection] = []
        #: Functions that close the connections that a restart ended.
        self._ended: list[Callable[[], object]] = []
        self._admin: Administration | None = None
        self._http: Http | None = None
        self.profile: Final = site.profile
        self.vhost: Final = site.vhost
        self.userid: Final = site.userid
        self.password: Final = site.password
        self.secure: Final = site.secure

    # connections

    def connect(self, **kwargs: Any) -> Connection:
        """A new connection, established; ``kwargs`` go to :class:`hutch.client.Connection`."""
        connection = self._site.connection(**kwargs)
        self._connections.append(connection)
        connection.connect()
        return connection

    def channel(self, connection: Connection | None = None) -> Channel:
        """A new channel, on the case's first connection unless another is given."""
        if connection is None:
            connection = self._connections[0] if self._connections else self.connect()
        return connection.channel()

    def connect_as(self, user: str, **kwargs: Any) -> Connection:
        """:meth:`connect` as a user that :attr:`admin` made."""
        return self.connect(userid=user, password=PASSWORD, **kwargs)

    def raw(self, user: str | None = None, **handshake: Any) -> RawConnection:
        """A new connection spoken frame by frame, open; ``user`` as in :meth:`raw_unopened`, ``handshake`` as in
        :meth:`RawConnection.handshake`.
        """
        connection = self.raw_unopened(user)
        connection.handshake(**handshake)
        return connection

    def raw_queue(
        self, messages: int = 0, arguments: FieldTable | None = None, **handshake: Any
    ) -> tuple[RawChannel, str]:
        """A channel spoken frame by frame, and a new queue to which so many messages, ``0``, ``1`` ..., were published.

        ``handshake`` as in :meth:`RawConnection.handshake`.
        """
        channel, queue = self.raw(**handshake).channel(), self.name()
        channel.call(QueueDeclare(queue=queue, arguments=dict(arguments or {})))
        for number in range(messages):
            channel.publish(b"%d" % number, routing_key=queue)
        return channel, queue

    def raw_unopened(self, user: str | None = None) -> RawConnection:
        """A new stream to the broker on which nothing was sent, for a ``user`` that :attr:`admin` made, or the suite's
        own.
        """
        site = self._site
        login = (site.userid, site.password) if user is None else (user, PASSWORD)
        connection = RawConnection(site.transport(), site.patience, *login, site.vhost)
        self._raw.append(connection)
        return connection

    def close(self) -> None:
        """Close every connection the case has opened, in any state, and remove what :attr:`admin` made."""
        for connection in self._connections:
            with contextlib.suppress(Exception):
                connection.close()
        self.abandon()
        if self._admin is not None:
            self._admin.remove()

    def abandon(self) -> None:
        """Cut the streams of every connection: what waits on one ends."""
        collect = [connection.collect for connection in self._connections]
        for close in (*self._ended, *collect, *(raw.close for raw in self._raw)):
            with contextlib.suppress(Exception):
                close()

    # administration

    @property
    def admin(self) -> Administration:
        """An operator for the case; where there is none, the case does not apply."""
        if self._admin is None:
            self._admin = Administration(self._site.operator(), self.vhost, self.eventually)
        return self._admin

    @property
    def http(self) -> Http:
        """The management API; where there is none, the case does not apply."""
        if self._http is None:
            self._http = self._site.http()
        return self._http

    def needs_own_vhost(self) -> None:
        """Have the case apply only where nobody else uses its virtual host: where an operator can make one."""
        self._site.operator()

    def restart(self, downtime: float = 0.0) -> None:
        """Restart the broker, which is down for so many seconds of its time at least. The connections from before are
        the case's no more, though what the broker told them can still be read.
        """
        self.control.restart(downtime)
        self._leave_connections()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """A context in which the broker is stopped. The connections from before end as with :meth:`restart`."""
        control = self.control
        try:
            control.stop()
            yield
        finally:
            control.start()
            self._leave_connections()

    def _leave_connections(self) -> None:
        self._ended += [connection.collect for connection in self._connections]
        self._ended += [raw.close for raw in self._raw]
        self._connections.clear()
        self._raw.clear()

    @property
    def control(self) -> Control:
        """What moves the broker itself; where nothing does, the case does not apply."""
        return self._site.control()

    # names and entities

    def name(self, prefix: str = "q") -> str:
        """A name for a queue or an exchange that nothing else has."""
        return self._site.name(prefix)

    def remember(self, name: str) -> None:
        """A name that was not asked for by :meth:`name` but belongs to this case."""
        self._site.remember(name)

    def queue(self, channel: Channel, queue: str | None = None, **kwargs: Any) -> str:
        """Declare a queue (not durable, exclusive or auto-delete unless asked), by default a new one; its name."""
        name = self.name() if queue is None else queue
        declared = self.declared(channel, name, **{"auto_delete": False, **kwargs})[0]
        self.remember(declared)
        return declared

    def declared(self, channel: Channel, queue: str, **kwargs: Any) -> tuple[str, int, int]:
        """Declare a queue; the name, ready messages and consumers that declare-ok tells."""
        answer = channel.queue_declare(queue, **kwargs)
        if answer is None:
            raise AssertionError("queue.declare was not answered")
        return answer.queue, answer.message_count, answer.consumer_count

    def exchange(self, channel: Channel, type: str = "direct", exchange: str | None = None, **kwargs: Any) -> str:  # noqa: A002
        """Declare an exchange (not durable or auto-delete unless asked), by default under a new name; its name."""
        name = self.name("x") if exchange is None else exchange
        channel.exchange_declare(name, type, **{"auto_delete": False, **kwargs})
        return name

    def bound(self, channel: Channel, exchange: str, routing_key: str = "", arguments: FieldTable | None = None) -> str:
        """A new queue bound to ``exchange``; its name."""
        queue = self.queue(channel)
        channel.queue_bind(queue, exchange, routing_key, arguments=dict(arguments or {}))
        return queue

    def has_queue(self, queue: str, connection: Connection | None = None) -> bool:
        """Whether there is a queue of this name."""
        return self._is_there(lambda channel: channel.queue_declare(queue, passive=True), connection)

    def has_exchange(self, exchange: str, connection: Connection | None = None) -> bool:
        """Whether there is an exchange of this name."""
        return self._is_there(lambda channel: channel.exchange_declare(exchange, "direct", passive=True), connection)

    def _is_there(self, look: Callable[[Channel], object], connection: Connection | None = None) -> bool:
        channel = self.channel(connection)
        try:
            look(channel)
        except AMQPError as error:
            if error.reply_code != 404:
                raise
            return False
        channel.close()
        return True

    # messages

    def publish(
        self, channel: Channel, body: bytes = b"", exchange: str = "", routing_key: str = "", **properties: Any
    ) -> None:
        """Publish a message; ``properties`` by their names, ``headers`` among them."""
        channel.basic_publish(_message(body, properties), exchange, routing_key)

    def ready(self, channel: Channel, queue: str) -> int:
        """The number of ready messages that a queue reports; a message that was just published may be missing."""
        return self.declared(channel, queue, passive=True)[1]

    def expect_ready(self, channel: Channel, queue: str, count: int) -> None:
        """A queue must come to have this many ready messages."""
        self.eventually(
            lambda: self.ready(channel, queue) == count,
            lambda: f"expected {count} ready messages in {queue!r}, there are {self.ready(channel, queue)}",
        )

    def publish_confirmed(
        self, channel: Channel, body: bytes = b"", exchange: str = "", routing_key: str = "", **properties: Any
    ) -> None:
        """Publish a message and await its confirm: every queue it went to has handled it then."""
        channel.basic_publish_confirm(_message(body, properties), exchange, routing_key)

    def get(self, channel: Channel, queue: str, *, no_ack: bool = False) -> Message:
        """One message, by basic.get; it may take a moment to arrive, as dead letters do."""
        return self.eventually(lambda: channel.basic_get(queue, no_ack=no_ack), f"no message in {queue!r}")

    def bodies(self, channel: Channel, queue: str) -> list[bytes]:
        """Take all ready messages out of a queue; their bodies in order."""
        found = []
        while message := channel.basic_get(queue, no_ack=True):
            found.append(body(message))
        return found

    def consume(self, channel: Channel, queue: str, **kwargs: Any) -> Deliveries:
        """Start a consumer; ``kwargs`` go to :meth:`hutch.client.Channel.basic_consume`."""
        return Deliveries(channel, queue, self._site.patience, kwargs)

    # expectations

    def by_profile(self, values: Mapping[str, T]) -> T:
        """The value that ``values`` holds for this broker's profile."""
        return values[self.profile]

    def eventually(self, attempt: Callable[[], T | None], otherwise: str | Callable[[], str]) -> T:
        """What ``attempt`` returns as soon as that is true; fail with ``otherwise`` if it does not become so in time.

        Each attempt asks the broker something, so a try costs a round trip.
        """
        deadline = time.monotonic() + self._site.patience
        while True:
            if result := attempt():
                return result
            if time.monotonic() > deadline or self._site.settled:
                raise AssertionError(otherwise if isinstance(otherwise, str) else otherwise())

    def advance(self, seconds: float) -> None:
        """Let this much of the broker's time pass, from when it has handled what was sent on the case's channels."""
        for connection in self._connections:
            for channel in list((connection.channels or {}).values()):
                if isinstance(channel, Channel) and channel.is_open:
                    channel.flow(True)
        for raw in self._raw:
            raw.settle()
        self._site.advance(seconds)

    def allow(self, seconds: float) -> None:
        """Give the broker this much of its time for what the case waits for next."""
        self._site.allow(seconds)

    def expect_dropped(self, *connections: RawConnection, within: float = 4.0) -> None:
        """The broker must end these connections without a word, at most so many seconds later."""
        for connection in connections:
            self.allow(within)
            connection.expect_gone(max(within, self._site.patience))

    @contextlib.contextmanager
    def expect_channel_error(self, channel: Channel, code: int, text: str, method: tuple[int, int]) -> Iterator[None]:
        """The body must make the broker close ``channel``, and it alone.

        Compared are the reply code, the whole reply text (``text`` is what follows the code's name), and the class and
        method id. An error that comes without being asked for, as after a publish, is waited for.
        """
        connection = connection_of(channel)
        error = self._refusal(channel, code, text, method)
        with error:
            yield
        true(connection.connected, "the broker closed the connection, not the channel alone")
        connection.channel().close()

    @contextlib.contextmanager
    def expect_connection_error(
        self, channel: Channel, code: int, text: str, method: tuple[int, int]
    ) -> Iterator[None]:
        """The body, at work on ``channel``, must make the broker close the connection; compared is the same."""
        connection = connection_of(channel)
        with self._refusal(channel, code, text, method):
            yield
        with contextlib.suppress(AMQPError, OSError):
            connection.channel()
            raise AssertionError("the connection is still open")

    def refused(
        self,
        attempt: Callable[[Channel], object],
        code: int,
        text: str,
        method: tuple[int, int],
        connection: Connection | None = None,
    ) -> None:
        """``attempt``, on a new channel, must make the broker close that channel; see :meth:`expect_channel_error`."""
        channel = self.channel(connection)
        with self.expect_channel_error(channel, code, text, method):
            attempt(channel)

    @contextlib.contextmanager
    def _refusal(self, channel: Channel, code: int, text: str, method: tuple[int, int]) -> Iterator[None]:
        wanted = (code, reply_text(code, text), method)
        try:
            yield
            # An asynchronous method has no answer. If the broker refuses it, the next synchronous method fails.
            channel.basic_qos(0, 0, False)
        except AMQPError as error:
            equal((error.reply_code, error.reply_text, error.method_sig), wanted, "refusal")
        else:
            raise AssertionError(f"expected {wanted!r}, and the broker accepted it")


def _message(body: bytes, properties: dict[str, Any]) -> Message:
    if "headers" in properties:
        properties["application_headers"] = properties.pop("headers")
    return Message(body, **properties)


def tag_of(message: Message) -> int:
    """A message's delivery tag."""
    return int(told(message)["delivery_tag"])


def told(message: Message) -> dict[str, Any]:
    """What came with a message: its delivery_info."""
    if message.delivery_info is None:
        raise AssertionError("a message without delivery_info")
    return message.delivery_info


def body(message: Message) -> bytes:
    """A message's body as bytes."""
    raw = message.body
    return raw.encode() if isinstance(raw, str) else bytes(raw)


def delivered(message: Message) -> tuple[bytes, bool]:
    """A message's body and redelivered flag."""
    return body(message), bool(told(message)["redelivered"])
