"""Who gets the next message where the consumers of a channel share a prefetch (QOS-06), which 3.x alone has."""

from collections import Counter

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawChannel, fields
from hutch.wire import methods as amqp
from hutch.wire.content import Content


class _Shared:
    """A channel whose consumers share a prefetch, and what it was delivered."""

    def __init__(self, channel: RawChannel, prefetch: int) -> None:
        self.channel = channel
        #: Consumer tags and delivery tags of the deliveries that are not settled yet, oldest first.
        self.held: list[tuple[str, int]] = []
        self.limit(prefetch)

    def limit(self, prefetch: int) -> None:
        """Have the consumers share another prefetch."""
        self.channel.call(amqp.BasicQos(prefetch_count=prefetch, global_=True))

    def consume(self, queue: str, *tags: str) -> None:
        """Begin to consume, one after the other."""
        for tag in tags:
            self.channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag))

    def expect(self, *tags: str, behind: str | None = None) -> None:
        """These consumers get a message each, in that order, and nobody more."""
        equal(self.take(len(tags)), list(tags))
        self.channel.expect_nothing(behind)

    def take(self, count: int) -> list[str]:
        """The consumers of the next messages."""
        contents = [self.channel.message(amqp.BasicDeliver) for _ in range(count)]
        took = [(fields(content).consumer_tag, fields(content).delivery_tag) for content in contents]
        self.held += took
        return [tag for tag, _ in took]

    def ack(self, of: str | None = None) -> None:
        """Acknowledge the oldest delivery, of that consumer or any."""
        oldest = next(held for held in self.held if of is None or held[0] == of)
        self.held.remove(oldest)
        self.channel.send(amqp.BasicAck(oldest[1]))

    def ack_all(self) -> None:
        """Acknowledge all deliveries at once."""
        self.held.clear()
        self.channel.send(amqp.BasicAck(0, multiple=True))

    def expect_turns(self, tags: str) -> None:
        """Each acknowledgement brings one message; these consumers get them."""
        for tag in tags:
            self.ack()
            self.expect(tag)


def _shared(rabbit: Rabbit, messages: int, prefetch: int) -> tuple[_Shared, str]:
    """A channel with a shared prefetch, and a queue with ready messages."""
    channel, queue = rabbit.raw_queue(messages)
    channel.expect_ready(queue, messages)
    return _Shared(channel, prefetch), queue


@case("QOS-06", "CONSUME-22", profiles=["3.10"])
def consumers_take_turns_under_a_global_prefetch(rabbit: Rabbit) -> None:
    """In 3.x the consumers of a queue that wait for room under a global prefetch take turns. A consumer that got a
    message goes last. This does not change when a consumer is cancelled or added.
    """
    shared, queue = _shared(rabbit, 20, 2)
    shared.consume(queue, "a", "b", "c")
    shared.expect("a", "a")
    shared.expect_turns("abcabc")
    shared.channel.call(amqp.BasicCancel("b"))
    shared.expect_turns("acac")
    shared.consume(queue, "d")
    shared.expect_turns("acdacd")


@case("QOS-06", "CONSUME-22", profiles=["3.10"])
def turns_on_several_channels_with_global_prefetches(rabbit: Rabbit) -> None:
    """In 3.x each channel's consumers take turns among themselves when that channel has room again."""
    channel, queue = rabbit.raw_queue(14)
    channel.expect_ready(queue, 14)
    one, other = _Shared(channel, 1), _Shared(channel.connection.channel(2), 1)
    one.consume(queue, "a", "b")
    one.expect("a")
    other.consume(queue, "c", "d")
    other.expect("c")
    for first, second in zip("abab", "cdcd", strict=True):
        one.expect_turns(first)
        other.expect_turns(second)
    one.expect_turns("ab")
    other.expect_turns("cd")


@case("QOS-06", "CONSUME-24", profiles=["3.10"])
def priorities_under_a_global_prefetch(rabbit: Rabbit) -> None:
    """In 3.x room under a global prefetch goes to the consumers of the highest priority, in turn."""
    shared, queue = _shared(rabbit, 12, 2)
    for tag, priority in (("low", 1), ("a", 5), ("b", 5)):
        shared.channel.call(amqp.BasicConsume(queue=queue, consumer_tag=tag, arguments={"x-priority": priority}))
    shared.expect("low", "low")
    shared.expect_turns("abab")


@case("QOS-07", "QOS-06", profiles=["3.10"])
def turns_under_both_kinds_of_prefetch(rabbit: Rabbit) -> None:
    """In 3.x a consumer whose own prefetch holds it up keeps its place among those that wait for the global one."""
    channel, queue = rabbit.raw_queue(0)
    channel.call(amqp.BasicQos(prefetch_count=1))
    channel.call(amqp.BasicConsume(queue=queue, consumer_tag="a"))
    channel.call(amqp.BasicQos(prefetch_count=0))
    shared = _Shared(channel, 4)
    shared.consume(queue, "b", "c")
    for number in range(12):
        channel.publish(b"%d" % number, routing_key=queue)
    shared.expect("a", "b", "c", "b", behind=queue)
    shared.limit(2)
    shared.ack("a")
    shared.ack("b")
    channel.expect_nothing(queue)
    shared.ack("c")
    shared.expect("a", behind=queue)
    shared.expect_turns("cabacab")


@case("QOS-06", profiles=["3.10"])
def turns_when_messages_come_later(rabbit: Rabbit) -> None:
    """In 3.x consumers that wait at an empty queue take turns from where they were, with messages that come later."""
    shared, queue = _shared(rabbit, 0, 1)
    shared.consume(queue, "a", "b", "c")
    for turns in ("ab", "ca", "bc"):
        shared.channel.publish(b"1", routing_key=queue)
        shared.channel.publish(b"2", routing_key=queue)
        shared.expect(turns[0], behind=queue)
        shared.ack()
        shared.expect(turns[1])
        shared.ack()
        shared.channel.expect_nothing()


@case("QOS-06", profiles=["3.10"])
def turns_when_a_global_prefetch_changes(rabbit: Rabbit) -> None:
    """In 3.x those that wait are served in turn when a global prefetch is raised, and when it ends."""
    shared, queue = _shared(rabbit, 16, 3)
    shared.consume(queue, "a", "b", "c")
    shared.expect("a", "a", "a")
    shared.expect_turns("ab")
    shared.limit(1)
    shared.ack()
    shared.ack()
    shared.channel.expect_nothing(queue)
    shared.limit(3)
    shared.expect("c", "a", behind=queue)
    shared.limit(4)
    shared.expect("b", behind=queue)
    shared.channel.call(amqp.BasicQos(prefetch_count=9))
    shared.expect(*"cabcabca", behind=queue)


@case("QOS-06", "ACK-06", "TX-06", profiles=["3.10"])
def turns_however_room_is_made(rabbit: Rabbit) -> None:
    """In 3.x messages that are rejected, or acknowledged in a transaction that commits, make room for the next in
    turn; what the queue takes back goes to another channel first, if that has room.
    """
    shared, queue = _shared(rabbit, 9, 1)
    shared.consume(queue, "a", "b")
    shared.expect("a")
    for tag in "abab":
        shared.channel.send(amqp.BasicReject(shared.held.pop()[1], requeue=False))
        shared.expect(tag)
    shared.channel.call(amqp.TxSelect())
    for tag in "aba":
        shared.ack()
        shared.channel.expect_nothing(queue)
        shared.channel.call(amqp.TxCommit())
        shared.expect(tag)
    # One more message is ready.
    other = shared.channel.connection.channel(2)
    other.call(amqp.BasicConsume(queue=queue, consumer_tag="other"))
    equal(fields(other.message(amqp.BasicDeliver)).consumer_tag, "other")
    shared.channel.send(amqp.BasicReject(shared.held.pop()[1], requeue=True))
    shared.channel.call(amqp.TxCommit())
    equal(fields(other.message(amqp.BasicDeliver)).redelivered, True)
    shared.channel.expect_nothing(queue)


@case("QOS-06", "CONSUME-15", profiles=["3.10"])
def a_turn_without_acknowledgement(rabbit: Rabbit) -> None:
    """In 3.x a consumer that does not acknowledge has its turn, too, and the next one has the same room."""
    shared, queue = _shared(rabbit, 8, 1)
    shared.consume(queue, "a")
    shared.channel.call(amqp.BasicConsume(queue=queue, consumer_tag="n", no_ack=True))
    shared.expect("a")
    shared.expect_turns("a")
    for _ in range(2):
        shared.ack()
        shared.expect("n", "a")
        shared.held = [held for held in shared.held if held[0] == "a"]


@case("QOS-06", profiles=["3.10"])
def queues_share_a_global_prefetch(rabbit: Rabbit) -> None:
    """In 3.x the next of several queues that wait for room under a global prefetch is a random one, and its consumers
    take turns. If there is room for one message of each queue, usually each gets one.
    """
    channel, connection = rabbit.raw().channel(1), rabbit.raw()
    queues = {rabbit.name(): tags for tags in ("ab", "cd", "ef")}
    for queue in queues:
        channel.call(amqp.QueueDeclare(queue=queue))
        for _ in range(60):
            channel.publish(routing_key=queue)
        channel.expect_ready(queue, 60)
    shared = _Shared(connection.channel(1), 1)
    for queue, tags in queues.items():
        shared.consume(queue, *tags)
    equal(shared.take(1), ["a"])
    turns = ""
    for _ in range(50):
        shared.ack()
        turns += shared.take(1)[0]
    shared.channel.expect_nothing()
    for tags in queues.values():
        got = [tag for tag in turns if tag in tags]
        true(len(got) >= 4, f"of 50 messages {len(got)} came from one of three queues: {turns}")
        equal(got, [tags[turn % 2] for turn in range(len(got))])
    shared.limit(3)
    shared.take(2)
    shared.channel.expect_nothing()
    rounds = Counter[int]()
    for _ in range(20):
        shared.ack_all()
        took = shared.take(3)
        shared.channel.expect_nothing()
        rounds[len({tags for tags in queues.values() for tag in took if tag in tags})] += 1
    true(rounds[3] > 10, f"of 20 rounds of three, {rounds[3]} brought a message of each queue")


@case("QOS-06", "QOS-10", profiles=["3.10"])
def what_other_queues_acknowledge_makes_room(rabbit: Rabbit) -> None:
    """In 3.x a quorum queue heeds no global prefetch, but what is outstanding of it when that begins counts, and later
    each of its acknowledgements makes room; for more than the prefetch, if that many come at once.
    """
    channel, queue = rabbit.raw_queue(20)
    channel.expect_ready(queue, 20)
    quorum = rabbit.name()
    channel.call(amqp.QueueDeclare(queue=quorum, durable=True, arguments={"x-queue-type": "quorum"}))
    for _ in range(9):
        channel.publish(routing_key=quorum)
    channel.expect_ready(quorum, 9)
    channel.call(amqp.BasicQos(prefetch_count=3))
    channel.call(amqp.BasicConsume(queue=quorum, consumer_tag="q"))
    equal([fields(channel.message(amqp.BasicDeliver)).consumer_tag for _ in range(3)], ["q"] * 3)
    channel.call(amqp.BasicQos(prefetch_count=0))
    shared = _Shared(channel, 5)
    shared.consume(queue, "a", "b")
    shared.expect("a", "a", behind=queue)
    # The rounds settle 5, 8 and 11 deliveries. Every settled delivery frees a place under the limit, but only the
    # deliveries of the classic queue had taken one.
    for classic, others in (("ababa", 3), ("babababa", 3), ("babab", 0)):
        shared.ack_all()
        took = shared.take(len(classic) + others)
        equal("".join(tag for tag in took if tag != "q"), classic)
        equal(took.count("q"), others)
        channel.expect_nothing(queue)


@case("QOS-06", "QOS-05", profiles=["3.10"])
def what_was_got_before_a_global_prefetch_began(rabbit: Rabbit) -> None:
    """In 3.x messages from basic.get count under a global prefetch that begins while they are outstanding.
    Acknowledging them makes no room.
    """
    channel, queue = rabbit.raw_queue(7)
    channel.expect_ready(queue, 7)
    got: list[Content] = [channel.got(queue) for _ in range(2)]
    shared = _Shared(channel, 3)
    shared.consume(queue, "a", "b")
    shared.expect("a")
    for content in got:
        channel.send(amqp.BasicAck(fields(content).delivery_tag))
    channel.expect_nothing(queue)
    shared.expect_turns("abab")
