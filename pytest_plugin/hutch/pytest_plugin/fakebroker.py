"""A broker as a test holds it: what tests do to it, and what they ask."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from hutch.fakebroker import Administration, Broker, ClusterNode, History, Message, Profile, Snapshot, SystemClock
from hutch.pytest_plugin import acting, waiting
from hutch.pytest_plugin.asking import Found, Question, check_order
from hutch.pytest_plugin.clocks import AnyClock, clock_of
from hutch.pytest_plugin.criteria import ANYTHING
from hutch.pytest_plugin.leftovers import find_leftovers, react_to, reaction_of
from hutch.pytest_plugin.views import Binding, Channel, Connection, Consumer, Exchange, Queue, Views

if TYPE_CHECKING:
    import ssl
    from os import PathLike

    from hutch import client
    from hutch.fakebroker.faults import Faults
    from hutch.fakebroker.inprocess import Pipe
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

    Eight questions ask what happened to messages:

    - ``published``
    - ``returned``: to its publisher, because it was mandatory and no queue got it
    - ``delivered``: to a consumer, or fetched by basic.get
    - ``acked``
    - ``nacked``: by basic.nack or basic.reject without ``requeue``
    - ``requeued``
    - ``dead_lettered``
    - ``expired``

    All take the same criteria (:class:`~hutch.pytest_plugin.asking.Question`), and have a negative:
    ``acked.never(...)``.

    Args:
        profile: the RabbitMQ version to be: ``"4.3"`` or ``"3.10"``.
        clock: the clock it runs on, or its name: ``"manual"``, ``"frozen"``, ``"auto"``, ``"ticking"`` or ``"system"``,
            see docs/time.md.
        users: passwords by user name; default ``{"guest": "guest"}``. ``url`` and :meth:`connect` take the first.
        vhosts: names of virtual hosts. ``url``, :meth:`connect` and every method with the parameter ``vhost`` take the
            first by default.
        seed: random seed for generated names.
        permit_deprecated_features: deprecated features by name, permitted (``True``) or denied where that is not
            RabbitMQ's default.
        history_events: how many events ``history`` keeps: the newest ones. ``None`` keeps all. Default 100,000.
        history_bytes: how many bytes of message bodies the history keeps. If there are more, it drops the oldest
            bodies and keeps their events. ``None`` keeps all. Default 64 MiB.
        plugins: RabbitMQ's names of the plugins to enable, see docs/plugins.md.
        consumer_timeout: how long a delivery may wait for its acknowledgement, ms; ``None`` for ever with 3.10, for a
            day with 4.3, as RabbitMQ's ``undefined``. 4.3 has it for quorum queues alone.
        single_confirms: confirm each publish by itself. By default one ack may confirm several, as RabbitMQ's does.
        definitions: RabbitMQ's definitions to begin with, beside users and virtual hosts above: what its JSON holds, or
            the path of such a file, see docs/definitions.md.
        leftovers: what to do about what the test leaves behind, see :meth:`leftovers`: ``"ignore"``, ``"warn"`` or
            ``"fail"``.

    Raises:
        ValueError: there is no such profile, clock, plugin, timeout or limit, or the profile has no such deprecated
            feature.
        InvalidDefinitions: RabbitMQ refuses the definitions.
        OSError: the file of the definitions cannot be read.
        TypeError: ``users`` is no mapping, or ``vhosts`` or ``plugins`` one text.
    """

    def __init__(
        self,
        profile: str = "4.3",
        clock: AnyClock | str = "manual",
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
        definitions: "Mapping[str, object] | str | PathLike[str] | None" = None,
        leftovers: str = "ignore",
    ) -> None:
        self.clock: Final = clock_of(clock)
        self._reaction: Final = reaction_of(leftovers)
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
            definitions=definitions,
        )
        self._views: Final = Views(self.broker)
        self._connections: Final[list[client.Connection]] = []
        self._pipes: Final[list[Pipe]] = []
        self._repliers: Final[list[acting.Replier]] = []
        self.published: Final = self._question("published")
        self.returned: Final = self._question("returned")
        self.delivered: Final = self._question("delivered")
        self.acked: Final = self._question("acked")
        self.nacked: Final = self._question("nacked")
        self.requeued: Final = self._question("requeued")
        self.dead_lettered: Final = self._question("dead-lettered")
        self.expired: Final = self._question("expired")

    def _question(self, what: str) -> Question:
        return Question(lambda: self.history, what)

    def __repr__(self) -> str:
        return f"<FakeBroker as RabbitMQ {self.profile.name}>"

    # the broker

    @property
    def url(self) -> str:
        """An ``amqp://`` URL for any client, with the first user's credentials; the broker listens from now on."""
        return self.broker.url

    def add_node(self, *, context: "ssl.SSLContext | None" = None) -> ClusterNode:
        """See :meth:`Broker.add_node <hutch.fakebroker.Broker.add_node>`."""
        return self.broker.add_node(context=context)

    @property
    def memory_url(self) -> str:
        """A ``memory://`` URL for :func:`hutch.client.connect` in this process, with the first user's credentials."""
        return self.broker.memory_url

    @property
    def management_url(self) -> str:
        """The ``http://`` URL of RabbitMQ's management API, answered from now on; it needs ``hutch[management]``."""
        return self.broker.management_url

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
    def faults(self) -> "Faults":
        """What is to go wrong: ``fakebroker.faults.next("basic.publish").nack()``; see docs/faults.md."""
        return self.broker.faults

    @property
    def history(self) -> History:
        """What happened so far, oldest first."""
        return self.broker.history

    def run_due(self) -> None:
        """See :meth:`Broker.run_due <hutch.fakebroker.Broker.run_due>`."""
        self.broker.run_due()

    def drain_clients(self) -> None:
        """See :meth:`Broker.drain_clients <hutch.fakebroker.Broker.drain_clients>`."""
        self.broker.drain_clients()

    def snapshot(self) -> Snapshot:
        """See :meth:`Broker.snapshot <hutch.fakebroker.Broker.snapshot>`."""
        return self.broker.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """See :meth:`Broker.restore <hutch.fakebroker.Broker.restore>`. The history goes on, so a question still sees
        what happened before.
        """
        self._forget_clients()
        self.broker.restore(snapshot)

    def reset(self) -> None:
        """See :meth:`Broker.reset <hutch.fakebroker.Broker.reset>`."""
        self._forget_clients()
        self.broker.reset()

    # looking

    def queue(self, name: str, vhost: str | None = None) -> Queue:
        """A queue as it is now: its messages, arguments and counts.

        Raises:
            LookupError: there is none of that name; the message names the near ones.
        """
        return self._views.queue(name, vhost)

    def exchange(self, name: str, vhost: str | None = None) -> Exchange:
        """An exchange as it is now.

        Raises:
            LookupError: there is none of that name; the message names the near ones.
        """
        return self._views.exchange(name, vhost)

    @property
    def bindings(self) -> list[Binding]:
        """The bindings there are now, without those of each queue to the default exchange."""
        return self._views.bindings()

    @property
    def connections(self) -> list[Connection]:
        """The connections that are open now."""
        return self._views.connections()

    @property
    def channels(self) -> list[Channel]:
        """The channels that are open now."""
        return self._views.channels()

    @property
    def consumers(self) -> list[Consumer]:
        """The consumers there are now."""
        return self._views.consumers()

    # acting

    def publish(
        self,
        routing_key: str,
        body: bytes | str = b"",
        *,
        json: object = ANYTHING,
        exchange: str = "",
        vhost: str | None = None,
        headers: Mapping[str, Any] | None = None,
        **properties: Any,
    ) -> list[str]:
        """Publish a message as an operator, without a client. Returns the names of the queues that it was routed to.

        Args:
            routing_key: by default the name of a queue.
            body: bytes, or text, which goes as UTF-8.
            json: what to write as JSON instead; ``content_type`` says so.
            exchange: where to publish to. Default is the default exchange.
            vhost: the virtual host, by default the broker's first.
            headers: the message's headers.
            properties: AMQP's properties: ``correlation_id="17"``, ``delivery_mode=2``.

        Raises:
            LookupError: there is no such exchange, or no queue gets the message.
            ValueError: the broker refuses the message, or a property does not exist or has a wrong value.
            TypeError: both a body and JSON.
            RuntimeError: the broker is stopped or closed.
        """
        return acting.publish(
            self.broker,
            routing_key,
            exchange=exchange,
            vhost=vhost,
            body=body,
            json=json,
            headers=headers,
            properties=properties,
        )

    def get(self, queue: str, vhost: str | None = None) -> Message:
        """Take the next message out of a queue.

        Raises:
            LookupError: there is no such queue, or no message is ready; the message says what is due.
            ValueError: the queue is one that nothing can be got from, for example a stream.
            RuntimeError: the broker is stopped or closed.
        """
        return acting.get(self.broker, queue, vhost)

    def reply_to(self, queue: str, function: acting.Answer) -> None:
        """Answer the requests in a queue until the broker is closed: consume, and publish to each request's
        ``reply_to`` what ``function`` returns of it, with the request's ``correlation_id``.

        ``function`` gets the :class:`~hutch.client.ReceivedMessage`, and runs in a thread of its own. It returns bytes,
        text, or a value to write as JSON; ``None`` gives no answer. If it raises, the request is rejected, and the
        error is reported as any thread's, so pytest warns of it.

        Raises:
            AMQPError: there is no such queue.
        """
        self._repliers.append(acting.Replier(self._connection(), queue, function))

    # what tests often have an operator do

    def raise_alarm(self, resource: str) -> None:
        """``admin.raise_alarm``."""
        self.admin.raise_alarm(resource)

    def clear_alarm(self, resource: str) -> None:
        """``admin.clear_alarm``."""
        self.admin.clear_alarm(resource)

    def trace_on(self, vhost: str | None = None) -> None:
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

    def connect(self, **kwargs: Any) -> "client.Connection":
        """A client in this process, connected; it is closed with the broker at the latest.

        ``kwargs`` are those of :class:`hutch.client.Connection`; by default it logs in as the first user, to the first
        virtual host.

        Raises:
            AMQPError: login or virtual host are refused.
            LookupError: the broker has no user, or no virtual host.
        """
        connection = self._connection(**kwargs)
        self._connections.append(connection)
        return connection

    def _connection(self, **kwargs: Any) -> "client.Connection":
        from hutch.client import Connection as Client  # noqa: PLC0415  (tests of other clients do without)

        node = self.broker.hub.node
        if not node.users or not node.vhosts:
            raise LookupError(f"nobody can connect to a broker without any {'vhosts' if node.users else 'users'}")
        userid, password, vhost = self.broker.hub.first_login
        defaults = {"userid": userid, "password": password, "virtual_host": vhost}
        connection = Client(transport=self._pipe, **{**defaults, **kwargs})
        connection.connect()
        return connection

    def _pipe(self) -> "Pipe":
        pipe = self.broker.transport()
        self._pipes.append(pipe)
        return pipe

    def _forget_clients(self) -> None:
        """Forget those clients of ours whose connection has ended before."""
        for connection in [each for each in self._connections if not each.is_alive()]:
            connection.collect()
            self._connections.remove(connection)
        self._repliers[:] = [replier for replier in self._repliers if not replier.has_ended]
        self._pipes[:] = [pipe for pipe in self._pipes if pipe in self.broker.hub.pipes]

    def close(self, grace: float = 0.05) -> None:
        """Close what :meth:`connect` gave, then the broker. TCP clients have ``grace`` seconds to take that in."""
        while self._connections:
            self._connections.pop().collect()
        self.broker.close(grace)
        while self._repliers:
            self._repliers.pop().join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.check_leftovers()
        finally:
            self.close()

    # what happened

    def in_order(self, *found: Found) -> None:
        """Assert that one thing happened before the next, all of it: the answers to questions, in their order.

        As in::

            fakebroker.in_order(fakebroker.published("order.created"), fakebroker.published("order.paid"))

        Raises:
            AssertionError: it is not so; the text shows the order.
        """
        __tracebackhide__ = True
        check_order(found)

    def wait_until(self, condition: Callable[[], Value], timeout: float = 5.0) -> Value:
        """Wait until ``condition()`` is true, and return what it gave; for applications that run in other threads.

        The condition is asked each time something happens in the broker, so it is best about the broker::

            fakebroker.wait_until(lambda: fakebroker.published("orders.done", count=1))
            fakebroker.wait_until(lambda: fakebroker.queue("orders").unacked == 0)

        AssertionError and LookupError (no such queue yet) count as not yet. ``timeout`` is real seconds.

        Raises:
            AssertionError: it did not come true in time. The text says what falls due next on the broker's clock.
            RuntimeError: an event loop runs in this thread; there it is :meth:`wait_until_async`.
        """
        __tracebackhide__ = True
        return waiting.wait_until(self.broker, condition, timeout)

    async def wait_until_async(self, condition: Callable[[], Value], timeout: float = 5.0) -> Value:
        """Wait as :meth:`wait_until` does, in a coroutine of asyncio or trio.

        The condition is a plain function::

            await fakebroker.wait_until_async(lambda: fakebroker.published("orders.done", count=1))

        Raises:
            AssertionError: it did not come true in time.
        """
        __tracebackhide__ = True
        return await waiting.wait_until_async(self.broker, condition, timeout)

    def leftovers(self) -> list[str]:
        """What is left behind now, a line for each thing.

        Leftovers are messages that are unread or unacknowledged, open connections, messages that were returned to their
        publisher and that no ``returned(...)`` has asked for, and faults that never happened. Connections that
        :meth:`connect` gave are none, and neither are the messages of a stream.
        """
        hub = self.broker.hub
        sessions = hub.look(lambda: [session for pipe, session in hub.pipes.items() if pipe in self._pipes])
        own = [session.connection.name for session in sessions if session.connection is not None]
        return find_leftovers(self.broker, self.returned, own)

    def check_leftovers(self) -> None:
        """Do about leftovers what the parameter ``leftovers`` says.

        Raises:
            AssertionError: there are some, and they are to fail.
        """
        __tracebackhide__ = True
        if self._reaction != "ignore":
            react_to(self.leftovers(), self._reaction)

    def intercept(self, *hosts: str, refuse_others: bool = False) -> AbstractContextManager[None]:
        """Have this process's connections to these hosts reach this broker: ``with fakebroker.intercept(...)``; see
        :func:`hutch.pytest_plugin.intercept`.
        """
        from hutch.pytest_plugin.interception import intercept  # noqa: PLC0415  (seldom needed)

        return intercept(*hosts, to=self.url, refuse_others=refuse_others)
