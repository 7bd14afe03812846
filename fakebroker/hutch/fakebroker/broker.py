"""The broker as its users hold it: one engine, its clock, and the ways in."""

import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, Self

from hutch.fakebroker import forked
from hutch.fakebroker.administration import Administration
from hutch.fakebroker.clocks import ManualClock, SystemClock
from hutch.fakebroker.company import Company
from hutch.fakebroker.configuration import check_names, check_users, configured
from hutch.fakebroker.engine.access.users import User
from hutch.fakebroker.engine.clock import Clock, SteppedClock, Timers
from hutch.fakebroker.engine.history import History
from hutch.fakebroker.engine.node import Node
from hutch.fakebroker.engine.peer import Peer
from hutch.fakebroker.engine.profiles import Profile
from hutch.fakebroker.inprocess import PIPE_SIZE, Pipe
from hutch.fakebroker.line import Line
from hutch.fakebroker.listeners import Listeners
from hutch.fakebroker.memory import forget_name, publish_name
from hutch.fakebroker.notifier import Notifier
from hutch.fakebroker.queue_view import QueueView
from hutch.fakebroker.realtime import monotonic
from hutch.fakebroker.session import Session

if TYPE_CHECKING:
    import ssl
    from os import PathLike


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

    Raises:
        ValueError: there is no such profile, plugin, timeout or limit, or the profile has no such deprecated feature.
        TypeError: ``users`` is no mapping, or ``vhosts`` or ``plugins`` one text, which would be taken for its letters.
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
    ) -> None:
        check_names("vhosts", vhosts)
        check_users(users)
        self.clock: Clock = SystemClock() if clock is None else clock
        self.lock = threading.RLock()
        self.node: Final = Node(
            configured(profile, permit_deprecated_features, plugins, consumer_timeout, single_confirms),
            self.clock if isinstance(self.clock, ManualClock) else SteppedClock(self.clock),
            users={"guest": "guest"} if users is None else users,
            vhosts=vhosts,
            seed=seed,
            history_events=history_events,
            history_bytes=history_bytes,
        )
        #: The timers of what TCP clients have to do in time.
        self.peer_timers: Final = self.node.timers if peer_clock is None else Timers(peer_clock)
        #: To be told, with the lock held, when something may have changed.
        self.notifier: Final = Notifier(self.lock, None if isinstance(self.clock, ManualClock) else self._expect_timers)
        #: Clients take the lock in turn.
        self.line: Final = Line(self)
        self._pipes: Final[dict[Pipe, Session]] = {}
        self.listeners: Final = Listeners(self)
        #: Who uses the broker.
        self.company: Final = Company(self, self._pipes)
        #: Whether it was closed.
        self.closed = False
        #: In a child forked from the broker's process, what is wrong with using this copy there; else empty.
        self.in_child = ""
        forked.remember(self)
        #: Whether it was stopped and not started again; see :meth:`stop`.
        self.stopped = False
        self._memory_url: str | None = None
        if isinstance(self.clock, ManualClock):
            self.clock.subscribe(self)

    @property
    def profile(self) -> Profile:
        """The RabbitMQ version that the broker is."""
        return self.node.profile

    @property
    def history(self) -> History:
        """What happened so far, oldest first; see :meth:`drain_clients`."""
        self.drain_clients()
        return self.node.history

    # ways in

    def transport(self) -> Pipe:
        """A transport for one client in this process, not connected yet: ``Connection(transport=broker.transport)``."""
        return Pipe(self)

    def listen(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Accept TCP clients too, on a thread of the broker's own; the URL to reach it by.

        ``port`` 0 takes a free one. A broker listens on one port; asking again gives the same URL.

        Raises:
            OSError: the port is taken, or the host is not this machine's, or no descriptors are left.
            ValueError, OverflowError: there is no such host name, or port.
            RuntimeError: the broker is closed, or sockets or threads are not to be had.
            TimeoutError: looking up the host takes more than ten seconds.
        """
        return self.listeners.listen(host, port)

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
        """Accept TLS clients too, beside what :meth:`listen` accepts; the ``amqps://`` URL to reach it by.

        Either with a server's ``context``, or with the files, PEM, of the certificate, its key (by default in the same
        file) and, to verify the certificates that clients may present, of the authorities for these. Where they are
        verified, the mechanism EXTERNAL is offered, as with RabbitMQ's plugin rabbitmq_auth_mechanism_ssl. It logs in
        the user whose name is the certificate's subject: all of it for ``distinguished_name`` (``CN=ann,O=Acme``),
        RabbitMQ's default, or its ``common_name``. ``port`` 0 takes a free one.

        Raises:
            OSError: as :meth:`listen`, or a file cannot be loaded.
            ValueError, OverflowError: there is no such host name, or port, or way to log in; or the context is not a
                server's.
            TypeError: neither a context nor a certificate, or both.
            RuntimeError: the broker listens with TLS already; or as :meth:`listen`.
            TimeoutError: as :meth:`listen`.
        """
        from hutch.fakebroker.server.tls import Tls, server_context  # noqa: PLC0415

        if context is None and certfile is not None:
            context = server_context(certfile, keyfile, cafile)
        elif context is None or (certfile, keyfile, cafile) != (None, None, None):
            raise TypeError("listen_tls takes either a context or a certfile, with which keyfile and cafile may stand")
        return self.listeners.listen_tls(Tls(context, ssl_cert_login_from), host, port)

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
        with self.lock:
            if self.closed:
                raise RuntimeError("the broker is closed, and cannot be reached")
            if self._memory_url is None:
                self._memory_url = publish_name(self, *self.node.first_login)
            return self._memory_url

    # what is in it

    def add_vhost(self, name: str) -> None:
        """Create a virtual host; one that is there stays as it is."""
        with self.lock:
            self.node.add_vhost(name)

    def add_user(self, name: str, password: str) -> None:
        """Create a user who may do everything in every virtual host, or change a user's password. For one who may not,
        see :meth:`Administration.add_user`.
        """
        with self.lock:
            if name in self.node.users:
                self.node.users[name].password = password
                self.node.operator_events.user("password.changed", name)
            else:
                self.node.add_user(User(name, password, everywhere=True))

    @property
    def admin(self) -> Administration:
        """What an operator does: users, permissions, virtual hosts."""
        return Administration(self)

    def queue(self, name: str, vhost: str = "/") -> QueueView:
        """A queue to look into.

        Raises:
            LookupError: there is none of that name; the message names those there are.
        """
        self.drain_clients()
        with self.lock:
            queues = self.node.vhosts[vhost].queues if vhost in self.node.vhosts else {}
            queue = queues.get(name)
            if queue is None:
                known = ", ".join(map(repr, queues)) or "none"
                raise LookupError(f"no queue {name!r} in vhost {vhost!r}; there are: {known}")
            return QueueView(queue, self)

    # alarms

    def raise_alarm(self, resource: str) -> None:
        """Be low on a resource, ``"memory"`` or ``"disk"``, until :meth:`clear_alarm`
        (https://www.rabbitmq.com/docs/connection-blocked).

        A connection that publishes from now on is told by connection.blocked if it wants to know, and nothing more is
        read of what it sends, be it a publish, an acknowledgement or a close; it still gets deliveries. Connections
        that do not publish go on as ever. To an in-process client as to any, a call that awaits the broker's answer
        ends with its own timeout.

        Raises:
            ValueError: there is no such resource.
        """
        self.drain_clients()
        with self.lock:
            self.node.raise_alarm(resource)
            self.notifier.notify()

    def clear_alarm(self, resource: str) -> None:
        """End an alarm, raised or not. With the last one, connections that were blocked are told by
        connection.unblocked, and what they have sent meanwhile is done, the publish that had them blocked first.

        Raises:
            ValueError: there is no such resource.
        """
        with self.lock:
            self.node.clear_alarm(resource)
            self.node.run_due()
            self.notifier.notify()
        self.line.finish(list(self._pipes.values()))

    # the firehose

    def trace_on(self, vhost: str = "/") -> None:
        """Publish what clients publish and get in a virtual host to its exchange amq.rabbitmq.trace as well, until
        :meth:`trace_off`, as ``rabbitmqctl trace_on`` does (https://www.rabbitmq.com/docs/firehose): with the keys
        ``publish.EXCHANGE`` and ``deliver.QUEUE``.

        Raises:
            LookupError: there is no such virtual host.
        """
        self._set_tracing(vhost, True)

    def trace_off(self, vhost: str = "/") -> None:
        """Undo :meth:`trace_on`.

        Raises:
            LookupError: there is no such virtual host.
        """
        self._set_tracing(vhost, False)

    def _set_tracing(self, vhost: str, traced: bool) -> None:
        self.drain_clients()
        with self.lock:
            if vhost not in self.node.vhosts:
                raise LookupError(f"no vhost {vhost!r}; there are: {', '.join(map(repr, self.node.vhosts)) or 'none'}")
            self.node.run_due()
            self.node.vhosts[vhost].traced = traced

    # stopping and starting

    def stop(self) -> None:
        """Stop as ``rabbitmqctl stop_app`` does, until :meth:`start`: connections end with 320 (RESTART-01), and
        nobody gets a new one: connecting is refused, in-process and over TCP. The ports stay the broker's own. Again it
        does nothing.

        What RabbitMQ has on disk stays: durable exchanges and queues, bindings between them, persistent messages. Of
        the rest, 4.3 keeps exchanges (RESTART-12). Users, virtual hosts and alarms stay too.

        Raises:
            RuntimeError: the broker is closed.
        """
        self.drain_clients()
        with self.listeners.change():
            if self.closed:
                raise RuntimeError("the broker is closed")
            if self.stopped:
                return
            self.listeners.refuse()  # first: a client that is told to go may connect again at once
            with self.lock:
                self.stopped = True
                self.node.end_consumers()
                for session in list(self._pipes.values()):
                    session.cut()
                self.listeners.cut_clients()
                self.node.stop()
                self.notifier.notify()
            self.listeners.flush()

    def start(self) -> None:
        """Go on after :meth:`stop`; what has expired meanwhile is dropped (RESTART-07). Else it does nothing.

        Raises:
            RuntimeError: the listener has died.
        """
        forked.check(self)
        with self.listeners.change():
            if self.stopped:
                with self.lock:
                    self.stopped = False
                    self.node.start()
                    self.notifier.notify()
                self.listeners.accept()

    def restart(self, downtime: float = 0.0) -> None:
        """:meth:`stop` and :meth:`start`, with ``downtime`` seconds between them, on a :class:`ManualClock`.

        Raises:
            RuntimeError: the broker is closed.
            TypeError: the clock is none that can be moved.
        """
        if downtime and not isinstance(self.clock, ManualClock):
            raise TypeError(f"only a ManualClock can be moved on by a downtime of {downtime} s")
        self.stop()
        try:
            if isinstance(self.clock, ManualClock):
                self.clock.advance(downtime)
        finally:
            self.start()

    # running it

    def run_due(self) -> None:
        """Do what has fallen due on the clock. Needed only after time was moved by something else than the clock
        itself.
        """
        with self.lock:
            if self.peer_timers is not self.node.timers:
                while timer := self.peer_timers.pop_due():
                    timer.action()
            self.node.run_due()
            self.notifier.notify()

    def drain_clients(self) -> None:
        """Return once all is done that TCP clients of this machine have sent by now.

        What can be asked here about queues and history begins with that, and so does :meth:`ManualClock.advance`. A
        thread that publishes and then asks has no race with the broker to win. What in-process clients send is done
        before they go on.
        """
        forked.check(self)
        if not self.closed:
            self.listeners.drain_clients()

    def next_timer_at(self, *, background: bool = True) -> float | None:
        """When something falls due next of itself, in seconds on the clock's ``monotonic``; ``None`` for never.
        Without ``background``, housekeeping such as heartbeats does not count.
        """
        with self.lock:
            return self.node.timers.next_at(background=background)

    @property
    def changes(self) -> int:
        """A number that grows whenever something may have changed; see :meth:`wait_for_change`."""
        return self.notifier.count

    def wait_for_change(self, since: int, seconds: float) -> bool:
        """Wait until :attr:`changes` is past ``since``; ``False`` once real ``seconds`` have gone by.

        To wait for a condition: take ``changes``, look at the condition, and if it does not hold, wait and begin again.
        No lock is held while the condition is looked at. What falls due on a system clock is done meanwhile.
        """
        deadline = monotonic() + seconds
        with self.lock:
            while self.notifier.count == since:
                left = deadline - monotonic()
                if left <= 0:
                    return False
                self.wait(left)
                if self.notifier.count == since:
                    self.run_due()
            return True

    def wait(self, seconds: float | None) -> None:
        """Wait, with the lock held, until something changes, a timer may be due, or real ``seconds`` have passed."""
        limits = [limit for limit in (seconds, self.seconds_to_next_timer()) if limit is not None]
        self.notifier.wait(min(limits) if limits else None)

    def seconds_to_next_timer(self) -> float | None:
        """How long until something falls due of itself; ``None`` for never, and on a manual clock, which tells when it
        moves.
        """
        return None if isinstance(self.clock, ManualClock) else self.node.timers.seconds_to_next()

    def seconds_to_wake_up(self) -> float | None:
        """:meth:`seconds_to_next_timer`, what TCP clients have to do in time included."""
        spans = [self.seconds_to_next_timer()]
        if self.peer_timers is not self.node.timers:
            spans.append(self.peer_timers.seconds_to_next())
        return min((span for span in spans if span is not None), default=None)

    def _expect_timers(self) -> None:
        """See to it that somebody looks after what falls due, whoever has set that timer."""
        if not self.closed:
            self.listeners.expect(self.node.timers.soonest)

    def add_pipe(self, pipe: Pipe) -> Session:
        """Begin the session of an in-process client.

        Raises:
            ConnectionRefusedError: the broker is closed, or stopped.
        """
        if self.closed or self.stopped:
            raise ConnectionRefusedError(f"the in-process broker is {'closed' if self.closed else 'stopped'}")
        peer = Peer(f"in-process client {len(self._pipes) + 1}")
        session = self._pipes[pipe] = Session(
            self.node, peer, self.notifier.notify, now=monotonic, stream_size=PIPE_SIZE
        )
        return session

    def remove_pipe(self, pipe: Pipe, session: Session) -> None:
        """End the session of an in-process client."""
        self._pipes.pop(pipe, None)
        session.hang_up()
        self.notifier.notify()

    def close(self, grace: float = 1.0) -> None:
        """Close every connection with 320 as a RabbitMQ that is stopped does (RESTART-01), and listen no more.

        TCP clients have ``grace`` seconds to take that in; then they are cut off. In a child that was forked from the
        broker's process it does nothing.

        Raises:
            TimeoutError: the listener does not end.
        """
        if self.in_child:
            return
        with self.lock:
            if self.closed:
                return
            self.closed = True
            forget_name(self)
            for session in self._pipes.values():
                session.shut_down()
            self.node.run_due()
            self.notifier.notify()
        self.listeners.close(grace)
        if isinstance(self.clock, ManualClock):
            self.clock.unsubscribe(self)

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
