"""The broker as its users hold it: one engine, its clock, and the ways in."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from hutch.fakebroker.administration import Administration
from hutch.fakebroker.clocks import ManualClock, SystemClock, TickingClock
from hutch.fakebroker.cluster_node import ClusterNode
from hutch.fakebroker.configuration import check_definitions, check_users, checked_clock, checked_vhosts, configured
from hutch.fakebroker.definitions.importing import given_definitions, import_all
from hutch.fakebroker.engine.clock import Clock, SteppedClock
from hutch.fakebroker.engine.node import Node
from hutch.fakebroker.engine.origin import OPERATOR
from hutch.fakebroker.engine.state.dumping import dump
from hutch.fakebroker.engine.state.loading import check, restore
from hutch.fakebroker.engine.unknown_names import missing
from hutch.fakebroker.engine.vhosts import put_vhost
from hutch.fakebroker.history import History
from hutch.fakebroker.hub import Hub
from hutch.fakebroker.inprocess import Pipe
from hutch.fakebroker.memory import forget_name, publish_name
from hutch.fakebroker.plugins.enabling import add_listeners, exchange_types
from hutch.fakebroker.queue_view import QueueView
from hutch.fakebroker.snapshot import Snapshot

if TYPE_CHECKING:
    import ssl
    from os import PathLike

    from hutch.fakebroker.faults import Faults


#: RabbitMQ's words for the virtual host that it begins with.
_DEFAULT_VHOST: Final = "Default virtual host"


class Broker:
    """An AMQP 0-9-1 broker that behaves as the RabbitMQ version that ``profile`` names.

    Clients reach it in-process through :meth:`transport`, over TCP through :attr:`url` or :meth:`listen`, and with TLS
    through :meth:`listen_tls`. It may be used from several threads. Close it when done, or use it as a context manager.

    Args:
        profile: ``"4.3"`` or ``"3.10"``.
        clock: a :class:`ManualClock` to decide when time passes; default a :class:`SystemClock`, which freezegun moves.
        users: passwords by user name. These users may do everything in every virtual host, until :attr:`admin` says
            otherwise.
        vhosts: the virtual hosts there are at first.
        seed: random seed for generated names, random exchanges, and the queue that is served first when a limit
            shared by a channel's consumers frees. Default 0.
        history_events: how many events :attr:`history` keeps: the newest ones. ``None`` keeps all. Default 10,000.
        history_bytes: how many bytes of message bodies the history keeps. If there are more, it drops the oldest
            bodies and keeps their events. ``None`` keeps all. Default 16 MiB.
        peer_clock: what the heartbeats of TCP clients go by, and the limits on their handshakes and on how long they do
            not read; default ``clock``. Beside a manual clock, a :class:`SystemClock` keeps clients that live in real
            time from being given up for silent when the other leaps.
        permit_deprecated_features: what ``deprecated_features.permit.NAME`` is in RabbitMQ's configuration, where it is
            not the default: ``{"transient_nonexcl_queues": False}`` has 4.3 refuse queues that are neither durable nor
            exclusive.
        plugins: RabbitMQ's names of the plugins to enable, see docs/plugins.md.
        consumer_timeout: RabbitMQ's setting of that name, ms, ``None`` for undefined: 3.10 closes a channel that does
            not acknowledge a delivery in this time, 4.3's quorum queues take it back.
        single_confirms: confirm each publish by itself. By default one ack may confirm several, as RabbitMQ's does.
        definitions: RabbitMQ's definitions to begin with, beside users and virtual hosts above: what its JSON holds, or
            the path of such a file.
        limits: RabbitMQ's settings ``channel_max``, ``frame_max`` (bytes), ``heartbeat`` (seconds) and
            ``max_message_size`` (bytes), where they are not the defaults.

    Raises:
        ValueError: there is no such profile, plugin, timeout or limit, or the profile has no such deprecated feature.
        InvalidDefinitions: RabbitMQ refuses the definitions, or the file is none of these.
        OSError: the file cannot be read.
        TypeError: ``users`` is no mapping of texts, or ``vhosts`` or ``plugins`` no collection of texts. One text would
            be taken for its letters.
    """

    def __init__(
        self,
        profile: str = "4.3",
        clock: Clock | None = None,
        *,
        users: Mapping[str, str] | None = None,
        vhosts: Iterable[str] = ("/",),
        seed: int = 0,
        history_events: int | None = 10_000,
        history_bytes: int | None = 16 * 1024 * 1024,
        peer_clock: Clock | None = None,
        permit_deprecated_features: Mapping[str, bool] | None = None,
        plugins: Iterable[str] = (),
        consumer_timeout: int | None = 1800000,
        single_confirms: bool = False,
        definitions: "Mapping[str, object] | str | PathLike[str] | None" = None,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        vhosts = checked_vhosts(vhosts)
        if users is not None:
            check_users(users)
        self.clock: Clock = SystemClock() if clock is None else clock
        clock = self.clock if isinstance(self.clock, ManualClock) else SteppedClock(checked_clock(self.clock))
        #: :attr:`history` as it is, while clients may still have sent more.
        self.undrained_history: Final = History(clock, history_events, history_bytes)
        #: The RabbitMQ version that the broker is.
        self.profile: Final = configured(
            profile, permit_deprecated_features, plugins, consumer_timeout, single_confirms, limits
        )
        enabled = self.profile.enabled_plugins
        users = {"guest": "guest"} if users is None else users
        node = Node(
            self.profile.engine,
            clock,
            users=users,
            seed=seed,
            exchange_types=exchange_types(self.profile.plugins, enabled),
            listener=self.undrained_history.recorder,
        )
        for name in vhosts:
            if name not in node.vhosts:
                put_vhost(node, OPERATOR, name, description=_DEFAULT_VHOST if name == "/" else "")
        if definitions is not None:
            check_definitions(definitions)
            definitions = deepcopy(given_definitions(definitions))
            import_all(node, self.profile, OPERATOR, definitions)
        if enabled:
            add_listeners(node, self.profile.plugins, enabled)
        #: The arguments that make a broker of the same state, and the time when this one was made.
        self._made_with: Final[Mapping[str, Any]] = {
            "profile": profile,
            "users": {**users},
            "vhosts": vhosts,
            "seed": seed,
            "permit_deprecated_features": permit_deprecated_features,
            "plugins": self.profile.enabled_plugins,
            "consumer_timeout": consumer_timeout,
            "single_confirms": single_confirms,
            "definitions": definitions,
        }
        self._made_at: Final = clock.time()
        #: The inside of the broker, for transports and tools: its node in turns, waiting, connected clients.
        self.hub: Final = Hub(node, self.profile.amqp091, self.clock, peer_clock)
        self.hub.logins.update(users)
        if clock is not self.clock and isinstance(self.clock, TickingClock):
            self.clock.subscribe(self.hub)
        self._memory_url: str | None = None

    @property
    def history(self) -> History:
        """What happened so far, oldest first; see :meth:`drain_clients`."""
        self.drain_clients()
        return self.undrained_history

    # ways in

    def transport(self) -> Pipe:
        """A transport for one client in this process, not connected yet: ``Connection(transport=broker.transport)``."""
        return Pipe(self.hub)

    def listen(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Accept TCP clients too, on a thread of the broker's own; the URL to reach it by.

        ``port`` 0 takes a free one. A broker listens on one port; asking again gives the same URL.

        Raises:
            OSError: the port is taken, or the host is not this machine's, or no descriptors are left.
            ValueError, OverflowError: there is no such host name, or port.
            RuntimeError: the broker is closed, or sockets or threads are not to be had.
            TimeoutError: looking up the host takes more than ten seconds.
        """
        return self.hub.listeners.listen(host, port)

    def listen_tls(
        self,
        context: "ssl.SSLContext | None" = None,
        *,
        certfile: "str | PathLike[str] | None" = None,
        keyfile: "str | PathLike[str] | None" = None,
        cafile: "str | PathLike[str] | None" = None,
        ssl_cert_login_from: str = "distinguished_name",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> str:
        """Accept TLS clients too, beside what :meth:`listen` accepts. Returns the ``amqps://`` URL to reach it by.

        Pass either ``context``, for a server, or ``certfile``, with optional ``keyfile`` and ``cafile``, not both. The
        files are PEM. The key is by default in ``certfile``. With ``cafile`` the broker verifies the certificates that
        clients may present. It then offers the mechanism EXTERNAL, as with RabbitMQ's plugin
        rabbitmq_auth_mechanism_ssl. EXTERNAL logs in the user that the certificate's subject names. That is all of it
        for ``distinguished_name`` (``CN=ann,O=Acme``), RabbitMQ's default, or its ``common_name``. ``port`` 0 takes a
        free one.

        Raises:
            OSError: as :meth:`listen`, or a file cannot be loaded.
            ValueError, OverflowError: there is no such host name, or port, or way to log in; or the context is not a
                server's.
            TypeError: neither a context nor a certificate, or both.
            RuntimeError: the broker listens with TLS already; or as :meth:`listen`.
            TimeoutError: as :meth:`listen`.
        """
        from hutch.fakebroker.server.tls import tls_of  # noqa: PLC0415

        tls = tls_of(context, certfile, keyfile, cafile, ssl_cert_login_from)
        return self.hub.listeners.listen_tls(tls, host, port)

    def add_node(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        context: "ssl.SSLContext | None" = None,
        certfile: "str | PathLike[str] | None" = None,
        keyfile: "str | PathLike[str] | None" = None,
        cafile: "str | PathLike[str] | None" = None,
        ssl_cert_login_from: str = "distinguished_name",
    ) -> ClusterNode:
        """Accept clients on one more address, as another node of a cluster would. The node can be stopped and started
        by itself. ``port`` 0 takes a free one.

        With ``context`` or ``certfile`` the node's clients speak TLS; these arguments are those of :meth:`listen_tls`.

        All nodes are this one broker: nothing is replicated, and a queue is there as long as any node runs.

        Raises:
            OSError, ValueError, OverflowError, TypeError, RuntimeError, TimeoutError: as :meth:`listen` and
                :meth:`listen_tls`.
        """
        tls = None
        if (context, certfile, keyfile, cafile) != (None, None, None, None):
            from hutch.fakebroker.server.tls import tls_of  # noqa: PLC0415

            tls = tls_of(context, certfile, keyfile, cafile, ssl_cert_login_from)
        return self.hub.listeners.add_node(host, port, tls)

    def listen_management(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Answer RabbitMQ's management API, too, on a thread of the broker's own; the ``http://`` URL of the server, to
        which ``/api/`` is added. It has no credentials.

        ``port`` 0 takes a free one. Asking again gives the same URL. It needs the extra ``hutch[management]``.

        Raises:
            ImportError: the extra is not installed.
            OSError, ValueError, OverflowError, RuntimeError, TimeoutError: as :meth:`listen`.
        """
        return self.hub.listeners.listen_management(self, host, port)

    @property
    def management_url(self) -> str:
        """The ``http://`` URL of the management API, answered from now on: :meth:`listen_management`."""
        return self.listen_management()

    @property
    def url(self) -> str:
        """An ``amqp://`` URL for any client, with the first user's credentials; the broker listens from now on."""
        return self.listen()

    @property
    def memory_url(self) -> str:
        """A ``memory://`` URL for :func:`hutch.client.connect` in this process, with the first user's credentials.

        Raises:
            RuntimeError: the broker is closed.
        """
        with self.hub.turn:
            if self.hub.closed:
                raise RuntimeError("the broker is closed; nobody can connect any more")
            if self._memory_url is None:
                self._memory_url = publish_name(self.hub, *self.hub.first_login)
            return self._memory_url

    # what is in it

    @property
    def admin(self) -> Administration:
        """What an operator does: users, permissions, virtual hosts, policies, alarms, stopping and starting."""
        return Administration(self.hub, self.profile)

    @property
    def faults(self) -> "Faults":
        """What is to go wrong: ``broker.faults.next("basic.publish").nack()``; see docs/faults.md."""
        if self.hub.faults is None:
            from hutch.fakebroker.faults import Faults  # noqa: PLC0415  (seldom needed)

            self.hub.faults = Faults(self.hub)
        return self.hub.faults

    def queue(self, name: str, vhost: str | None = None) -> QueueView:
        """A queue to look into, in a virtual host, by default the broker's first.

        Raises:
            LookupError: there is none of that name; the message names those there are.
        """

        def find() -> QueueView:
            node = self.hub.node
            where = node.first_vhost if vhost is None else vhost
            queues = node.vhosts[where].queues if where in node.vhosts else {}
            queue = queues.get(name)
            if queue is None:
                raise LookupError(missing(f"queue {name!r} in vhost {where!r}", name, queues))
            return QueueView(queue, self.hub)

        self.drain_clients()
        return self.hub.look(find)

    # its state

    def snapshot(self) -> Snapshot:
        """The state of the broker: all that it has, but for its connections. Bodies of messages are shared with it.

        Raises:
            RuntimeError: the broker is stopped or closed.
        """
        self.drain_clients()
        with self.hub.turn as node:
            self.hub.check_running()
            return Snapshot(self.profile.name, dump(node), {**self.hub.logins})

    def restore(self, snapshot: Snapshot) -> None:
        """Return to the state of a snapshot: that moment is now. Messages have the time that they had left, and a
        :class:`ManualClock` says the time of the snapshot again, to all brokers on it.

        Connections that were open at the snapshot stay open, with their channels. The broker closes younger ones with
        320. Consumers that were there, and are there still, stay; the broker cancels others. Messages that a client had
        not acknowledged come back to their queues. The client may still acknowledge them; that changes nothing.
        The history goes on.

        All that clients have sent is done first. Faults and alarms end before that, so no client waits for one any
        longer.

        Raises:
            RuntimeError: the broker is stopped or closed.
            ValueError: the snapshot is one of another RabbitMQ version, or with other plugins.
            TimeoutError: as :meth:`ManualClock.advance`.
        """
        hub = self.hub
        with hub.turn as node:
            hub.check_running()
            if snapshot.profile != self.profile.name:
                raise ValueError(f"this is a snapshot of RabbitMQ {snapshot.profile}, not {self.profile.name}")
            check(snapshot.state, node)
        if hub.faults is not None:
            hub.faults.clear()
        for resource in sorted(hub.node.alarms.raised):
            self.admin.clear_alarm(resource)
        self.drain_clients()
        if hub.manual_clock is not None:
            hub.manual_clock.set_time(snapshot.state.moment)
        with hub.turn as node:
            before = len(node.connections)
            restore(node, snapshot.state)
            hub.logins.clear()
            hub.logins.update(snapshot.logins)
            hub.firehose.follow(node)
            has_closed_some = len(node.connections) < before
        if has_closed_some:
            hub.listeners.flush()

    def reset(self) -> None:
        """Have the broker as it was made: with its first users, virtual hosts and definitions, and nothing else. No
        fault is left, and the history is empty. A broker that is stopped starts, and so do its nodes. Its URLs stay.

        The rest is as in :meth:`restore`: connections are closed with 320, and a :class:`ManualClock` says the time of
        the making again.

        Raises:
            RuntimeError: the broker is closed.
            TimeoutError: as :meth:`restore`.
        """
        if self.hub.faults is not None:
            self.hub.faults.clear()
        self.admin.start()
        self.hub.listeners.start_nodes()
        with Broker(clock=ManualClock(self._made_at), **self._made_with) as made:
            self.restore(made.snapshot())
        self.undrained_history.clear()

    # running it

    def run_due(self) -> None:
        """Do what has fallen due on the clock. Needed only after time was moved by something else than the clock
        itself.
        """
        self.hub.run_due()

    def drain_clients(self) -> None:
        """Return once all is done that TCP clients of this machine have sent by now.

        What can be asked here about queues and history begins with that, and so does :meth:`ManualClock.advance`. A
        thread that publishes and then asks has no race with the broker to win. What in-process clients send is done
        before they go on.
        """
        self.hub.drain_clients()

    def close(self, grace: float = 1.0) -> None:
        """Close every connection with 320 as a RabbitMQ that is stopped does (RESTART-01), and listen no more.

        TCP clients have ``grace`` seconds to take that in; then they are cut off. In a child that was forked from the
        broker's process it does nothing.

        Raises:
            RuntimeError: this thread has a turn of the broker.
            TimeoutError: the listener does not end.
        """
        hub = self.hub
        if hub.home.in_child:
            return
        hub.turn.check_none()
        with hub.turn:
            if hub.closed:
                return
            hub.closed = True
            forget_name(hub)
            for session in hub.pipes.values():
                session.shut_down()
        hub.listeners.close(grace)
        if hub.manual_clock is not None:
            hub.manual_clock.unsubscribe(hub)
        elif isinstance(self.clock, TickingClock):
            self.clock.unsubscribe(hub)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a broker stays in its process; hand its url to the other one")

    def __repr__(self) -> str:
        return f"<hutch Broker as RabbitMQ {self.profile.name}>"
