"""The seat of kombu's transport ``pyamqp``, taken by this client: https://docs.celeryq.dev/projects/kombu.

Importing this module makes three URL schemes known to kombu: ``hutch://`` (TCP), ``hutchs://`` (TLS) and
``hutch-memory://`` (a broker in this process: ``"hutch-" + broker.memory_url``)::

    import hutch.client.kombu

    with kombu.Connection("hutch://guest:guest@localhost:5672//") as connection:
        connection.SimpleQueue("orders").put({"item": 1})

Where a setting names the transport, ``hutch.client.kombu:Transport`` does, and nothing need be imported.

A scheme ``memory`` would be kombu's own, and kombu refuses ``.`` and ``:`` in a scheme and splits it at ``+``; hence
the hyphen.
"""

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Final, TypeAlias

from kombu import exceptions as kombu_exceptions
from kombu.message import Message as KombuMessage
from kombu.transport import TRANSPORT_ALIASES, base
from kombu.utils.amq_manager import get_manager
from kombu.utils.text import version_string_as_tuple
from kombu.utils.url import parse_url

import hutch.client
from hutch.client.exceptions import MethodSig, RecoverableConnectionError
from hutch.client.negotiation import VERSION
from hutch.wire.transport import opener
from hutch.wire.url import Address

__all__ = ["SCHEMES", "Channel", "Connection", "MemoryTransport", "Message", "SSLTransport", "Transport"]

#: The URL schemes, with the transports that kombu finds by them.
SCHEMES: Final[Mapping[str, str]] = {
    "hutch": "hutch.client.kombu:Transport",
    "hutchs": "hutch.client.kombu:SSLTransport",
    "hutch-memory": "hutch.client.kombu:MemoryTransport",
}
TRANSPORT_ALIASES.update(SCHEMES)

#: Transport options that kombu itself heeds: how to connect, to retry (``Producer.publish(retry_policy=...)`` puts them
#: there too), and where the management API is.
_KOMBUS_OPTIONS: Final = frozenset(
    """
    max_retries interval_start interval_step interval_max connect_retries_timeout timeout errback callback
    on_revive retry_errors manager_hostname manager_port manager_userid manager_password
    """.split()  # noqa: SIM905  (reads better than a list)
)


class Message(KombuMessage):
    """A received message, as kombu hands it on: :class:`kombu.message.Message` around one of this client.

    Args:
        msg: what this client received.
        channel: where to acknowledge it.
        **kwargs: further arguments of :class:`kombu.message.Message`: ``accept``, ``postencode``.
    """

    def __init__(self, msg: hutch.client.Message, channel: "Channel | None" = None, **kwargs: Any) -> None:
        properties = msg.properties
        super().__init__(
            body=msg.body,
            channel=channel,
            delivery_tag=msg.delivery_tag,
            content_type=properties.get("content_type"),
            content_encoding=properties.get("content_encoding"),
            delivery_info=msg.delivery_info,
            properties=properties,
            headers=properties.get("application_headers") or {},
            **kwargs,
        )


_Message: TypeAlias = Message


class Channel(hutch.client.Channel, base.StdChannel):
    """A channel with what kombu's entities, producers and consumers ask of one."""

    #: The class of the messages that kombu's consumers get.
    Message: ClassVar[type[_Message]] = _Message

    def prepare_message(
        self,
        body: str | bytes,
        priority: int | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        headers: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        _Message: type[hutch.client.Message] = hutch.client.Message,  # noqa: N803  (pyamqp's name)
    ) -> hutch.client.Message:
        """A message to publish, of a serialized ``body`` and its properties."""
        return _Message(
            body,
            priority=priority,
            content_type=content_type,
            content_encoding=content_encoding,
            application_headers=headers,
            **properties or {},
        )

    def prepare_queue_arguments(self, arguments: Mapping[str, Any], **kwargs: Any) -> Mapping[str, Any]:
        """``arguments`` with RabbitMQ's x-arguments for what kombu spells ``expires``, ``message_ttl`` and so on.

        ``expires`` and ``message_ttl`` are in seconds; ``max_length``, ``max_length_bytes`` and ``max_priority`` are
        the others that there are.
        """
        prepared: Mapping[str, Any] = base.to_rabbitmq_queue_arguments(arguments, **kwargs)
        return prepared

    def message_to_python(self, raw_message: hutch.client.Message) -> _Message:
        """What kombu's consumers get for what this client received."""
        return self.Message(raw_message, channel=self)


class _Watch:
    """A connection that an event loop watches (:class:`kombu.asynchronous.Hub`).

    The loop also learns of a loss that another call noticed, since there is no socket then.
    """

    def __init__(self, connection: "Connection", loop: Any) -> None:
        sock = connection.sock
        if sock is None:
            raise NotImplementedError(f"{connection} has no file descriptor that an event loop can watch: drain events")
        self._connection = connection
        self._loop = loop
        self._fd: int | None = sock.fileno()
        self._process = os.getpid()

    def start(self, on_readable: Any) -> None:
        self._loop.add_reader(self._fd, on_readable, self._connection, self._loop)
        self._loop.on_tick.add(self.tick)

    def forget_socket(self) -> None:
        """Have the loop look at the socket no more; before it is closed, for then its number may be another's."""
        fd, self._fd = self._fd, None
        # In a forked process, the system's part of the loop is the parent's too. A closed loop knows no readers.
        if fd in self._loop.readers and self._process == os.getpid():
            self._loop.remove_reader(fd)

    def stop(self) -> None:
        self.forget_socket()
        self._loop.on_tick.discard(self.tick)

    def tick(self) -> None:
        """Look whether the connection is still open. The loop calls this each time before it sleeps.

        Raises:
            RecoverableConnectionError: the connection was lost, wherever that was noticed.
        """
        if not self._connection.connected:
            self._connection.unwatch()
            raise RecoverableConnectionError("the connection that the event loop watched was lost")


class Connection(hutch.client.Connection):
    """A connection that knows its :class:`kombu.Connection`, as ``client``."""

    Channel: ClassVar[type[hutch.client.Channel]] = Channel

    client: Any = None
    _watch: _Watch | None = None

    @property
    def holds_unread(self) -> bool:
        """Whether something was read from the socket that has not been handed on; it may be half a frame."""
        link = self._link
        return link is not None and link.holds_unread

    def hand_on(self) -> None:
        """Hand on what has come, and all that was read with it.

        Raises as :meth:`drain_events`; an event loop that a loss comes out of is not told of it again.
        """
        try:
            self.drain_events(timeout=0)
            while self.holds_unread:
                self.drain_events(timeout=0)
        except TimeoutError:
            pass  # it was half a frame
        except Exception:
            if not self.connected:
                self.unwatch()
            raise

    def watch(self, loop: Any, on_readable: Any) -> None:
        """Have an event loop call ``on_readable`` when there is something to read.

        Raises:
            NotImplementedError: the connection is closed, or passes through no file descriptor.
        """
        self.unwatch()
        self._watch = _Watch(self, loop)
        self._watch.start(on_readable)

    def unwatch(self) -> None:
        """Undo :meth:`watch`."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()

    def close(self, reply_code: int = 0, reply_text: str = "", method_sig: MethodSig = (0, 0)) -> None:
        """Close it, as its base class does; no event loop watches it any more."""
        self.unwatch()
        super().close(reply_code, reply_text, method_sig)

    def collect(self) -> None:
        """Forget it, as its base class does, also where it was lost: then an event loop that watches it is told."""
        if self._watch is not None:
            self._watch.forget_socket()
        super().collect()


_Connection: TypeAlias = Connection


class Transport(base.Transport):
    """AMQP over TCP for :class:`kombu.Connection`, in place of ``kombu.transport.pyamqp.Transport``.

    ``transport_options`` are parameters of :class:`hutch.client.Connection`, such as ``confirm_publish`` or
    ``read_timeout``; those that kombu heeds itself may stand beside them.

    Args:
        client: the :class:`kombu.Connection` that this transport is of.
        default_port: where its URL names no port.
        default_ssl_port: where its URL names no port, with TLS.
        **kwargs: without meaning, as in kombu's.
    """

    Connection: ClassVar[type[_Connection]] = _Connection

    default_port: int | None = 5672
    default_ssl_port: int | None = 5671

    # kombu itself raises some of py-amqp's.
    connection_errors = (*hutch.client.Connection.connection_errors, kombu_exceptions.ConnectionError)
    channel_errors = (*hutch.client.Connection.channel_errors, kombu_exceptions.ChannelError)
    recoverable_connection_errors = (
        *hutch.client.Connection.recoverable_connection_errors,
        base.RecoverableConnectionError,
    )
    recoverable_channel_errors = hutch.client.Connection.recoverable_channel_errors

    driver_name = "hutch"
    driver_type = "amqp"

    implements = base.Transport.implements.extend(asynchronous=True, heartbeats=True)

    def __init__(
        self,
        client: Any,
        default_port: int | None = None,
        default_ssl_port: int | None = None,
        **kwargs: Any,  # noqa: ARG002  (kombu's transports take and drop them)
    ) -> None:
        self.client = client
        self.default_port = default_port or self.default_port
        self.default_ssl_port = default_ssl_port or self.default_ssl_port

    def driver_version(self) -> str:
        """The version of hutch."""
        return VERSION

    @property
    def default_connection_params(self) -> dict[str, Any]:
        """What holds where the URL, or the parameters of :class:`kombu.Connection`, say nothing."""
        return {
            "userid": "guest",
            "password": "guest",
            "port": self.default_ssl_port if self.client.ssl else self.default_port,
            "hostname": "localhost",
            "login_method": "PLAIN",
        }

    # connections

    def establish_connection(self) -> _Connection:
        """Connect, with the parameters of the :class:`kombu.Connection`; a ``password`` that can be called is called.

        Raises:
            TypeError: a transport option that is unknown.
            OSError, AMQPError: as :meth:`hutch.client.Connection.connect`.
        """
        client = self.client
        self._split_bare_address(client)
        for name, default in self.default_connection_params.items():
            if not getattr(client, name, None):
                setattr(client, name, default)
        password = client.password
        options = {
            name: value for name, value in (client.transport_options or {}).items() if name not in _KOMBUS_OPTIONS
        }
        parameters = {
            "userid": client.userid,
            "password": password() if callable(password) else password,
            "login_method": client.login_method,
            "virtual_host": client.virtual_host,
            "connect_timeout": client.connect_timeout,
            "heartbeat": client.heartbeat or 0,
        }
        parameters |= self._destination(parameters)
        connection = self.Connection(**{**parameters, **options})
        connection.client = client
        connection.connect()
        return connection

    @staticmethod
    def _split_bare_address(client: Any) -> None:
        """Read ``user:password@host:port/vhost``, which kombu, where there is no scheme, takes for a host's name."""
        hostname = client.hostname or ""
        if any(mark in hostname for mark in "@/[") or hostname.count(":") == 1:
            parts = parse_url(f"bare://{hostname}")
            for name in ("hostname", "port", "userid", "password", "virtual_host"):
                if parts[name] or name == "hostname":
                    setattr(client, name, parts[name])

    def _destination(self, _parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that tell what to connect to; the others are given."""
        client = self.client
        host = f"[{client.hostname}]" if ":" in client.hostname else client.hostname
        return {"host": f"{host}:{client.port}", "ssl": client.ssl}

    def close_connection(self, connection: _Connection) -> None:
        """Close a connection of this transport."""
        connection.client = None
        connection.close()

    def _collect(self, connection: _Connection | None) -> None:
        """Forget a connection without a word to the broker; kombu calls it after a fork, and before connecting anew."""
        if connection is not None:
            connection.unwatch()
            connection.collect()

    def verify_connection(self, connection: _Connection) -> bool:
        """Whether it is open, as far as has been noticed."""
        return connection.connected

    def create_channel(self, connection: _Connection) -> hutch.client.Channel:
        """Open a new channel."""
        return connection.channel()

    def drain_events(self, connection: _Connection, **kwargs: Any) -> None:
        """Hand on at least one method that the broker sends; see :meth:`hutch.client.Connection.drain_events`."""
        connection.drain_events(**kwargs)

    # heartbeats

    def get_heartbeat_interval(self, connection: _Connection) -> float:
        """The interval agreed on, in seconds; 0 for none."""
        return connection.heartbeat or 0

    def heartbeat_check(self, connection: _Connection, rate: float = 2) -> None:
        """Send a heartbeat if one is due, ``rate`` of them per interval.

        Raises:
            ConnectionForced: the broker's heartbeats have stopped.
        """
        connection.heartbeat_tick(rate=rate)

    # event loops

    def register_with_event_loop(self, connection: _Connection, loop: Any) -> None:
        """Have a :class:`kombu.asynchronous.Hub` hand on what comes.

        Out of the loop come the errors of :meth:`drain_events`, and RecoverableConnectionError where the connection
        was lost elsewhere.

        Raises:
            NotImplementedError: there is no file descriptor to watch, as on the way to a broker in this process.
        """
        connection.watch(loop, self.on_readable)

    def unregister_from_event_loop(self, connection: _Connection, loop: Any) -> None:  # noqa: ARG002  (kombu's)
        """Undo :meth:`register_with_event_loop`."""
        connection.unwatch()

    def on_readable(self, connection: _Connection, loop: Any) -> None:  # noqa: ARG002  (kombu's)
        """Hand on what has come. The event loop calls it; see :meth:`register_with_event_loop`."""
        connection.hand_on()

    # the broker

    def qos_semantics_matches_spec(self, connection: _Connection) -> bool:
        """Whether a global prefetch limit is one of the whole connection, as AMQP has it.

        For RabbitMQ from 3.3 it is one of the channel (https://www.rabbitmq.com/docs/consumer-prefetch). From 4.0 on,
        kombu wants it treated like the specification's, since quorum queues know no global limit.
        """
        properties = connection.server_properties
        version = properties.get("version")
        if properties.get("product") != "RabbitMQ" or not version:
            return True
        return not (3, 3) <= tuple(version_string_as_tuple(version)) < (4, 0)

    def get_manager(self, *args: Any, **kwargs: Any) -> Any:
        """A client of the management API, which takes the library ``pyrabbit``; see the options ``manager_hostname``,
        ``manager_port``, ``manager_userid`` and ``manager_password``.
        """
        return get_manager(self.client, *args, **kwargs)


class SSLTransport(Transport):
    """:class:`Transport` with TLS, also where ``ssl`` is not given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.client.ssl:
            self.client.ssl = True


class MemoryTransport(Transport):
    """:class:`Transport` to a broker in this process; the host of the URL is its name.

    No socket tells an event loop that there is something to read. So the transport tells kombu that it is for blocking
    use, and Celery's worker then chooses its blocking loop.
    """

    default_port: int | None = None
    default_ssl_port: int | None = None

    implements = Transport.implements.extend(asynchronous=False)

    def _destination(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        client = self.client
        if client.ssl:
            raise ValueError("ssl: there is no TLS to a broker in this process")
        address = Address(
            "memory", client.hostname, None, parameters["userid"], parameters["password"], client.virtual_host
        )
        return {"host": client.hostname, "transport": lambda: opener("memory")(address)}
