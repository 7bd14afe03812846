"""One queue against a list: whatever clients do, nothing gets lost, doubled or out of order."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.content import Content
from hutch.wire.methods import (
    BasicAck,
    BasicCancel,
    BasicCancelOk,
    BasicDeliver,
    BasicGet,
    BasicGetEmpty,
    BasicGetOk,
    BasicNack,
    BasicQos,
    BasicQosOk,
    BasicRecover,
    BasicRecoverOk,
    BasicReject,
    ChannelClose,
    ChannelCloseOk,
    QueuePurge,
    QueuePurgeOk,
)

from .peers import Peer

CHANNELS = st.sampled_from([1, 2])


@dataclass
class Channel:
    """What one channel holds: numbers of messages by delivery tag, and its consumer. ``inherited`` is how many
    deliveries to earlier ones were outstanding when it began: what is settled of them makes room for it, too (QOS-02).
    """

    held: dict[int, int] = field(default_factory=dict)
    by_consumer: set[int] = field(default_factory=set)
    tags: int = 0
    consuming: bool = False
    prefetch: int = 0
    inherited: int = 0

    @property
    def room(self) -> int:
        return 1 if not self.prefetch else self.prefetch + self.inherited - len(self.by_consumer)

    @property
    def has_credit(self) -> bool:
        return self.consuming and self.room > 0


class OneQueue(RuleBasedStateMachine):
    """A connection with two channels, one consumer at most on each, against a plain model.

    The model is a sorted list of the numbers of ready messages: a message keeps its place for ever (ACK-07).
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.broker = Broker(clock=self.clock)
        self.peer = Peer.opened(self.broker.transport())
        self.peer.open_channel(2)
        self.peer.declare("q")
        self.view = self.broker.queue("q")
        self.ready: list[int] = []
        self.redelivered: set[int] = set()
        self.published = 0
        self.done: set[int] = set()
        self.channels = {1: Channel(), 2: Channel()}

    def teardown(self) -> None:
        self.peer.vanish()
        self.broker.close()

    @initialize(count=st.integers(0, 5))
    def fill(self, count: int) -> None:
        for _ in range(count):
            self.publish()

    # actions of clients

    @rule()
    def publish(self) -> None:
        self.peer.publish("q", b"%d" % self.published)
        self.ready.append(self.published)
        self.published += 1
        self.take_deliveries()

    @rule(number=CHANNELS, no_ack=st.booleans())
    def get(self, number: int, no_ack: bool) -> None:
        self.peer.method(BasicGet(0, "q", no_ack), number)
        answer = self.peer.read()
        if not self.ready:
            assert isinstance(answer, BasicGetEmpty)
            return
        assert isinstance(answer, Content)
        assert isinstance(answer.method, BasicGetOk)
        self.take(number, int(answer.body), answer.method.delivery_tag, answer.method.redelivered, no_ack)
        assert answer.method.message_count == len(self.ready)

    @rule(number=CHANNELS, place=st.integers(0, 9), multiple=st.booleans())
    def ack(self, number: int, place: int, multiple: bool) -> None:
        if tag := self.some_tag(number, place):
            self.peer.method(BasicAck(tag, multiple), number)
            self.done.update(self.give_back(number, tag, multiple))
            self.take_deliveries()

    @rule(number=CHANNELS, place=st.integers(0, 9), multiple=st.booleans(), requeue=st.booleans())
    def nack(self, number: int, place: int, multiple: bool, requeue: bool) -> None:
        if tag := self.some_tag(number, place):
            if multiple:
                self.peer.method(BasicNack(tag, multiple=True, requeue=requeue), number)
            else:
                self.peer.method(BasicReject(tag, requeue), number)
            messages = self.give_back(number, tag, multiple)
            if requeue:
                self.requeue(messages)
            else:
                self.done.update(messages)
            self.take_deliveries()

    @rule(number=CHANNELS)
    def recover(self, number: int) -> None:
        self.peer.method(BasicRecover(requeue=True), number)
        self.peer.expect(BasicRecoverOk)
        self.requeue(self.give_back(number, 0, multiple=True))
        self.take_deliveries()

    @rule(number=CHANNELS, prefetch=st.integers(0, 3))
    def consume(self, number: int, prefetch: int) -> None:
        channel = self.channels[number]
        if not channel.consuming:
            self.peer.method(BasicQos(0, prefetch), number)
            self.peer.expect(BasicQosOk)
            self.peer.consume("q", f"consumer {number}", channel=number)
            channel.consuming, channel.prefetch = True, prefetch
            channel.inherited = len(channel.by_consumer)
            self.take_deliveries()

    @precondition(lambda self: any(channel.consuming for channel in self.channels.values()))
    @rule()
    def cancel(self) -> None:
        number = min(number for number, channel in self.channels.items() if channel.consuming)
        self.peer.method(BasicCancel(f"consumer {number}"), number)
        self.peer.expect(BasicCancelOk)
        self.channels[number].consuming = False

    @rule(number=CHANNELS)
    def close_channel(self, number: int) -> None:
        messages = list(self.channels[number].held.values())
        self.channels[number] = Channel()
        self.peer.method(ChannelClose(200), number)
        self.requeue(messages)
        self.take_deliveries(until=ChannelCloseOk)
        self.peer.open_channel(number)

    @rule()
    def purge(self) -> None:
        self.peer.method(QueuePurge(0, "q"))
        assert self.peer.expect(QueuePurgeOk).message_count == len(self.ready)
        self.done.update(self.ready)
        self.ready.clear()

    # the model

    def some_tag(self, number: int, place: int) -> int:
        tags = list(self.channels[number].held)
        return tags[place % len(tags)] if tags else 0

    def give_back(self, number: int, tag: int, multiple: bool) -> list[int]:
        channel = self.channels[number]
        tags = [each for each in channel.held if not tag or each <= tag] if multiple else [tag]
        channel.by_consumer.difference_update(tags)
        return [channel.held.pop(each) for each in tags]

    def requeue(self, messages: list[int]) -> None:
        self.ready = sorted([*self.ready, *messages])
        self.redelivered.update(messages)

    def take(self, number: int, message: int, tag: int, redelivered: bool, no_ack: bool) -> None:
        """A message was handed out, and it must be the one in front."""
        channel = self.channels[number]
        assert message == self.ready.pop(0)
        assert redelivered == (message in self.redelivered)
        channel.tags += 1
        assert tag == channel.tags
        if no_ack:
            self.done.add(message)
        else:
            channel.held[tag] = message

    def take_deliveries(self, until: type[ChannelCloseOk] | None = None) -> None:
        self.peer.fill()
        ended = until is None
        while self.peer.frames:
            channel_number = self.peer.frames[0][1]
            item = self.peer.read()
            if until is not None and isinstance(item, until):
                ended = True
                continue
            assert isinstance(item, Content)
            assert isinstance(item.method, BasicDeliver)
            assert item.method.consumer_tag == f"consumer {channel_number}"
            self.take(channel_number, int(item.body), item.method.delivery_tag, item.method.redelivered, no_ack=False)
            self.channels[channel_number].by_consumer.add(item.method.delivery_tag)
        assert ended

    @invariant()
    def nothing_is_lost_or_waits_in_vain(self) -> None:
        assert [int(message.body) for message in self.view.messages] == self.ready
        held = [message for channel in self.channels.values() for message in channel.held.values()]
        assert self.view.unacked == len(held)
        assert sorted([*self.ready, *held, *self.done]) == list(range(self.published))
        assert self.view.consumers == sum(channel.consuming for channel in self.channels.values())
        for channel in self.channels.values():
            assert channel.room >= 0
            assert not (self.ready and channel.has_credit)


OneQueue.TestCase.settings = settings(stateful_step_count=40)
TestOneQueue = OneQueue.TestCase
