"""What the machine remembers of the channels, to choose delivery tags by and to keep away from races."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from hutch.conformance.differential.observation import Delivered
from hutch.conformance.differential.operations import REPEATED, UNKNOWN, Place, Settle
from hutch.wire import methods as wire

Key = tuple[int, int]


@dataclass(frozen=True)
class _Delivery:
    """A delivery: its body, the tag of its consumer, empty for basic.get, and its own tags on both sides."""

    body: bytes
    consumer: str
    emulator: int
    live: int


class _Channel:
    """``outstanding`` deliveries, oldest first; those ``held`` back by a transaction; the one ``settled`` last; the
    ``queues`` of consumers, and which have ``no_ack``, by tag; whether consumers share a limit.
    """

    def __init__(self) -> None:
        self.outstanding: list[_Delivery] = []
        self.held: list[_Delivery] = []
        self.settled: _Delivery | None = None
        self.no_ack: dict[str, bool] = {}
        self.queues: dict[str, str] = {}
        self.transactional = False
        self.shared = False

    def has_made_up_order(self, deliveries: Iterable[_Delivery]) -> bool:
        """Whether a queue gets them back in the order of consumer tags some of which the broker made up."""
        consumers = {delivery.consumer for delivery in deliveries if delivery.consumer}
        queues = [self.queues.get(consumer) for consumer in consumers]
        return len(set(queues)) < len(queues) and any(consumer.startswith("~t") for consumer in consumers)


class Choice(NamedTuple):
    """An acknowledgement with the tags to use on both sides; ``what`` tells them in words."""

    operation: Settle
    emulator: int
    live: int
    what: str

    @property
    def key(self) -> Key:
        """The channel to send it on."""
        return self.operation.place.connection, self.operation.place.channel

    def method(self, tag: int) -> wire.Method:
        """The method to send."""
        operation = self.operation
        if operation.verdict == "ack":
            return wire.BasicAck(tag, operation.multiple)
        if operation.verdict == "nack":
            return wire.BasicNack(tag, operation.multiple, operation.requeue)
        return wire.BasicReject(tag, operation.requeue)


class Knowledge:
    """All channels, by the numbers of their connection and their own."""

    def __init__(self) -> None:
        self._channels: dict[Key, _Channel] = {}
        #: Quorum queues with a single active consumer, and those among them that got a consumer with a priority.
        self._single: set[str] = set()
        self._prioritised: set[str] = set()

    def _of(self, key: Key) -> _Channel:
        return self._channels.setdefault(key, _Channel())

    def forget_closed(self, is_open: Callable[[int, int], bool]) -> None:
        """Forget channels that are closed."""
        for key in [key for key in self._channels if not is_open(*key)]:
            del self._channels[key]

    def is_race(self, method: wire.Method, place: Place) -> bool:
        """Whether what comes of a method is not determined, or cannot be told."""
        known = self._of((place.connection, place.channel))
        if isinstance(method, wire.ChannelClose):
            return self.gives_back([(place.connection, place.channel)])
        if isinstance(method, wire.QueueDeclare):
            return method.nowait and not method.queue  # the generated name would remain unknown
        if isinstance(method, wire.BasicConsume):
            return known.shared and bool(set(known.queues.values()) - {method.queue})
        if isinstance(method, wire.BasicRecover | wire.BasicRecoverAsync):
            return known.shared or known.has_made_up_order(known.outstanding)
        return isinstance(method, wire.BasicQos) and method.global_ and len(set(known.queues.values())) > 1

    def gives_back(self, keys: Iterable[Key]) -> bool:
        """Whether channels that are closed together have messages to give back, and consumers of several queues that
        might still be told of them.
        """
        channels = [self._channels[key] for key in keys if key in self._channels]
        queues = {queue for channel in channels for queue in channel.queues.values()}
        return len(queues) > 1 and any(channel.outstanding or channel.held for channel in channels)

    def all_of(self, connection: int) -> list[Key]:
        """The channels of a connection."""
        return [key for key in self._channels if key[0] == connection]

    def scatters(self) -> bool:
        """Whether, if all channels end, one may get what another gives back, or what is given back be mixed."""
        giving = {key for key, channel in self._channels.items() if channel.outstanding or channel.held}
        taking = {key for key, channel in self._channels.items() if channel.queues}
        mixed = any(self._channels[key].has_made_up_order(self._channels[key].outstanding) for key in giving)
        return bool(giving) and (len(giving | taking) > 1 or mixed or self.gives_back(giving))

    def gave_back_in_made_up_order(self, is_open: Callable[[int, int], bool]) -> bool:
        """Whether a channel that is closed now gave back what several consumers of a queue had."""
        closed = [channel for key, channel in self._channels.items() if not is_open(*key)]
        return any(channel.has_made_up_order(channel.outstanding) for channel in closed)

    def may_serve_a_dead_consumer(self, queues: set[str]) -> bool:
        """Whether 4.3 may give the messages of all these queues to a consumer whose channel is closed."""
        return bool(queues) and queues <= self._prioritised

    def choose(self, operation: Settle) -> Choice | None:
        """The tags that an acknowledgement settles; from now on they count as settled.

        ``None`` if there is nothing to settle, if the other side has mixed the tags otherwise, or if RabbitMQ does not
        determine the outcome.
        """
        key = operation.place.connection, operation.place.channel
        if operation.which >= 0:
            key = self._with_deliveries(key)
        known = self._of(key)
        delivery, what = self._delivery(operation.which, known)
        if delivery is None or (known.shared and operation.requeue and operation.verdict != "ack"):
            return None
        settled = [delivery] if delivery in known.outstanding else []
        if operation.multiple and operation.verdict != "reject":
            settled = [
                each for each in known.outstanding if each.emulator <= delivery.emulator or not delivery.emulator
            ]
            if settled != [each for each in known.outstanding if each.live <= delivery.live or not delivery.live]:
                return None
        if operation.verdict != "ack" and known.has_made_up_order(settled):
            return None
        if settled:
            known.settled = settled[-1]
        if known.transactional:
            known.held += settled
        known.outstanding = [each for each in known.outstanding if each not in settled]
        return Choice(replace(operation, place=Place(*key)), delivery.emulator, delivery.live, what)

    def _with_deliveries(self, key: Key) -> Key:
        """The channel itself if it has outstanding deliveries, else another that has."""
        having = [other for other in sorted(self._channels) if self._channels[other].outstanding]
        return key if key in having or not having else having[sum(key) % len(having)]

    def _delivery(self, which: int, known: _Channel) -> tuple[_Delivery | None, str]:
        if which >= 0:
            if not known.outstanding:
                return None, ""
            delivery = known.outstanding[which % len(known.outstanding)]
            return delivery, f"the delivery of {delivery.body!r}"
        if which == REPEATED:
            return known.settled, f"the delivery of {known.settled.body!r} again" if known.settled else ""
        tag = 9999 if which == UNKNOWN else 0
        return _Delivery(b"", "", tag, tag), f"tag {tag}"

    def learn(self, method: wire.Method, place: Place, tag: str) -> None:
        """What a method that was not refused means; ``tag`` is the consumer tag that the broker chose last."""
        known = self._of((place.connection, place.channel))
        if isinstance(method, wire.BasicConsume):
            known.no_ack[method.consumer_tag or tag] = method.no_ack
            known.queues[method.consumer_tag or tag] = method.queue
            if "x-priority" in method.arguments:
                self._prioritised |= self._single & {method.queue}
        elif isinstance(method, wire.QueueDeclare):
            arguments = method.arguments
            if arguments.get("x-queue-type") == "quorum" and arguments.get("x-single-active-consumer"):
                self._single.add(method.queue)
        elif isinstance(method, wire.BasicRecover | wire.BasicRecoverAsync):
            known.outstanding.clear()
        elif isinstance(method, wire.TxSelect):
            known.transactional = True
        elif isinstance(method, wire.TxCommit):
            known.held.clear()
        elif isinstance(method, wire.TxRollback):
            known.outstanding += known.held
            known.outstanding.sort(key=lambda delivery: delivery.emulator)
            known.held.clear()
        elif isinstance(method, wire.BasicQos):
            known.shared |= method.global_

    def delivered(self, key: Key, emulator: Sequence[Delivered], live: Sequence[Delivered], no_ack: bool) -> None:
        """Deliveries came, the same on both sides; ``no_ack`` tells how basic.get was asked for."""
        known = self._of(key)
        for one, other in zip(emulator, live, strict=True):
            if not (known.no_ack.get(one.consumer_tag, False) if one.consumer_tag else no_ack):
                known.outstanding.append(_Delivery(one.body, one.consumer_tag, one.delivery_tag, other.delivery_tag))
        known.outstanding.sort(key=lambda delivery: delivery.emulator)
