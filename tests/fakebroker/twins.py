"""Two brokers that play the same random operations, the state of one of which becomes that of the other on the way."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, Final

from hutch.conformance.differential.operations import ZERO, Advance, Call, Place, Publish, Restart, Settle
from hutch.fakebroker import Broker, ManualClock, Snapshot
from hutch.fakebroker.engine.state.dumping import dump
from hutch.fakebroker.engine.state.loading import load
from hutch.fakebroker.engine.state.values import NodeState
from hutch.fakebroker.plugins.event_exchange import EVENTS
from hutch.wire.methods import QueueDeclare, TxCommit, TxRollback
from hutch.wire.states import ConnectionState
from old_beside_new.adapters import Plain, Settings, Stream, TypedEvents
from old_beside_new.clients import Client
from old_beside_new.oddities import Due
from old_beside_new.playing import Pair, _read
from old_beside_new.scripts import Script, Scripts, Step

#: Times to live, and time steps, in ms.
TIMES: Final = (1, 3, 20, 999, 1000, 1001, 60_000, 3_600_000, 86_400_000)


class Twin(TypedEvents):
    """A broker whose state can be taken and given."""

    def __init__(self, settings: Settings) -> None:
        self._arguments: Final = vars(settings)
        self.broker: Final[list[Broker]] = []
        self._begin(ManualClock())

    def _begin(self, clock: ManualClock) -> None:
        self.broker[:] = [Broker(clock=clock, **self._arguments)]
        vars(self).update(_clock=clock, _broker=self.broker[0])

    @property
    def node(self) -> Any:
        return self.broker[0].hub.node

    def dumped(self) -> NodeState:
        """The state. Nothing is pending, and each timer is in the state."""
        with self.broker[0].hub.turn as node:
            assert not node.pending
            return dump(node)

    @property
    def deliveries(self) -> list[Any]:
        """All deliveries that are not settled."""
        return [
            each for vhost in self.node.vhosts.values() for queue in vhost.queues.values() for each in queue.deliveries
        ]

    @property
    def processes(self) -> int:
        """How many processes events were about; 0 if there are no events."""
        return getattr(self.dumped().parts.get(EVENTS), "processes", 0)

    def name_processes(self, count: int) -> None:
        """Have events be about so many processes."""
        for _ in range(count - self.processes):
            self.node.parts[EVENTS].process(object())

    def load(self, state: NodeState) -> None:
        """Be a new broker with a state, on a clock of its own."""
        self.broker[0].close()
        clock = ManualClock(0)
        clock.advance(7.25)
        clock.set_time(state.moment)
        self._begin(clock)
        with self.broker[0].hub.turn as node:
            load(state, node)
            self.broker[0].hub.firehose.follow(node)
        self.events()

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a state. What clients were told before is forgotten."""
        self.broker[0].restore(snapshot)

    def events(self) -> list[Plain]:
        """The events since the last call, with their moments as nanoseconds since 1970."""
        epoch = self.broker[0].clock.epoch()
        return [(epoch + round(at * 1e9), *rest) for at, *rest in super().events()]


class _Alone:
    """The streams of a client that one broker alone hears of."""

    def connect(self, deadline: float | None) -> None: ...
    def send(self, data: bytes) -> None: ...
    def receive(self) -> bytes:
        return b""

    def readable(self) -> bool:
        return False

    def close(self) -> None: ...
    def transport(self) -> "Stream":
        return self

    def events(self) -> list[Plain]:
        return []

    def upcoming(self) -> float | None:
        return None

    def advance(self, seconds: float) -> None: ...
    def operate(self, verb: str, arguments: dict[str, Any]) -> Plain: ...


class Twins(Pair):
    """Two brokers, and clients of both."""

    def __init__(self, script: Script) -> None:
        made = iter((Twin(script.world.settings(script.profile)), Twin(script.world.settings(script.profile))))

        class _Side:
            def emulator(self, _settings: Settings) -> Twin:
                return next(made)

        side: Any = _Side()
        super().__init__(side, side, script, Counter())

    @property
    def twins(self) -> tuple[Twin, Twin]:
        """The two brokers."""
        twins: Any = self._emulators
        return twins[0], twins[1]

    def play(self, step: Step) -> None:
        """Play a step, behind which nothing is pending."""
        super().play(step)
        for twin in self.twins:
            assert not twin.node.pending, f"pending behind {step}"

    def pause(self) -> None:
        """Write what is kept back, and run what is stopped."""
        self._flush()
        self._begin("a pause")
        self._on_both(lambda twin: twin.operate("start", {}))
        for twin in self.twins:  # part of a reply name is drawn only once; draw it now
            twin.node.names.reply_to()
        for resource in ("memory", "disk"):  # the end of a blocked client goes unnoticed
            self._on_both(partial(_clear, resource=resource))

    def end_clients(self) -> None:
        """Cut all connections, on both brokers."""
        self._begin("all connections end")
        for number in list(self._clients):
            self._gone(number)
        self._compare()

    def look(self) -> None:
        """Compare the queues."""
        self._begin("the queues are looked at")
        self._look()

    def settle(self) -> None:
        """Acknowledge all that clients have, as often as that brings them more, and roll back transactions. Clients
        that go on having deliveries are cut.
        """
        self._begin("all is acknowledged")
        one, _ = self.twins
        for _ in range(20):
            for number, client in list(self._clients.items()):
                data = b"".join(_settlements(number, client, channel) for channel in _channels(one, client.streams[0]))
                self._write(number, data, ())
            if not one.deliveries:
                return
        sinks = {delivery.sink for delivery in one.deliveries}
        for number, client in list(self._clients.items()):
            if any(channel.sink in sinks for channel in _channels(one, client.streams[0])):
                self._gone(number)
        self._compare()

    def end_unopened(self) -> None:
        """Cut the clients whose connection is not open."""
        self._begin("connections that are not open end")
        for number, client in list(self._clients.items()):
            if not _is_open(self.twins[0], client.streams[0]):
                self._gone(number)
        self._compare()

    def end_disturbed(self) -> int:
        """Cut the clients that one broker has lost or closes, or whose channels or consumers have ended there. Forget
        what others heard. Returns how many were cut.
        """
        disturbed = 0
        for number, client in list(self._clients.items()):
            ends = [_read(stream)[1] for stream in client.streams]
            one, other = map(_having, self.twins, client.streams)
            if any(ends) or one != other:
                self._gone(number)
                disturbed += 1
        return disturbed

    def restored(self) -> None:
        """Compare what old clients hear when the state was restored. Who hears something else, as of delivery tags, is
        cut.
        """
        self._begin("restored")
        for number, client in list(self._clients.items()):
            one, other = (_read(stream) for stream in client.streams)
            first, second = map(_last_tags, self.twins, client.streams)
            if one != other or first != second or client.take(one[0]) or one[1]:
                self._gone(number)
        processes = max(twin.processes for twin in self.twins)
        for twin in self.twins:
            twin.events()
            twin.name_processes(processes)
        self._compare()


class Aside(Pair):
    """Other clients of one broker, which come and go while nothing happens in the other broker. With ``other``, time
    passes there.
    """

    def __init__(self, twin: Twin, script: Script, other: Twin | None = None) -> None:
        self._clocks: Final[list[Any]] = [each.broker[0].clock for each in (twin, other) if each is not None]

        class _Side:
            def __init__(self, emulator: Any) -> None:
                self.emulator: Callable[[Settings], Any] = lambda _settings: emulator

        one, alone = _Side(twin), _Side(_Alone())
        super().__init__(one, alone, script, Counter())  # type: ignore[arg-type]

    def play(self, step: Step) -> None:
        """Play a step."""
        super().play(step)
        first, *others = self._clocks
        for clock in others:
            clock.advance(first.monotonic() - clock.monotonic())

    def _compare(self) -> None:
        """Let the clients read what they were told."""
        for number, client in list(self._clients.items()):
            data, end = _read(client.streams[0])
            if data and (client.take(data) or end):
                self._gone(number)

    def _look(self) -> None: ...

    def play_all(self, steps: list[Step]) -> None:
        """Play steps. In the end the broker runs, without an alarm: a client that is blocked would go on behind a
        restore.
        """
        for step in steps:
            self.play(step)
        self._flush()
        self._emulators[0].operate("start", {})
        for resource in ("memory", "disk"):
            self._emulators[0].operate("clear_alarm", {"resource": resource})

    def end(self) -> None:
        """Cut all connections."""
        for number in list(self._clients):
            self._gone(number)


def _is_open(twin: Twin, pipe: Any) -> bool:
    session = twin.broker[0].hub.pipes.get(pipe)
    return session is not None and session.state is ConnectionState.RUNNING


def _channels(twin: Twin, pipe: Any) -> list[Any]:
    session = twin.broker[0].hub.pipes.get(pipe)
    return list(session.connection.channels.values()) if session is not None and session.connection else []


def _settlements(number: int, client: Client, channel: Any) -> bytes:
    """What acknowledges all deliveries of a channel."""
    told = client.settling(Settle(Place(number, channel.number), "ack", ZERO, multiple=True))
    assert told is not None
    ack = client.sent(*told)
    if channel.transaction is None:
        return ack
    return client.sent(channel.number, TxRollback()) + ack + client.sent(channel.number, TxCommit())


def _last_tags(twin: Twin, pipe: Any) -> list[int]:
    return [channel.sink.last_tag for channel in _channels(twin, pipe)]


def _having(twin: Twin, pipe: Any) -> tuple[Any, ...]:
    """What a client has: the state of its connection, its channels, its consumers."""
    session = twin.broker[0].hub.pipes.get(pipe)
    channels = _channels(twin, pipe)
    consumers = ((each.tag, each.queue.name) for channel in channels for each in channel.consumers.values())
    return session and session.state, [channel.number for channel in channels], sorted(consumers)


def _clear(emulator: Any, resource: str) -> None:
    emulator.operate("clear_alarm", {"resource": resource})


def draw(profile: str, seed: int) -> tuple[Script, list[Step]]:
    """A script with two halves of 50 operations or more; and other operations."""
    random, scripts = Random(seed), Scripts(profile)
    one, two, other = (scripts.draw(random) for _ in range(3))
    steps = [*_timed(one.steps, random), *_timed(two.steps[2:], random)]
    return replace(one, steps=steps), list(_timed(other.steps[2:], random))


def without_time(steps: list[Step]) -> list[Step]:
    """The steps that do not move the clock."""
    return [
        step
        for step in steps
        if not isinstance(step.operation, Advance | Due | Restart)
        and "downtime" not in getattr(step.operation, "arguments", ())
    ]


def without_counts(state: NodeState) -> NodeState:
    """The state without what goes on when it is restored: numbers that are not given twice."""
    parts = {name: contents for name, contents in state.parts.items() if name != EVENTS}
    return replace(state, messages=0, timers=0, parts=parts)


def _with_times(operation: Any, random: Random) -> Any:
    """The operation with other times to live."""
    if isinstance(operation, Publish) and operation.properties.get("expiration") in ("150", "3600000"):
        return replace(operation, properties={**operation.properties, "expiration": str(random.choice(TIMES))})
    if isinstance(operation, Call) and isinstance(operation.method, QueueDeclare):
        fields = {name: getattr(operation.method, name) for name in operation.method.FIELDS}
        fields["arguments"] = {
            name: random.choice(TIMES) if name in {"x-message-ttl", "x-expires"} and value in (150, 3600000) else value
            for name, value in operation.method.arguments.items()
        }
        return replace(operation, method=QueueDeclare(**fields))
    return operation


def _timed(steps: list[Step], random: Random) -> list[Step]:
    """The steps, with times between them now and then."""
    timed = []
    for step in steps:
        timed.append(replace(step, operation=_with_times(step.operation, random)))
        if random.random() < 0.05:
            timed.append(Step(Advance(random.choice(TIMES))))
        if random.random() < 0.03:
            timed.append(Step(Due(0)))
    return timed
