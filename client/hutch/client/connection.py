"""Connections: opening, closing, waiting (AMQP 0-9-1 specification, section 2.2.4 and class ``connection``)."""

import logging
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Never, NoReturn, Self, cast

from hutch.client import negotiation
from hutch.client.abstract_channel import AbstractChannel, Handler
from hutch.client.channel import Channel as AMQPChannel
from hutch.client.compat.hooks import HookMethods
from hutch.client.exceptions import (
    AMQPError,
    ChannelError,
    ConnectionError,  # noqa: A004
    ConnectionForced,
    MessageNacked,
    MethodSig,
    RecoverableChannelError,
    RecoverableConnectionError,
    ResourceError,
    error_for_code,
    method_name,
)
from hutch.client.late import tell_cause, tell_noticed
from hutch.client.link import Link
from hutch.client.message import ReceivedMessage
from hutch.client.method_framing import FrameHandler, FrameWriter, frame_handler, frame_writer
from hutch.client.promise import Thenable, break_promise, ensure_promise
from hutch.client.reader import holds_close
from hutch.client.sasl import SASL
from hutch.client.traffic import TrafficMethods
from hutch.client.transports.tcp import TcpTransport
from hutch.wire.content import Content
from hutch.wire.declaration import Method
from hutch.wire.methods import (
    METHODS,
    ConnectionBlocked,
    ConnectionClose,
    ConnectionCloseOk,
    ConnectionUnblocked,
    ConnectionUpdateSecret,
    ConnectionUpdateSecretOk,
)
from hutch.wire.states import ConnectionState
from hutch.wire.transport import Transport as AMQPTransport

if TYPE_CHECKING:
    from ssl import SSLContext

_log = logging.getLogger("hutch.client")

DEFAULT_PORT: Final = 5672


def split_host(host: str) -> tuple[str, int]:
    """Host and port of ``host``, ``host:port``, ``address``, ``[address]`` or ``[address]:port``, by default port 5672.

    Raises:
        ValueError: a port that is no number.
    """
    name, port = host, ""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    elif host.count(":") == 1:
        name, port = host.split(":")
    if "://" in host:
        raise ValueError("host is a URL; Connection takes 'host:port', and hutch.client.connect takes a URL")
    try:
        return name, int(port) if port else DEFAULT_PORT
    except ValueError:
        raise ValueError(f"{host!r} is not host:port: {port!r} is no number") from None


def _warn_of_ignored(function: str, names: Iterable[str]) -> None:
    unknown = [name for name in names if name != "insist"]
    if unknown:
        message = f"{function} ignores the unknown keyword(s) {', '.join(unknown)}, as py-amqp does"
        warnings.warn(message, DeprecationWarning, stacklevel=3)


class Connection(HookMethods, TrafficMethods):
    """A connection to a broker; :meth:`connect`, or a ``with`` statement, opens it.

    Threads may share it, and its channels, for publishing (with confirms too), acknowledging and all other calls that
    have an answer: one thread at a time reads for all. That thread also calls the callbacks of what it reads, so have
    one thread drain events; :meth:`drain_events` in a second one raises RuntimeError at once.

    Args:
        host: ``host``, ``host:port`` or ``[IPv6 address]:port``.
        userid: for the login mechanisms that want one, as ``password``.
        login_method: ``PLAIN``, ``AMQPLAIN``, ``EXTERNAL`` or ``GSSAPI``. By default whichever of the first two the
            server names first, then, without a password or where it takes none, EXTERNAL and GSSAPI.
        login_response: the response of a ``login_method`` of another name; deprecated.
        authentication: mechanisms to use instead, see :mod:`hutch.client.sasl`.
        virtual_host: the virtual host to open.
        locale: for the server's texts.
        client_properties: what to tell the server beside :attr:`library_properties`.
        ssl: ``True`` for TLS, or a mapping of :data:`hutch.client.transports.tls_settings.KEYS`, or an
            :class:`ssl.SSLContext`. The port stays 5672 unless ``host`` names it, as in py-amqp.
        connect_timeout: seconds for connecting and opening together; by default without limit.
        channel_max: how many channels to allow if the server names no limit.
        frame_max: bytes of a frame to allow if the server names no limit.
        heartbeat: seconds; 0 for none, else the smaller one of this and the server's.
        on_open: called with the connection once it is open: a function, or a promise (:mod:`hutch.client.promise`).
        on_blocked: called with the reason when the broker stops reading what is published.
        on_unblocked: called when it goes on.
        confirm_publish: have every :meth:`Channel.basic_publish` wait for its confirm.
        on_tune_ok: as ``on_open``, once the limits are agreed.
        read_timeout: seconds that any wait without a timeout of its own may last; by default without limit.
        write_timeout: seconds that sending may take; by default without limit.
        frame_handler, frame_writer: what frames go through, see :mod:`hutch.client.method_framing`.
        socket_settings: options for the socket, see :class:`hutch.client.transports.tcp.TcpTransport`.
        transport: makes the transport to connect with, in place of a TCP connection to ``host``.
        **kwargs: ignored with a DeprecationWarning, as py-amqp ignores them; ``insist``, which kombu's transport always
            passes, without one.

    Attributes:
        channels: the open channels by number, with the connection itself as 0; ``None`` once closed.
        channel_max, frame_max, heartbeat: the limits, agreed ones once it is open.
        server_properties, version_major, version_minor, mechanisms, locales: what the server said of itself.
        client_properties: what the server was told, with the capabilities negotiated.
    """

    #: The class of its channels.
    Channel: ClassVar[type[AMQPChannel]] = AMQPChannel

    #: What a lost connection, and a refused one, may raise; and so on for the others, as kombu asks for them.
    connection_errors: ClassVar[tuple[type[Exception], ...]] = (ConnectionError, OSError)
    channel_errors: ClassVar[tuple[type[Exception], ...]] = (ChannelError,)
    recoverable_connection_errors: ClassVar[tuple[type[Exception], ...]] = (
        RecoverableConnectionError,
        MessageNacked,
        OSError,
    )
    recoverable_channel_errors: ClassVar[tuple[type[Exception], ...]] = (RecoverableChannelError,)

    def __init__(
        self,
        host: str = "localhost:5672",
        userid: str | None = "guest",
        password: str | None = "guest",
        login_method: str | None = None,
        login_response: bytes | None = None,
        authentication: SASL | Sequence[SASL] = (),
        virtual_host: str = "/",
        locale: str = "en_US",
        client_properties: Mapping[str, Any] | None = None,
        ssl: "bool | Mapping[str, object] | SSLContext" = False,
        connect_timeout: float | None = None,
        channel_max: int | None = None,
        frame_max: int | None = None,
        heartbeat: float = 0,
        on_open: "Callable[[Connection], object] | Thenable | None" = None,
        on_blocked: Callable[[str], object] | None = None,
        on_unblocked: Callable[[], object] | None = None,
        confirm_publish: bool = False,
        on_tune_ok: "Callable[[Connection], object] | Thenable | None" = None,
        read_timeout: float | None = None,
        write_timeout: float | None = None,
        socket_settings: Mapping[int, int | bytes] | None = None,
        frame_handler: FrameHandler = frame_handler,
        frame_writer: FrameWriter = frame_writer,
        *,
        transport: Callable[[], AMQPTransport] | None = None,
        **kwargs: Never,  # type checkers refuse what is ignored here
    ) -> None:
        super().__init__(self, 0)
        if kwargs:
            _warn_of_ignored("Connection", kwargs)
        self.client_properties = {**self.library_properties, **(client_properties or {})}
        self.authentication = negotiation.authentication(authentication, login_method, login_response, userid, password)
        self.host = host
        self.userid = userid
        self._password = password
        self.virtual_host = virtual_host
        self.locale = locale
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.write_timeout = write_timeout
        self.ssl = ssl
        self.socket_settings = socket_settings
        self.frame_handler_cls = frame_handler
        self.frame_writer_cls = frame_writer
        if channel_max:
            self.channel_max = channel_max
        if frame_max:
            self.frame_max = frame_max
        self.client_heartbeat = heartbeat
        self.confirm_publish = confirm_publish
        self._on_open = ensure_promise(on_open) if on_open is not None else None
        self.on_blocked = on_blocked
        self.on_unblocked = on_unblocked
        self.on_tune_ok = on_tune_ok
        self.channels: dict[int, AbstractChannel] | None = {0: self}
        self._make_transport = transport
        self._channel_ids: set[int] = set()
        self._closed_for: str | None = None

    def __repr__(self) -> str:
        return f"<Connection to {self.host}, virtual host {self.virtual_host!r}, {self._state.value}>"

    def __enter__(self) -> Self:
        self.connect()
        return self

    # opening

    def connect(self, callback: Callable[[], object] | None = None) -> object:
        """Connect, log in and open the virtual host, within ``connect_timeout`` in all.

        On an open connection nothing happens but that ``callback`` is called, and its result returned.

        Raises:
            OSError: the broker cannot be reached, or ended the connection (some do where they refuse a login); an
                :class:`ssl.SSLError` where TLS failed, an :class:`ssl.SSLCertVerificationError` if by the certificate.
            TimeoutError: it was not done in time.
            TypeError: ``ssl`` cannot be understood.
            AccessRefused: the login was refused.
            NotAllowed: there is no such virtual host, or no access to it, or a limit is reached.
            ConnectionError: no common login mechanism, or another error that the broker reports.
        """
        if self.connected:
            return callback() if callback else None
        if self._make_transport is not None:
            transport = self._make_transport()
        else:
            timeouts = (self.read_timeout, self.write_timeout)
            transport = self.Transport(self.host, self.connect_timeout, self.ssl, *timeouts, self.socket_settings)
        self.connection = self
        self.channel_id = 0
        self.channels = {0: self}
        self._channel_ids.clear()
        self._closed_for = None
        self._requests.clear()
        self.is_closing = False
        self._link = link = Link(transport, self.channels, self.collect, self.read_timeout, self.write_timeout)
        link.reader.frame_max = self.frame_max
        deadline = None if self.connect_timeout is None else transport.monotonic() + self.connect_timeout
        try:
            transport.connect(deadline)
            self._hook()
            self._open(link, deadline)
            self._tell_open()
        except BaseException as error:
            self.collect()
            break_promise(self.on_open, error)
            raise
        return None

    def Transport(  # noqa: N802  (py-amqp's name)
        self,
        host: str,
        connect_timeout: float | None,  # noqa: ARG002
        ssl: "bool | Mapping[str, object] | SSLContext" = False,
        read_timeout: float | None = None,  # noqa: ARG002
        write_timeout: float | None = None,  # noqa: ARG002
        socket_settings: Mapping[int, int | bytes] | None = None,
        **kwargs: Never,
    ) -> AMQPTransport:
        """Make what carries the bytes, not yet connected; to be overridden for another kind of transport.

        The parameters are the constructor's. The timeouts need no heed: every call of a transport has its deadline.

        Raises:
            ValueError: a port that is no number.
            TypeError: ``ssl`` cannot be understood.
            OSError: a file that ``ssl`` names cannot be loaded.
        """
        if kwargs:
            _warn_of_ignored("Connection.Transport", kwargs)
        if ssl is False or ssl is None:
            return TcpTransport(*split_host(host), socket_settings)
        from hutch.client.transports.tls import TlsTransport  # noqa: PLC0415  (the ssl module, only when needed)

        return TlsTransport(*split_host(host), ssl, socket_settings)

    def receive_delivery(self, message: ReceivedMessage, consumer_tag: str) -> NoReturn:
        """Never called: there are no consumers on channel 0."""
        raise AssertionError(f"delivery to {consumer_tag!r} on channel 0: {message}")

    def receive_ack(self, delivery_tag: int, multiple: bool) -> NoReturn:
        """Never called, like :meth:`receive_delivery`."""
        raise AssertionError(f"ack of {delivery_tag} (multiple: {multiple}) on channel 0")

    # channels

    @property
    def link(self) -> Link | None:
        """The bytes of the open connection, for its channels; ``None`` once closed."""
        return self._link

    def channel(
        self, channel_id: int | None = None, callback: Callable[[AMQPChannel], object] | Thenable | None = None
    ) -> AMQPChannel:
        """The channel of that number, opened if it is not there; without a number a new one.

        ``callback``, a function or a promise, is called with a new channel once it is open.

        Raises:
            RecoverableConnectionError: the connection is closed.
            ConnectionError: the channel of that number is being closed.
            ResourceError: all channel numbers are in use.
            NotAllowed: the broker allows no more channels; the connection is lost.
        """
        if self.channels is None:
            raise RecoverableConnectionError(self.closed_text)
        known = self.channels.get(channel_id) if channel_id else None
        if known is not None and isinstance(known, AMQPChannel) and not known.is_closing:
            return known
        channel = self.Channel(self, channel_id, on_open=callback)
        try:
            channel.open()
        except BaseException:
            channel.abandon()
            raise
        return channel

    def claim_channel_id(self, channel_id: int | None) -> int:
        """Take a channel number, the lowest free one for ``None``; for the constructor of a channel.

        Raises:
            ConnectionError: the number is in use.
            ResourceError: all are.
        """
        used = self._channel_ids
        if channel_id:
            if channel_id in used:
                raise ConnectionError(f"channel {channel_id} is already open")
        else:
            channel_id = 1
            while channel_id in used:
                channel_id += 1
            if channel_id > self.channel_max:
                raise ResourceError(f"all {self.channel_max} channel numbers are in use", (20, 10))
        used.add(channel_id)
        return channel_id

    def add_channel(self, channel: AMQPChannel) -> None:
        """Hand methods to ``channel`` from now on."""
        if self.channels is not None and channel.channel_id:
            self.channels[channel.channel_id] = channel

    def remove_channel(self, channel_id: int) -> None:
        """Forget a channel and free its number."""
        self._channel_ids.discard(channel_id)
        if self.channels is not None:
            self.channels.pop(channel_id, None)

    @property
    def closed_text(self) -> str:
        """The text of the error that a call on a closed connection raises, with the broker's reason, if any."""
        return "connection already closed" + (f", for {self._closed_for}" if self._closed_for else "")

    # waiting

    def drain_events(self, timeout: float | None = None) -> None:
        """Take at least one method from the broker, and call the callbacks that are for it.

        What was received already comes first. ``timeout`` is in seconds for the whole wait, 0 looks without waiting,
        ``None`` stands for the connection's ``read_timeout``. Heartbeats are sent and checked meanwhile.

        Raises:
            TimeoutError: nothing came in time.
            OSError: the connection was lost.
            AMQPError: what the broker has to say, on this or an earlier call.
            RecoverableConnectionError: the connection is closed.
            Exception: what a callback raises.
        """
        link = self._link
        if link is None:
            link = self._opened("drain_events")
        try:
            link.drain(timeout)
        except AMQPError as error:
            tell_noticed(error, "while draining events")
            raise

    def blocking_read(self, timeout: float | None = None) -> bool:
        """:meth:`drain_events` for a single read; whether that completed a method."""
        link = self._opened("blocking_read")
        try:
            return link.read_once(timeout)
        except AMQPError as error:
            tell_noticed(error, "while draining events")
            raise

    def is_alive(self) -> bool:
        """Whether the connection is open, as far as can be told without waiting; py-amqp refuses to answer.

        Bytes that have come are taken in, but nothing is handed on. It is not open any more once the broker's
        connection.close is there, though the next call that waits is what raises its reason.
        """
        link = self._link
        if link is not None:
            try:
                link.look_alive()
            except (OSError, ConnectionForced, RecoverableConnectionError):
                return False
            return not holds_close(link.reader)
        return False

    # news

    def _on_blocked(self, blocked: ConnectionBlocked, _content: Content | None) -> None:
        if self.on_blocked is not None:
            self.on_blocked(blocked.reason)

    def _on_unblocked(self, _unblocked: ConnectionUnblocked, _content: Content | None) -> None:
        if self.on_unblocked is not None:
            self.on_unblocked()

    def update_secret(self, new_secret: str | bytes, reason: str = "") -> None:
        """Give the broker a new secret, such as an OAuth 2 token (https://www.rabbitmq.com/docs/oauth2).

        A broker whose users have passwords takes any. Not in py-amqp.

        Raises:
            NotAllowed: the broker does not accept it; the connection is lost.
        """
        secret = new_secret.encode() if isinstance(new_secret, str) else new_secret
        self._call(ConnectionUpdateSecret(secret, reason), ConnectionUpdateSecretOk)

    # closing

    def close(self, reply_code: int = 0, reply_text: str = "", method_sig: MethodSig = (0, 0)) -> None:
        """Close the connection and all its channels, with a reason if there is one; a closed one stays closed.

        What was received and not yet handed on is dropped.

        Raises:
            OSError: the connection was lost, or not closed within ``read_timeout``; it counts as closed all the same.
        """
        if self._link is None:
            return
        try:
            if self._state is ConnectionState.RUNNING:
                self.is_closing = True
                self._link.peers.drop_channels()
                if self._requests:
                    self._fail_requests(RecoverableConnectionError("the connection was closed meanwhile"))
                self._state = ConnectionState.CLOSING
                self._call(ConnectionClose(reply_code, reply_text, *method_sig), ConnectionCloseOk)
        finally:
            self.is_closing = False
            if self._link is not None:
                self.collect()

    def _on_close(self, close: ConnectionClose, _content: Content | None) -> None:
        link = self._opened("connection.close")
        link.farewell(ConnectionCloseOk())
        if self.is_closing:  # both sides close at once
            for request in self._requests:
                request.ready = True
            return
        method_sig = (close.class_id, close.method_id)
        error = error_for_code(close.reply_code, close.reply_text, method_sig, ConnectionError)
        if not error.method_name and self._last_step is not None:
            error.method_name = method_name((self._last_step.CLASS_ID, self._last_step.METHOD_ID))
        cause = METHODS.get(close.class_id << 16 | close.method_id)
        opened = self._last_step is None
        if cause is not None and opened and not any(one.awaits(cause.NAME) for one in (self.channels or {}).values()):
            tell_cause(error, f"{cause.NAME}, on a channel that the broker does not name")
        self._closed_for = str(error)
        self._fail_requests(error)
        self.collect()
        raise error

    def _on_close_ok(self, _closed: ConnectionCloseOk, _content: Content | None) -> None:
        self.collect()

    def collect(self) -> None:
        """Close the transport and forget everything, without a word to the broker."""
        link, self._link = self._link, None
        channels, self.channels = self.channels, None
        self.connection = None
        self._state = ConnectionState.CLOSED
        if link is not None:
            link.closed = True
            link.heartbeats = None  # a call that waits further out has none to send any more
            if link.watched is not None:
                link.watched.forget()
            try:
                link.transport.close()
            except OSError as error:
                _log.debug("the transport was broken already: %s", error)
        for channel in (channels or {}).values():
            if channel is not self:
                cast("AMQPChannel", channel).collect()
        if self._requests:
            self._fail_requests(RecoverableConnectionError("connection already closed"))

    _CLOSES: ClassVar = frozenset({ConnectionClose, ConnectionCloseOk})
    HANDLERS: ClassVar[Mapping[type[Method], Handler]] = {
        ConnectionClose: _on_close,
        ConnectionCloseOk: _on_close_ok,
        ConnectionBlocked: _on_blocked,
        ConnectionUnblocked: _on_unblocked,
    }
