"""A broker as a test holds it: what tests do to it, and what they ask."""

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from hutch.fakebroker import Administration, Broker, History, ManualClock, Message, Profile, QueueView, SystemClock
from hutch.fakebroker.realtime import monotonic
from hutch.pytest_plugin.matching import ANYTHING, Published, criteria, in_a_line, not_known, search, wrong_count

if TYPE_CHECKING:
    from hutch.client import Connection
    from hutch.wire.transport import Transport

Value = TypeVar("Value")


class FakeBroker:
    """A RabbitMQ double for one test; the fixture ``fakebroker`` is one, and closes it afterwards.

    ``url`` is for any client of any library: the broker listens on a port of 127.0.0.1 from the moment ``url`` is asked
    for. :meth:`connect` gives a client without a socket. ``history`` tells what happened. ``admin`` is the operator.
    ``broker`` is the :class:`~hutch.fakebroker.Broker` itself, for what a test seldom needs, such as ``listen_tls``.

    ``clock`` is a :class:`~hutch.fakebroker.ManualClock` unless another one is given: for the broker no time passes but
    by ``clock.advance(minutes=5)``, and by a client of :meth:`connect` that waits. Heartbeats of TCP clients go by real
    time all the same. On a :class:`~hutch.fakebroker.SystemClock` time is what ``time.monotonic`` says, which freezegun
    moves: call :meth:`drain_clients` before a tick if a TCP client has sent something, and :meth:`run_due` after it.

    Args:
        profile: the RabbitMQ version to be: ``"4.3"`` or ``"3.10"``.
        clock: the clock it runs on.
        users: passwords by user name; default ``{"guest": "guest"}``. ``url`` and :meth:`connect` take the first.
        vhosts: names of virtual hosts. ``url`` and :meth:`connect` take the first.
        seed: of the names that the broker makes up.
        permit_deprecated_features: deprecated features by name, permitted (``True``) or denied where that is not
            RabbitMQ's default.
        history_events: how many events ``history`` keeps: the newest ones. ``None`` keeps all. Default 100,000.
        history_bytes: how many bytes of message bodies the history keeps. If there are more, it drops the oldest
            bodies and keeps their events. ``None`` keeps all. Default 64 MiB.
        plugins: RabbitMQ's names of the plugins to enable, see docs/plugins.md.
        consumer_timeout: how long a delivery may wait for its acknowledgement, ms; ``None`` for ever with 3.10, for a
            day with 4.3, as RabbitMQ's ``undefined``. 4.3 has it for quorum queues alone.
        single_confirms: confirm each publish by itself. By default one ack may confirm several, as RabbitMQ's does.

    Raises:
        ValueError: there is no such profile, plugin, timeout or limit, or the profile has no such deprecated feature.
        TypeError: ``users`` is no mapping, or ``vhosts`` or ``plugins`` one text.
    """

    def __init__(
        self,
        profile: str = "4.3",
        clock: ManualClock | SystemClock | None = None,
        *,
        users: Mapping[str, str] | None = None,
        vhosts: Iterable[str] = ("/",),
        seed: int = 0,
        history_events: int | None = 100_000,
        history_bytes: int | None = 64 * 1024 * 1024,
        permit_deprecated_features: Mapping[str, bool] | None = None,
        plugins: Iterable[str] = (),
        consumer_timeout: int | None = 1800000,
        single_confirms: bool = False,
    ) -> None:
        self.clock: Final = ManualClock() if clock is None else clock
        self.broker: Final = Broker(
            profile,
            self.clock,
            users=users,
            vhosts=vhosts,
            seed=seed,
            history_events=history_events,
            history_bytes=history_bytes,
            peer_clock=SystemClock(),
            permit_deprecated_features=permit_deprecated_features,
            plugins=plugins,
            consumer_timeout=consumer_timeout,
            single_confirms=single_confirms,
        )
        self._connections: Final[list[Connection]] = []

    # the broker

    @property
    def url(self) -> str:
        """An ``amqp://`` URL for any client, with the first user's credentials; the broker listens from now on."""
        return self.broker.url

    @property
    def memory_url(self) -> str:
        """A ``memory://`` URL for :func:`hutch.client.connect` in this process, with the first user's credentials."""
        return self.broker.memory_url

    def transport(self) -> "Transport":
        """A transport for one client in this process, not connected yet: ``Connection(transport=broker.transport)``."""
        return self.broker.transport()

    @property
    def profile(self) -> Profile:
        """The RabbitMQ version that the broker is."""
        return self.broker.profile

    @property
    def admin(self) -> Administration:
        """What an operator does: users, permissions, virtual hosts, policies, alarms, stopping and starting."""
        return self.broker.admin

    @property
    def history(self) -> History:
        """What happened so far, oldest first."""
        return self.broker.history

    def queue(self, name: str, vhost: str = "/") -> QueueView:
        """A queue to look into.

        Raises:
            LookupError: there is none of that name; the message names those there are.
        """
        return self.broker.queue(name, vhost)

    def run_due(self) -> None:
        """See :meth:`Broker.run_due <hutch.fakebroker.Broker.run_due>`."""
        self.broker.run_due()

    def drain_clients(self) -> None:
        """See :meth:`Broker.drain_clients <hutch.fakebroker.Broker.drain_clients>`."""
        self.broker.drain_clients()

    # what tests often have an operator do

    def raise_alarm(self, resource: str) -> None:
        """``admin.raise_alarm``."""
        self.admin.raise_alarm(resource)

    def clear_alarm(self, resource: str) -> None:
        """``admin.clear_alarm``."""
        self.admin.clear_alarm(resource)

    def trace_on(self, vhost: str = "/") -> None:
        """``admin.trace_on``."""
        self.admin.trace_on(vhost)

    def stop(self) -> None:
        """``admin.stop``."""
        self.admin.stop()

    def start(self) -> None:
        """``admin.start``."""
        self.admin.start()

    def restart(self, downtime: float = 0.0) -> None:
        """``admin.restart``."""
        self.admin.restart(downtime)

    # clients

    def connect(self, **kwargs: Any) -> "Connection":
        """A client in this process, connected; it is closed with the broker at the latest.

        ``kwargs`` are those of :class:`hutch.client.Connection`; by default it logs in as the first user, to the first
        virtual host.

        Raises:
            AMQPError: login or virtual host are refused.
            LookupError: the broker has no user, or no virtual host.
        """
        from hutch.client import Connection  # noqa: PLC0415  (tests of other clients do without)

        node = self.broker.hub.node
        if not node.users or not node.vhosts:
            raise LookupError(f"nobody can connect to a broker without any {'vhosts' if node.users else 'users'}")
        userid, password, vhost = node.first_login
        defaults = {"userid": userid, "password": password, "virtual_host": vhost}
        connection = Connection(transport=self.transport, **{**defaults, **kwargs})
        connection.connect()
        self._connections.append(connection)
        return connection

    def close(self, grace: float = 0.05) -> None:
        """Close what :meth:`connect` gave, then the broker. TCP clients have ``grace`` seconds to take that in."""
        while self._connections:
            self._connections.pop().collect()
        self.broker.close(grace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # what happened

    def published(
        self,
        routing_key: str | None = None,
        *,
        count: int | None = None,
        exchange: str | None = None,
        queue: str | None = None,
        vhost: str | None = None,
        body: bytes | str | None = None,
        json: object = ANYTHING,
        headers: Mapping[str, object] | None = None,
        **properties: object,
    ) -> list[Message]:
        """The messages that clients have published so far and that are as asked, oldest first.

        They count whether or not they got into a queue, and are still there. What the broker dead-letters is published
        by nobody: see ``history.of("dead-lettered")``.

        What the history has dropped (``history_events``, ``history_bytes``) is not in the list. If the answer may
        depend on it, this raises AssertionError and says so.

        Args:
            routing_key: by which they were published; to the default exchange (``exchange=""``) that is a queue's name.
            count: how many there must be.
            exchange: to which they were published.
            queue: the name of a queue that got them.
            vhost: the virtual host they were published in; default any.
            body: all of it; text stands for its UTF-8.
            json: what the body, read as JSON, equals.
            headers: names and values that are among the headers.
            properties: AMQP's properties of a message: ``correlation_id="17"``, ``delivery_mode=2``.

        Raises:
            AssertionError: there are not ``count`` of them; the text shows what was published instead. Or the history
                has dropped what may be asked for, and ``count`` is given or nothing is found.
            TypeError: a property that does not exist.
        """
        __tracebackhide__ = True
        asked = criteria(
            routing_key=routing_key,
            exchange=exchange,
            queue=queue,
            vhost=vhost,
            body=body,
            json=json,
            headers=headers,
            properties=properties,
        )
        result = search(self.history.of("published"), asked)
        if count is not None and (count != len(result.found) or not result.is_complete):
            raise AssertionError(wrong_count(result, count, search(self.history.of("dead-lettered"), asked)))
        if not result.found and not result.is_complete:
            raise AssertionError(not_known(result))
        return Published(result.messages, "" if result.found else in_a_line(result))

    def wait_until(self, condition: Callable[[], Value], timeout: float = 5.0) -> Value:
        """Wait until ``condition()`` is true, and return what it gave; for applications that run in other threads.

        The condition is asked each time something happens in the broker, so it is best about the broker::

            fakebroker.wait_until(lambda: fakebroker.published("orders.done", count=1))
            fakebroker.wait_until(lambda: fakebroker.queue("orders").unacked == 0)

        AssertionError and LookupError (no such queue yet) count as not yet. ``timeout`` is real seconds.

        Raises:
            AssertionError: it did not come true in time.
        """
        __tracebackhide__ = True
        hub = self.broker.hub
        deadline = monotonic() + timeout
        while True:
            seen, left = hub.changes, deadline - monotonic()
            failure: Exception | None = None
            try:
                value = condition()
            except (AssertionError, LookupError) as error:
                failure = error
            else:
                if value:
                    return value
            if left <= 0:
                last = f"was {value!r}" if failure is None else f"failed: {failure}"
                cause = failure if isinstance(failure, KeyError | IndexError) else None  # may be a mistake in it
                raise AssertionError(f"waited {timeout:g} s in vain; at last the condition {last}") from cause
            hub.wait(seen, left)
