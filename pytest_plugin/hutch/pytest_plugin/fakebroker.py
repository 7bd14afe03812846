"""The broker as a test holds it: what :class:`hutch.fakebroker.Broker` is, and what tests want to ask."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hutch.fakebroker import Broker, ManualClock, Message, SystemClock
from hutch.fakebroker.engine.event_list import EventList
from hutch.fakebroker.realtime import monotonic
from hutch.pytest_plugin.matching import ANYTHING, Published, criteria, in_a_line, not_known, search, wrong_count

if TYPE_CHECKING:
    from hutch.client import Connection

Value = TypeVar("Value")


class FakeBroker(Broker):
    """A RabbitMQ double for one test; the fixture ``fakebroker`` is one, and closes it afterwards.

    ``url`` is for any client of any library: the broker listens on a port of 127.0.0.1 from the moment ``url`` is asked
    for. :meth:`connect` gives a client without a socket. ``history`` tells what happened.

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

    clock: ManualClock | SystemClock

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
        super().__init__(
            profile,
            ManualClock() if clock is None else clock,
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

        if not self.node.users or not self.node.vhosts:
            raise LookupError(f"nobody can connect to a broker without any {'vhosts' if self.node.users else 'users'}")
        userid, password, vhost = self.node.first_login
        defaults = {"userid": userid, "password": password, "virtual_host": vhost}
        connection = Connection(transport=self.transport, **{**defaults, **kwargs})
        connection.connect()
        self._connections.append(connection)
        return connection

    def close(self, grace: float = 0.05) -> None:
        """Close what :meth:`connect` gave, then the broker. TCP clients have ``grace`` seconds to take that in."""
        while self._connections:
            self._connections.pop().collect()
        super().close(grace)

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
            dead = self.history.of("dead-lettered")
            moved = EventList([event._replace(detail=event.detail[1]) for event in dead], dead.dropped, dead.limits)
            raise AssertionError(wrong_count(result, count, search(moved, asked)))
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
        deadline = monotonic() + timeout
        in_time = True
        while True:
            seen = self.changes
            failure: Exception | None = None
            try:
                value = condition()
            except (AssertionError, LookupError) as error:
                failure = error
            else:
                if value:
                    return value
            if not in_time:
                last = f"was {value!r}" if failure is None else f"failed: {failure}"
                cause = failure if isinstance(failure, KeyError | IndexError) else None  # may be a mistake in it
                raise AssertionError(f"waited {timeout:g} s in vain; at last the condition {last}") from cause
            in_time = self.wait_for_change(seen, deadline - monotonic())
